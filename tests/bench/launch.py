"""What `tranche launch` costs beside mpirun alone. launch.sh starts it."""
import argparse
import json
import socket
import statistics
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

from runs import TRANCHE, fresh, processor, tranche_steps, write_job

# The 6 x 384 byte model, and one that takes no time.
MODEL = dict(layers=6, heads=6, width=384, length=256, vocabulary=256, samples=8, micro=2, threads=1, bf16=True)
SMALL = dict(MODEL, layers=2, heads=2, width=64, length=64)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def look(port, seen):
    """At the page's events until they end; seen: how many bytes."""
    for _ in range(100):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/events") as events:
                while chunk := events.read1(65536):
                    seen.append(len(chunk))
            return
        except OSError:
            time.sleep(0.1)


def launched(port):
    """As runs.command: `train JOB --set A --set B` by launch."""
    def words(arguments, ranks):
        return [TRANCHE, "launch", "-n", str(ranks), "--port", str(port), arguments[1], *arguments[3::2]]
    return words


def seconds_to_first_step(job, folder):
    metrics = fresh(folder)
    begin = time.monotonic()
    with subprocess.Popen([TRANCHE, "launch", "-n", "2", job, "steps=2"], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as process:
        while not (metrics.exists() and "\n" in metrics.read_text()) and process.poll() is None:
            time.sleep(0.005)
        taken = time.monotonic() - begin
    if process.returncode != 0:
        raise SystemExit(f"tranche launch ended with {process.returncode}")
    return taken


def whole_steps(job, options):
    watching, everything = [], []
    for _ in range(options.rounds):
        bare = tranche_steps(job, options.folder, options.steps, 2, changes=["integrity.enabled=false"])["rate"]
        alone = tranche_steps(job, options.folder, options.steps, 2)["rate"]
        port, seen = free_port(), []
        viewer = threading.Thread(target=look, args=(port, seen))
        viewer.start()
        watched = tranche_steps(job, options.folder, options.steps, 2, start=launched(port))["rate"]
        viewer.join()
        if not seen:
            raise SystemExit("nobody saw the page")
        watching.append(alone / watched)
        everything.append(bare / watched)
    for what, ratios in (("heartbeats, watching and a viewer, to one under mpirun alone", watching),
                         ("all of that and the checks of bits, to one with neither", everything)):
        print(f"A step with {what}: {statistics.median(ratios):.3f} "
              f"(rounds: {', '.join(f'{ratio:.3f}' for ratio in ratios)})")


def processor_seconds(threads):
    """What these threads have used, by the kernel's count of nanoseconds."""
    total = 0
    for thread in threads:
        try:
            total += int((thread / "schedstat").read_text().split()[0])
        except (OSError, ValueError):
            pass  # it has ended
    return total / 1e9


def named(process, name):
    """The threads of a process that are called so."""
    found = []
    for thread in Path(f"/proc/{process}/task").glob("*"):
        try:
            if (thread / "comm").read_text().strip() == name:
                found.append(thread)
        except OSError:
            pass
    return found


def below(process):
    """The processes that it and those after it have started."""
    children = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = status.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        children.setdefault(int(words[1]), []).append(int(status.parent.name))
    found, new = [], [process]
    while new:
        new = [child for parent in new for child in children.get(parent, [])]
        found += new
    return found


def watched_run(job, options, changes):
    """Of one launch with a viewer: seconds of a step, of the supervisor's and of the reporters' processor time for
    each, and of the ranks' own kinds of work."""
    metrics, port, seen = fresh(options.folder), free_port(), []
    viewer = threading.Thread(target=look, args=(port, seen))
    viewer.start()
    supervisor = reporters = 0
    with subprocess.Popen([TRANCHE, "launch", "-n", "2", "--port", str(port), "--pace", "5", job,
                           f"steps={options.steps}", *changes],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            threads = [thread for one in below(process.pid) for thread in named(one, "reporter")]
            reporters = max(reporters, processor_seconds(threads))
            supervisor = max(supervisor, processor_seconds(Path(f"/proc/{process.pid}/task").glob("*")))
            time.sleep(0.1)
    viewer.join()
    if process.returncode != 0 or not seen or reporters == 0:
        raise SystemExit(f"tranche launch ended with {process.returncode}, nobody saw the page, or no rank reported")
    tokens = [json.loads(line)["tokens_per_second"] for line in metrics.read_text().splitlines()]
    ranks = [rank["seconds"] for rank in json.loads((metrics.parent / "ranks.json").read_text())]
    kinds = {kind: max(rank.get(kind, 0) for rank in ranks) for kind in ("optimizer", "disk")}
    return {"step": options.tokens / statistics.median(tokens), "supervisor": supervisor / options.steps,
            "reporters": reporters / len(ranks) / options.steps, **kinds}


def parts(job, options):
    """Each part by a clock of its own, as all of them together are less than two runs differ."""
    options.tokens = MODEL["samples"] * MODEL["length"]
    runs = {"with": [], "without": []}
    for _ in range(options.rounds):
        runs["without"].append(watched_run(job, options, ["integrity.enabled=false"]))
        runs["with"].append(watched_run(job, options, []))
    middle = {which: {part: statistics.median(run[part] for run in all) for part in all[0]}
              for which, all in runs.items()}
    now = middle["with"]
    taken = [("the supervisor, its page and a viewer: processor time", now["supervisor"]),
             ("heartbeats: processor time of a rank's reporter", now["reporters"]),
             ("checks of bits: updates and comparisons with them, less those without",
              now["optimizer"] - middle["without"]["optimizer"]),
             ("metrics, and reading the batch", now["disk"])]
    print(f"\nOf a step of {1e3 * now['step']:.0f} ms, medians of {options.rounds} runs of {options.steps} steps:\n")
    print("| part | ms | of the step |\n|---|---|---|")
    for what, seconds in [*taken, ("together", sum(seconds for _, seconds in taken))]:
        print(f"| {what} | {1e3 * seconds:.2f} | {100 * seconds / now['step']:.2f} % |")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    print(f"{processor()}, 2 ranks of 1 thread.\n")
    small = write_job(options.folder, **SMALL)
    starts = [seconds_to_first_step(small, options.folder) for _ in range(options.rounds)]
    print(f"`tranche launch -n 2` to the end of the first step: {statistics.median(starts):.2f} s (median of {len(starts)})\n")

    job = write_job(options.folder, **MODEL)
    whole_steps(job, options)
    parts(job, options)


main()
