"""A table of losses after each kind of compression. compression.sh starts it, which says how."""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

TRANCHE = Path(os.environ.get("TRANCHE", "build/release/tranche"))
JOB = Path(__file__).parent / "compression.jsonc"
FOLDER, TEACHER_STEPS, EXTRA_STEPS = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
SAMPLES = 400
WARMUP = 20
# Weights that are rounded want a small rate; what has lost weights learns back faster at a large one, in more steps.
GENTLE, QUICK = {"rate": 2e-4, "steps": EXTRA_STEPS}, {"rate": 1e-3, "steps": 2 * EXTRA_STEPS}


def tranche(*arguments):
    done = subprocess.run([TRANCHE, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"tranche {' '.join(map(str, arguments))}: {done.stderr}")
    return done.stdout


def settings(changes):
    """--set options. changes: by key, as JSON takes them."""
    texts = ((key, value if isinstance(value, str) else json.dumps(value)) for key, value in changes.items())
    return [part for key, text in texts for part in ("--set", f"{key}={text}")]


DATA = {"data.train": str(FOLDER / "train.h5"), "data.validation": str(FOLDER / "validation.h5")}


def made(name, make):
    """What `make` writes to a path, once: a stopped one is made again."""
    path = FOLDER / name
    if not path.exists():
        partial = FOLDER / (name + ".being-made")
        if partial.is_dir():
            shutil.rmtree(partial)
        partial.unlink(missing_ok=True)
        make(partial)
        partial.rename(path)
    return path


def trained(name, start=None, *, steps, rate, warmup=WARMUP, **changes):
    """A run of so many steps, from another run's parameters, or from nothing; one that was stopped goes on."""
    folder, done = FOLDER / name, FOLDER / name / "done"
    if not done.exists():
        origin = {} if start is None else {"checkpoint.start_from": str(start)}
        if start is not None and (start / "model.json").exists():
            origin["model"] = str(start / "model.json")
        tranche("train", JOB, "--resume", *settings({
            **DATA, "checkpoint.directory": str(folder), "steps": steps, "optimizer.params.lr": rate,
            "scheduler.params": {"total_num_steps": steps, "warmup_num_steps": warmup}, **origin, **changes}))
        done.touch()
        print(f"{name}: done", file=sys.stderr, flush=True)
    return folder


def rounded(name, of, bits, **shared):
    """A run's weights as they are, seen by a forward that quantizes: one step of no length."""
    return trained(name, of, steps=1, rate=0, **quantized(bits, **shared), **{
        "optimizer.params.weight_decay": 0,
        "scheduler": {"type": "WarmupLR", "params": {"warmup_max_lr": 0}}})


ROWS = {"group_columns": 100000}  # a scale for each row
TENSORS = {"quantize_groups": 1}  # one for each tensor: DeepSpeed's default


def quantized(bits, **shared):
    """Weights of blocks on so many bits."""
    return {"compression_training.weight_quantization": {
        "shared_parameters": {"enabled": True, **shared},
        "different_groups": {"all": {"params": {"start_bits": bits, "target_bits": bits}, "modules": ["blocks"]}}}}


def pruned(ratio, end=None, **shared):
    """Weights of blocks that become zero, in a schedule over the first `end` updates."""
    schedule = {} if end is None else {"schedule_offset_end": end, "schedule_offset_stride": 10}
    params = {} if ratio is None else {"dense_ratio": ratio}
    return {"compression_training.sparse_pruning": {
        "shared_parameters": {"enabled": True, "schedule_offset": WARMUP, **schedule, **shared},
        "different_groups": {"all": {"params": params, "modules": ["blocks"]}}}}


def taught(teacher, alpha, temperature):
    return {"distillation": {"teacher": str(teacher), "alpha": alpha, "temperature": temperature, "precision": "float32"}}


def packed(name, command, source, *options):
    return made(name + ".packed", lambda path: tranche("compress", command, source, "-o", path, *options))


def figures(model):
    """Parameters, bytes and loss; what was looked at before is remembered."""
    memory = FOLDER / "figures.json"
    known = json.loads(memory.read_text()) if memory.exists() else {}
    if str(model) not in known:
        text = tranche("compress", "report", JOB, model, "--samples", SAMPLES, *settings(DATA)).splitlines()
        row = next(line.split() for line in text if line.split()[0] == str(model))
        known[str(model)] = {"parameters": int(row[2]), "bytes": int(row[3]), "loss": float(row[9]), "rate": float(row[-1])}
        memory.write_text(json.dumps(known, indent=1))
    return known[str(model)]


class Table:
    def __init__(self):
        print("| | bytes | of float32 | loss | of float's | tokens/s |\n|---|---|---|---|---|---|", flush=True)

    def float(self, name, model):
        """What the rows behind it are compared with."""
        self.of = figures(model)
        print(f"| {name} | {self.of['bytes']} | | {self.of['loss']:.4f} | | {self.of['rate']:.0f} |", flush=True)
        return model

    def row(self, name, model, file=None):
        """model: what computes the loss; file: what holds it, if that is another."""
        loss, holds = figures(model)["loss"], figures(file or model)
        print(f"| {name} | {holds['bytes']} | {holds['bytes'] / self.of['bytes']:.1%} | {loss:.4f} "
              f"| {loss / self.of['loss'] - 1:+.2%} | {holds['rate']:.0f} |", flush=True)

    def recovered(self, better, than):
        """The part of what `than` loses against float that `better` does not."""
        part = (figures(than)["loss"] - figures(better)["loss"]) / (figures(than)["loss"] - self.of["loss"])
        return f"{part:.0%} recovered"


def quantization(table, teacher, full):
    table.row("int8, dynamic", packed("int8-dynamic", "quantize", full, "--scheme", "int8-dynamic"))
    ranges = made("ranges.json", lambda path: tranche("calibrate", full, "-o", path))
    table.row("int8, static", packed("int8-static", "quantize", full, "--scheme", "int8-static", "--ranges", ranges))
    table.row("int4, groups of 64", packed("int4", "quantize", full, "--scheme", "int4-weight"))

    aware, learned = ("trained aware of it", {}), ("with learned steps", {"learned_step_sizes": True})
    for name, bits, scales, ways in (("int4-tensors", 4, TENSORS, {"aware": aware, "learned": learned}),
                                     ("int4-rows", 4, ROWS, {"aware": aware, "learned": learned}),
                                     ("ternary-rows", 2, ROWS, {"aware": aware})):
        title = name.replace("-", " ")
        nearest = rounded(f"{name}-nearest", full, bits, **scales)
        table.row(f"{title}, rounded to nearest", nearest, packed(f"{name}-nearest", "convert", nearest))
        for way, (what, shared) in ways.items():
            run = trained(f"{name}-{way}", teacher, **GENTLE, **quantized(bits, **scales, **shared))
            table.row(f"{title}, {what} ({table.recovered(run, nearest)})", run, packed(f"{name}-{way}", "convert", run))


def sparsity(table, teacher):
    for name, what in (("half of the weights", pruned(0.5, EXTRA_STEPS)),
                       ("two of four", pruned(None, EXTRA_STEPS, block_pattern="2:4")),
                       ("a tenth of the weights", pruned(0.1, EXTRA_STEPS))):
        run = trained("sparse-" + name.replace(" ", "-"), teacher, **QUICK, **what)
        table.row(f"{name} left", run, packed(run.name, "convert", run))


def structure(table, teacher, full):
    small = made("small", lambda path: tranche("compress", "prune-structure", teacher, "--heads", 0.5, "--neurons", 0.5,
                                               "-o", path))
    table.row("half of heads and neurons removed", small)
    alone = trained("small-alone", small, **QUICK)
    table.row("the same, trained on", alone)
    student = trained("small-taught", small, **QUICK, **taught(full, 1, 2))
    table.row(f"the same, taught by float32 ({table.recovered(student, alone)})", student)

    # Where text is plenty, a teacher says little that the text does not.
    few = {"data.train": str(FOLDER / "few.h5")}
    short = {**QUICK, "steps": EXTRA_STEPS}
    stopped = trained("small-few-stopped", small, **{**short, "steps": EXTRA_STEPS // 4}, **few)
    table.row("the same, trained on a twentieth of the text, a quarter of the steps", stopped)
    alone = trained("small-few-alone", small, **short, **few)
    table.row("the same, trained on a twentieth of the text", alone)
    student = trained("small-few-taught", small, **short, **few, **taught(full, 1, 2))
    better = min(alone, stopped, key=lambda run: figures(run)["loss"])
    table.row(f"the same, taught on a twentieth of the text ({table.recovered(student, alone)}; "
              f"of the better of the two, {table.recovered(student, better)})", student)


def low_rank(table, teacher):
    for name, title, options in (("low", "low rank, half the size", ()),
                                 ("low-by-outputs", "low rank by outputs, half the size", ("--error", "outputs"))):
        low = made(name, lambda path, options=options: tranche("compress", "low-rank", teacher, "--size", 0.5, *options,
                                                               "-o", path))
        table.row(title, low)
        table.row("the same, trained on", trained(f"{name}-on", low, **QUICK))


def rows():
    table = Table()
    teacher = trained("teacher", steps=TEACHER_STEPS, rate=1.5e-3, warmup=100)
    full = table.float(f"float32, {EXTRA_STEPS} more steps", trained("float", teacher, **GENTLE))
    table.row("the same before the extra steps", teacher)
    quantization(table, teacher, full)
    full = table.float(f"float32, {2 * EXTRA_STEPS} more steps", trained("float-quick", teacher, **QUICK))
    sparsity(table, teacher)
    structure(table, teacher, full)
    low_rank(table, teacher)


if __name__ == "__main__":
    rows()
