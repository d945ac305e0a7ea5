"""What the benchmarks that train share: a job file, and a run of a few steps that is killed before it would save."""
import json
import os
import shutil
import statistics
import subprocess
import time
from pathlib import Path

RELEASE = Path("build/release")
TRANCHE = RELEASE / "tranche"
# Ranks may outnumber cores, and the user may be root.
MPI = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_rmaps_base_oversubscribe": "1",
       "OMPI_MCA_mpi_yield_when_idle": "1", "OMPI_MCA_hwloc_base_binding_policy": "none"}


def write_job(folder, **values):
    """From job.jsonc: layers, heads, width, length, vocabulary, samples, micro, threads, bf16."""
    text = (Path(__file__).parent / "job.jsonc").read_text()
    values["bf16"] = str(values["bf16"]).lower()
    for key, value in dict(values, folder=folder).items():
        text = text.replace(f"@{key}@", str(value))
    path = Path(folder) / "job.jsonc"
    path.write_text(text)
    return path


def command(arguments, ranks=1):
    mpirun = ["mpirun", "-np", str(ranks)] if ranks > 1 else []
    return [*mpirun, TRANCHE, *arguments]


def fresh(folder):
    shutil.rmtree(Path(folder) / "run", ignore_errors=True)
    return Path(folder) / "run" / "metrics.jsonl"


def tranche_steps(job, folder, steps, ranks=1, changes=(), start=command):
    """The medians of some steps; the first, which warms up, does not count. One rank is killed before it would save;
    several end by themselves, as MPI's shared memory would otherwise stay behind. changes: as --set takes them. start: what makes a command line."""
    metrics = fresh(folder)
    arguments = start(["train", job, "--set", f"steps={steps + (2 if ranks == 1 else 1)}",
                         *(part for change in changes for part in ("--set", change))], ranks)
    status, lines = "", []
    with open(Path(folder) / "log", "w+") as log, subprocess.Popen(arguments, stderr=log, stdout=log,
                                                                   env={**os.environ, **MPI}) as process:
        while process.poll() is None and (ranks > 1 or len(lines) <= steps):
            time.sleep(0.02)
            lines = metrics.read_text().split("\n")[:-1] if metrics.exists() else []
        if process.poll() is None:
            status = Path(f"/proc/{process.pid}/status").read_text()
            process.kill()
        lines = metrics.read_text().split("\n")[:-1] if metrics.exists() else []
        if len(lines) <= steps:
            log.seek(0)
            raise SystemExit(f"tranche ended with {process.returncode}: {log.read()}")
    told = [json.loads(line) for line in lines[1 : steps + 1]]
    state = sum(told[-1]["peak_bytes"][category] for category in ("parameters", "gradients", "optimizer"))
    return {"rate": statistics.median(each["tokens_per_second"] for each in told), "loss": told[-1]["loss"],
            "peak": resident(status), "state": state}


def resident(status):
    """The peak, bytes; 0 where nobody looked."""
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return "unknown processor"
