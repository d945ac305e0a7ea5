"""What a step, a save and a start cost as work grows. scaling.sh starts it."""
import argparse
import math
import mmap
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from runs import MPI, command, fresh, processor, tranche_steps, write_job

BASE = dict(layers=4, heads=4, width=256, length=256, vocabulary=256, samples=4, micro=4, threads=1, bf16=False)
SWEEPS = {
    "layers": [dict(layers=n) for n in (4, 8, 16)],
    "width": [dict(width=n, heads=n // 64) for n in (256, 512, 1024)],
    "length": [dict(length=n, samples=1, micro=1) for n in (512, 1024, 2048)],
    "micro-batches": [dict(samples=4 * n) for n in (1, 2, 4)],
}
BLOCK = 8 << 20  # of plain reading and writing, bytes


def exponent(xs, ys):
    """The slope of log y over log x by least squares."""
    xs, ys = [math.log(x) for x in xs], [math.log(y) for y in ys]
    x0, y0 = statistics.mean(xs), statistics.mean(ys)
    return sum((x - x0) * (y - y0) for x, y in zip(xs, ys)) / sum((x - x0) ** 2 for x in xs)


def step_seconds(folder, values, steps, ranks=1):
    """The median, of float32 steps with one thread a rank."""
    shape = dict(BASE, **values)
    rate = tranche_steps(write_job(folder, **shape), folder, steps, ranks)["rate"]
    return shape["samples"] * shape["length"] / rate


def steps_table(folder, steps):
    print("Seconds a step as one measure of the work grows, and the exponent of a fitted power: 4 layers of width 256,"
          "\n4 x 256 tokens in one micro-batch (length: 1 x T), float32, one rank of one thread.\n")
    print("| what grows | values | seconds a step | exponent |\n|---|---|---|---|")
    for name, sweep in SWEEPS.items():
        xs = [each["samples"] // 4 if name == "micro-batches" else each[name] for each in sweep]
        ys = [step_seconds(folder, each, steps) for each in sweep]
        print(f"| {name} | {', '.join(map(str, xs))} | {', '.join(f'{y:.3f}' for y in ys)} | {exponent(xs, ys):.2f} |",
              flush=True)


def ranks_table(folder, steps):
    print("\nThe same 8 micro-batches on one rank and on two, one thread each: 8 layers of width 256,"
          "\n2 x 256 tokens.\n")
    print("| dtype | 1 rank, seconds a step | 2 ranks | speed-up |\n|---|---|---|---|")
    for bf16 in (False, True):
        work = dict(layers=8, samples=16, micro=2, bf16=bf16)
        pairs = [(step_seconds(folder, work, steps), step_seconds(folder, work, steps, 2)) for _ in range(3)]
        one, two = (statistics.median(side) for side in zip(*pairs))
        speed_up = statistics.median(a / b for a, b in pairs)
        print(f"| {'bf16' if bf16 else 'float32'} | {one:.3f} | {two:.3f} | {speed_up:.2f} |", flush=True)


def stages_table(folder, steps):
    """Ways of dividing one step's work on two cores, in turns."""
    work = dict(layers=6, heads=6, width=384, length=256, samples=48, micro=12, bf16=True, vocabulary=256)
    ways = [(2, 1, 0), (2, 1, 2), (2, 1, 3), (1, 2, 0)]  # ranks, threads of each, stage
    rates = {way: [] for way in ways}
    for _ in range(3):
        for ranks, threads, stage in ways:
            job = write_job(folder, threads=threads, **work)
            rates[ranks, threads, stage].append(
                tranche_steps(job, folder, steps, ranks, [f"zero_optimization.stage={stage}"])["rate"])
    print("\nThe 6 x 384 byte model, 12 x 256 tokens in each of four micro-batches, bf16: three rounds in turns.\n")
    print("| ranks x threads | stage | tokens a second | to stage 0 of two ranks |\n|---|---|---|---|")
    for (ranks, threads, stage), each in rates.items():
        ratio = statistics.median(mine / first for mine, first in zip(each, rates[ways[0]]))
        print(f"| {ranks} x {threads} | {stage} | {', '.join(f'{rate:.0f}' for rate in each)} | {ratio:.2f} |", flush=True)


def wall(arguments):
    begin = time.monotonic()
    subprocess.run(command(arguments), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   env={**os.environ, **MPI})
    return time.monotonic() - begin


def seconds_until_ready(arguments):
    """Until the model is there and filled, when the log tells its size. Then the run is ended."""
    begin = time.monotonic()
    with subprocess.Popen(command(arguments), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                          env={**os.environ, **MPI}) as process:
        ready = next((time.monotonic() for line in process.stderr if "parameters, ZeRO stage" in line), None)
        process.kill()
    if ready is None:
        raise SystemExit(f"{arguments}: the run ended before it began")
    return ready - begin


def tiny_job(folder):
    return write_job(folder, **dict(BASE, layers=1, width=64, heads=1, length=16, samples=1, micro=1))


def start_seconds(folder):
    fresh(folder)
    return wall(["train", tiny_job(folder), "--set", "steps=1"])


def start_table(folder):
    print("\nStart and end of one rank, medians of 7.\n\n| command | seconds |\n|---|---|")
    version = statistics.median(wall(["version"]) for _ in range(7))
    train = statistics.median(start_seconds(folder) for _ in range(7))
    print(f"| `tranche version` | {version:.3f} |\n| `tranche train`, one step of a tiny job, saved | {train:.3f} |")


def forget(files):
    """Drops the files from the page cache, so that reading them reads the disk; needs no rights."""
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def plain_write(path, size):
    """Seconds to write and sync as many bytes in one file."""
    block = os.urandom(BLOCK)
    begin = time.monotonic()
    with open(path, "wb", buffering=0) as file:
        for at in range(0, size, BLOCK):
            file.write(block[: min(BLOCK, size - at)])
        os.fsync(file.fileno())
    return time.monotonic() - begin


def plain_read(path):
    begin = time.monotonic()
    with open(path, "rb", buffering=0) as file:
        while file.read(BLOCK):
            pass
    return time.monotonic() - begin


def plain_read_to_keep(path, size):
    """The same to memory that nobody has touched before, as a loaded model's: its pages are made on the way."""
    begin = time.monotonic()
    with mmap.mmap(-1, size) as memory, open(path, "rb", buffering=0) as file:
        memory.madvise(mmap.MADV_HUGEPAGE)
        with memoryview(memory) as into:
            at = 0
            while at < size:
                at += file.readinto(into[at : at + BLOCK])
        return time.monotonic() - begin


def checkpoint(folder, layers):
    """Bytes, seconds to save, to write as much, to load, to read as much twice: medians of three turns."""
    job = write_job(folder, **dict(BASE, layers=layers, width=768, heads=12, length=64, samples=1, micro=1, threads=2))
    plain = folder / "plain"
    turns = []
    for _ in range(3):
        metrics = fresh(folder)
        wall(["train", job, "--set", "steps=1"])
        saved = (metrics.parent / "latest").stat().st_mtime_ns - metrics.stat().st_mtime_ns
        files = [file for file in metrics.parent.rglob("*") if file.is_file()]
        size = sum(file.stat().st_size for file in files)
        written = plain_write(plain, size)
        forget([plain, *files])
        loaded = seconds_until_ready(["train", job, "--set", "steps=1", "--resume"])
        read = plain_read(plain)
        forget([plain])
        kept = plain_read_to_keep(plain, size)
        plain.unlink()
        fresh(folder)
        loaded -= seconds_until_ready(["train", job, "--set", "steps=1"])
        turns.append((size, saved / 1e9, written, loaded, read, kept))
    return [statistics.median(side) for side in zip(*turns)]


def checkpoints_table(folder):
    print("\nCheckpoints beside plain sequential files of as many bytes, one rank. Saving is from the step's end to the"
          "\nname `latest`, synced. Loading is what a resumed run takes until its model is ready, less what"
          "\na fresh run of the same job takes; files were dropped from this system's page cache before. Reading is"
          "\nto 8 MB again and again, and to memory not touched before, as a model's is.\n")
    print("| MB | save, s | write and sync, s | save / write | load, s | read, s | read to keep, s | load / read |")
    print("|---|---|---|---|---|---|---|---|")
    rows = []
    for layers in (2, 6, 18):
        size, saved, written, loaded, read, kept = checkpoint(folder, layers)
        rows.append((size, saved, loaded))
        print(f"| {size / 1e6:.0f} | {saved:.2f} | {written:.2f} | {saved / written:.2f} | {loaded:.2f} | {read:.2f} "
              f"| {kept:.2f} | {loaded / read:.2f} |", flush=True)
    sizes, saves, loads = zip(*rows)
    print(f"\nExponents of the bytes: save {exponent(sizes, saves):.2f}, load {exponent(sizes, loads):.2f}.")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", choices=("steps", "ranks", "stages", "start", "checkpoints"), action="append")
    parser.add_argument("--steps", type=int, default=2)
    options = parser.parse_args()
    tables = {"steps": lambda: steps_table(options.folder, options.steps),
              "ranks": lambda: ranks_table(options.folder, options.steps),
              "stages": lambda: stages_table(options.folder, options.steps),
              "start": lambda: start_table(options.folder),
              "checkpoints": lambda: checkpoints_table(options.folder)}
    print(f"{processor()}, {os.cpu_count()} cores.\n", flush=True)
    for name in options.only or tables:
        tables[name]()
        sys.stdout.flush()


if __name__ == "__main__":
    main()
