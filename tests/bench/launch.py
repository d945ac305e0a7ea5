"""What `tranche launch` costs beside mpirun alone. launch.sh starts it."""
import argparse
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


main()
