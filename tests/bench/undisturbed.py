"""Whether the supervisor of `tranche launch` stays silent about a job that nothing happens to. undisturbed.sh starts it."""
import argparse
import json
import re
import signal
import subprocess
import time
from pathlib import Path

from runs import TRANCHE, fresh, processor, write_job

# The 6 x 384 byte model on more ranks than cores, every tensor divided, so that each step has many collectives.
MODEL = dict(layers=6, heads=6, width=384, length=256, vocabulary=256, samples=8, micro=2, threads=1, bf16=True)
# What launch, the ranks and mpirun say of every job that is stopped.
USUAL = re.compile(r"this run: |gpt2 of |step \d+/|stopping: |stopped after |mpirun|Primary job|a non-zero exit|the job to be|"
                   r"  Process name:|  Exit code:|-+$|$")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("seconds", type=float, nargs="?", default=3600)
    options = parser.parse_args()
    job = write_job(options.folder, **MODEL)
    metrics = fresh(options.folder)
    command = [TRANCHE, "launch", "-n", "4", "--port", "0", job, "zero_optimization.stage=3", "integrity.compare_every=1"]
    # A file takes all that is said: a pipe that nobody reads would stop the supervisor in the end.
    with open(options.folder / "log", "w+") as log, subprocess.Popen(command, stdout=subprocess.DEVNULL,
                                                                     stderr=log) as process:
        began = time.monotonic()
        try:
            process.wait(options.seconds)
            early = True
        except subprocess.TimeoutExpired:
            early = False
            process.send_signal(signal.SIGTERM)
        process.wait()
        log.seek(0)
        said = log.read().splitlines()
    taken = time.monotonic() - began
    steps = [json.loads(line) for line in metrics.read_text().splitlines()]
    print(f"{processor()}: 4 ranks, stage 3, {taken:.0f} s, {len(steps)} steps, exit code {process.returncode}")
    alarms = [line for line in said if not USUAL.match(line)]
    print("\n".join(alarms) if alarms else "no alarm")
    if early or alarms or process.returncode != 75:
        raise SystemExit("the job was disturbed, or was taken for so")


if __name__ == "__main__":
    main()
