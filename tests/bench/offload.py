"""What a step costs with the optimizer's state on the device, in host memory and on disk. offload.sh starts it."""
import argparse
import statistics
from pathlib import Path

from runs import processor, tranche_steps, write_job

# GPT-2 124M, eight micro-batches of 1 x 256 tokens.
SHAPE = dict(layers=12, heads=12, width=768, length=256, vocabulary=50304, samples=8, micro=1, threads=1, bf16=True)


def choices(folder):
    offload = "zero_optimization.offload_optimizer"
    stage = "zero_optimization.stage=2"
    return {"none": [stage], "cpu": [stage, f"{offload}.device=cpu"],
            "nvme": [stage, f"{offload}.device=nvme", f"{offload}.nvme_path={Path(folder) / 'swap'}"]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3)
    options = parser.parse_args()
    job = write_job(options.folder, **SHAPE)
    tokens = SHAPE["samples"] * SHAPE["length"]
    seconds = {name: [] for name in choices(options.folder)}
    for _ in range(options.rounds):
        for name, changes in choices(options.folder).items():
            seconds[name].append(tokens / tranche_steps(job, options.folder, options.steps, 2, changes)["rate"])
    print(f"{processor()}, 2 ranks of 1 thread, stage 2, bf16, {tokens} tokens a step in 8 micro-batches.\n")
    print("| offload_optimizer | seconds a step | to none (each round) |\n|---|---|---|")
    for name, each in seconds.items():
        ratios = ", ".join(f"{mine / none:.2f}" for mine, none in zip(each, seconds["none"]))
        print(f"| {name} | {statistics.median(each):.2f} | {ratios} |")


main()
