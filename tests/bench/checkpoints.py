"""How long training waits for a checkpoint, saved at once and beside the steps. checkpoints.sh starts it."""
import argparse
import json
import os
import statistics
import subprocess
from pathlib import Path

from runs import MPI, command, fresh, processor, write_job

# GPT-2 124M, eight micro-batches of 1 x 256 tokens; a checkpoint after every second step.
SHAPE = dict(layers=12, heads=12, width=768, length=256, vocabulary=50304, samples=8, micro=1, threads=1, bf16=True)
OFFLOAD = "zero_optimization.offload_optimizer"


def run(job, folder, saves, changes):
    """The lines of metrics.jsonl behind the first save, which touches memory and the disk for the first time."""
    metrics = fresh(folder)
    changes = ["zero_optimization.stage=2", f"steps={2 * saves + 3}", "checkpoint.every=2", "checkpoint.keep=1", *changes]
    subprocess.run(command(["train", job, *(part for change in changes for part in ("--set", change))], 2), check=True,
                   capture_output=True, env={**os.environ, **MPI})
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    return [line for line in lines if line["step"] > 3]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--saves", type=int, default=3)
    options = parser.parse_args()
    job = write_job(options.folder, **SHAPE)
    tokens = SHAPE["samples"] * SHAPE["length"]
    print(f"{processor()}, 2 ranks of 1 thread, stage 2, bf16: 1.5 GB a checkpoint, medians of {options.saves}.\n")
    print("| state | saved | training waited, s | a step without, s | the step after, s |\n|---|---|---|---|---|")
    for state, where in {"device": [], "disk": [f"{OFFLOAD}.device=nvme", f"{OFFLOAD}.nvme_path={options.folder}/swap"]}.items():
        for saved in ("at once", "beside the steps"):
            beside = str(saved != "at once").lower()
            lines = run(job, options.folder, options.saves, [*where, f"checkpoint.asynchronous={beside}"])
            after = [line for line in lines if line["saving_seconds"] > 0]
            other = [line for line in lines if line["saving_seconds"] == 0]

            def step(some):
                return statistics.median(tokens / line["tokens_per_second"] for line in some)

            waited = statistics.median(line["saving_seconds"] for line in after)
            print(f"| {state} | {saved} | {waited:.3f} | {step(other):.2f} | {step(after):.2f} |", flush=True)


main()
