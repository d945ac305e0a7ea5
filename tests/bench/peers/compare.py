"""Tranche, PyTorch eager and torch.compile on the same jobs in turns; prints a markdown table. run.sh starts it."""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from runs import RELEASE, processor, tranche_steps, write_job

THREADS = 2
JOBS = {
    "124m-4x256": dict(layers=12, width=768, heads=12, vocabulary=50304, samples=4, length=256),
    "124m-1x1024": dict(layers=12, width=768, heads=12, vocabulary=50304, samples=1, length=1024),
    "bytes-12x256": dict(layers=6, width=384, heads=6, vocabulary=256, samples=12, length=256),
}
MEMORY_JOB = ("124m-1x1024", "bf16")


def peer_environment():
    """What PyTorch runs fastest with; README.md has the reasons."""
    environment = dict(os.environ, OMP_NUM_THREADS=str(THREADS), MALLOC_MMAP_MAX_="0", MALLOC_ARENA_MAX="1",
                       MALLOC_TOP_PAD_=str(1 << 28), MALLOC_TRIM_THRESHOLD_=str(1 << 40),
                       GLIBC_TUNABLES="glibc.malloc.hugetlb=1")
    if " avx512f " in Path("/proc/cpuinfo").read_text():
        environment["ATEN_CPU_CAPABILITY"] = "avx512"
    return environment


class Peer:
    """A process of train_torch.py that waits between its turns."""

    def __init__(self, job, mode, way=()):
        self.process = subprocess.Popen([sys.executable, HERE / "train_torch.py", job, mode, *way], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=peer_environment())

    def turn(self, steps):
        print(steps, file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"peers: PyTorch ended with {self.process.wait()}")
        return json.loads(line)

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def gemm_peak(dtype):
    """Operations a second of oneDNN's best product."""
    text = subprocess.run([RELEASE / "tests/bench/ceilings", "--gemm", str(THREADS)], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    return dict((name, float(rate)) for name, rate in (line.split() for line in text.splitlines()))[dtype] * 1e9


def operations_per_token(shape):
    """6 for each weight in a product, and causal attention: two products forward and four backward."""
    products = 12 * shape["layers"] * shape["width"] ** 2 + shape["vocabulary"] * shape["width"]
    attention = 6 * shape["layers"] * shape["width"] * (shape["length"] + 1)
    return 6 * products + attention


def measure(name, dtype, folder, rounds, steps):
    shape = JOBS[name]
    job = write_job(folder, **shape, micro=shape["samples"], threads=THREADS, bf16=dtype == "bf16")
    tokens = shape["samples"] * shape["length"]
    peers = {}
    for mode in ("eager", "compile"):
        peers[mode] = Peer(job, mode)
        peers[mode].turn(0)  # one prepares at a time
    told = {"tranche": [], "eager": [], "compile": [], "peak": []}
    for _ in range(rounds):
        told["peak"].append(gemm_peak("float32" if dtype == "float32" else "bfloat16"))
        told["tranche"].append(tranche_steps(job, folder, steps))
        for mode, peer in peers.items():
            answer = peer.turn(steps)
            told[mode].append(dict(answer, rate=tokens / statistics.median(answer["seconds"])))
    for peer in peers.values():
        peer.end()
    return told


def of_rounds(values, form):
    values = sorted(values)
    return f"{form(statistics.median(values))} ({form(values[0])}-{form(values[-1])})"


def row(name, dtype, told):
    rates = {who: [each["rate"] for each in told[who]] for who in ("tranche", "eager", "compile")}
    floors = [peak / operations_per_token(JOBS[name]) for peak in told["peak"]]
    ratio = lambda below: of_rounds([a / b for a, b in zip(rates["tranche"], below)], "{:.2f}".format)
    cells = [name, dtype, *(f"{statistics.median(rates[who]):.0f}" for who in rates),
             f"{statistics.median(floors):.0f}", ratio(rates["eager"]), ratio(rates["compile"]), ratio(floors),
             told["eager"][-1]["way"], told["compile"][-1]["way"]]
    return "| " + " | ".join(cells) + " |"


def memory_table(rows):
    print("\nPeak resident memory at {} in {}, MiB:\n".format(*MEMORY_JOB))
    print("| program | peak | parameters, gradients, optimizer | the rest |")
    print("|---|---|---|---|")
    for who, told in rows.items():
        peak, state = told["peak"] / 2**20, told["state"] / 2**20
        print(f"| {who} | {peak:.0f} | {state:.0f} | {peak - state:.0f} |")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--job", choices=JOBS, action="append")
    parser.add_argument("--dtype", choices=("float32", "bf16"), action="append")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2)
    options = parser.parse_args()
    import torch
    begin = time.monotonic()
    print(f"{processor()}, {THREADS} threads; PyTorch {torch.__version__}; {options.rounds} rounds of {options.steps} "
          "steps.\nTokens a second, medians; ratios: the median of the rounds' (lowest-highest).\n")
    print("| job | dtype | Tranche | PyTorch eager | torch.compile | GEMM floor | Tranche / eager | Tranche / compile "
          "| Tranche / floor | eager's way | compile's way |")
    print("|---|---|---|---|---|---|---|---|---|---|---|", flush=True)
    memory = {}
    for name in options.job or JOBS:
        for dtype in options.dtype or ("float32", "bf16"):
            told = measure(name, dtype, options.folder, options.rounds, options.steps)
            print(row(name, dtype, told), flush=True)
            losses = {who: told[who][-1]["loss"] for who in ("tranche", "eager", "compile")}
            print(f"peers: {name} {dtype}: losses {losses}, {time.monotonic() - begin:.0f} s", file=sys.stderr)
            if (name, dtype) == MEMORY_JOB:
                memory["Tranche"] = told["tranche"][-1]
                for mode in ("eager", "compile"):  # anew: the search for the fastest way had its own peak
                    peer = Peer(options.folder / "job.jsonc", mode, told[mode][-1]["way"].split(", "))
                    memory[f"PyTorch {mode}"] = peer.turn(2)
                    peer.end()
    if memory:
        memory_table(memory)


if __name__ == "__main__":
    main()
