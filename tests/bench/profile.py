"""Where the time of a step goes, by the profiler perf: GPT-2 124M, 4 x 256 tokens, bf16, two threads.

profile.sh starts it.
Samples of the processor's clock, on every thread, from the second step on.
"""
import argparse
import collections
import os
import re
import subprocess
import time
from pathlib import Path

from runs import TRANCHE, fresh, processor, write_job

# The first that matches "object symbol" counts.
PARTS = [
    ("matrix products, by oneDNN", r"\[JIT\]|perf-\d+\.map|libdnnl|dnnl::|^\S+ 0x"),
    ("products: their tiles rounded, laid out and added",
     r"round_tile|add_tile|linear|gemm|[Pp]ack|add_columns|bias_gradient"),
    ("attention",
     r"attention|group_gradient|[Pp]anel|forward_queries|attend|add_product|compute_weights|row_delta|rotary"),
    ("cross-entropy", r"cross_entropy|CrossEntropy"),
    ("activation", r"[Aa]ctivation|gelu"),
    ("layer norm", r"[Nn]orm(?!al)"),
    ("optimizer", r"adam|Adam|update_all"),
    ("gradient norm and sums", r"sum_squares|ScaleAndSum|accumulate|non_finite"),
    ("embedding", r"[Ee]mbedding|gather_rows|scatter"),
    ("elementwise, copies, zeros", r"elementwise|convert|Add|store|memmove|memcpy|memset|Dropout|fill"),
    ("waiting for the other thread", r"ThreadPool|futex|libgomp|sched_yield|pthread_cond|barrier|pause"),
    ("the kernel", r"\[kernel|\[k\]|\[unknown\]"),
    ("the rest", r""),
]


def parts_of(report):
    shares = collections.defaultdict(float)
    left = []
    for line in report.splitlines():
        if line.startswith("#") or ";" not in line:
            continue
        share, *rest = (field.strip() for field in line.split(";"))
        text, percent = " ".join(rest), float(share.rstrip("%"))
        part = next(name for name, pattern in PARTS if re.search(pattern, text))
        shares[part] += percent
        if part == "the rest":
            left.append((percent, text))
    return shares, left


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--float32", action="store_true")
    options = parser.parse_args()
    job = write_job(options.folder, layers=12, width=768, heads=12, vocabulary=50304, length=options.length,
                    samples=options.samples, micro=options.samples, threads=2, bf16=not options.float32)
    metrics, data = fresh(options.folder), options.folder / "perf.data"
    with subprocess.Popen([TRANCHE, "train", job], stderr=subprocess.DEVNULL) as process:
        while not (metrics.exists() and metrics.read_text().count("\n") >= 2):
            if process.poll() is not None:
                raise SystemExit(f"tranche ended with {process.returncode}")
            time.sleep(0.02)
        record = ["perf", "record", "-q", "-o", data, "-F", "499", "-e", "cpu-clock", "-p", str(process.pid)]
        subprocess.run([*record, "--", "sleep", str(options.seconds)], check=True, stdout=subprocess.DEVNULL)
        process.kill()
    report = subprocess.run(["perf", "report", "-i", data, "--no-children", "-F", "overhead,dso,sym", "-t", ";",
                             "--stdio"], check=True, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL).stdout
    shares, left = parts_of(report)
    print(f"{processor()}, 2 threads, {options.samples} x {options.length} tokens, "
          f"{'float32' if options.float32 else 'bf16'}, {options.seconds:.0f} s.\n")
    print("| part | share of the samples |\n|---|---|")
    for name, share in sorted(shares.items(), key=lambda pair: -pair[1]):
        print(f"| {name} | {share:.1f} % |")
    for percent, text in left[:8] if os.environ.get("PROFILE_REST") else []:
        print(f"{percent:.2f} {text[:160]}")


if __name__ == "__main__":
    main()
