"""Trains the model of a job file in PyTorch, a few steps at a time: the peer that compare.py holds Tranche against.

    train_torch.py JOB eager|compile [WAY ADAM]

WAY is float32, autocast or master, ADAM fused or foreach; without them the fastest that fit the job's dtype are found
by trying. Reads a
number of steps from each line of standard input and answers with a line of JSON: the seconds of each, and what is
resident. README.md says what was tuned.
"""
import json
import math
import statistics
import sys
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):  # x: (samples, length, width)
        samples, length, width = x.shape
        qkv = self.qkv(self.norm1(x)).view(samples, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.output(y.transpose(1, 2).reshape(samples, length, width))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class Gpt2(nn.Module):
    """Pre-norm, learned positions, a head tied to the embedding, no dropout; gives the loss."""

    def __init__(self, config):
        super().__init__()
        width, layers = config["n_embd"], config["n_layer"]
        self.embedding = nn.Embedding(config["vocab_size"], width)
        self.positions = nn.Embedding(config["n_positions"], width)
        self.blocks = nn.ModuleList(Block(width, config["n_head"]) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                into_stream = name.endswith(("output.weight", "down.weight"))
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * layers) if into_stream else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, tokens, targets):  # both: (samples, length)
        x = self.embedding(tokens) + self.positions.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.norm(x), self.embedding.weight)
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))


class Trainer:
    """float32; autocast: float32 parameters, bfloat16 products; master: bfloat16 parameters, gradients and activations,
    of which the optimizer keeps float32 masters."""

    def __init__(self, job, compiled, way, adam):
        self.job, self.way, self.adam = job, way, adam
        model = Gpt2(job["model"])
        if way == "master":
            model = model.bfloat16()
        self.parameters = list(model.parameters())
        self.masters = [p.detach().float() for p in self.parameters] if way == "master" else self.parameters
        self.step_function = torch.compile(model) if compiled else model
        self.use(adam)
        self.next_sample = 0

    def use(self, adam):
        """With a fresh state, after that of another implementation is gone."""
        params = self.job["optimizer"]["params"]
        self.adam, self.optimizer = adam, None
        self.optimizer = torch.optim.AdamW(self.masters, lr=params["lr"], betas=params["betas"], eps=1e-8,
                                           weight_decay=params["weight_decay"], **{adam: True})

    def batch(self, text):
        samples, length = self.job["train_batch_size"], self.job["data"]["sequence_length"]
        first = [(self.next_sample + i) % ((len(text) - 1) // length) * length for i in range(samples)]
        self.next_sample += samples
        windows = torch.stack([text[at : at + length + 1] for at in first]).long()
        return windows[:, :-1].contiguous(), windows[:, 1:].contiguous()

    def backward(self, text):
        tokens, targets = self.batch(text)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.way == "autocast"):
            loss = self.step_function(tokens, targets)
        loss.backward()
        return loss

    def step(self, text):
        loss = self.backward(text)
        self.update()
        return loss.item()

    @torch.no_grad()
    def update(self, keep=False):
        if self.way == "master":
            gradients = [p.grad for p in self.parameters]
            for master in self.masters:
                if master.grad is None:
                    master.grad = torch.empty_like(master)
            torch._foreach_copy_([m.grad for m in self.masters], gradients)
        nn.utils.clip_grad_norm_(self.masters, self.job["gradient_clipping"], foreach=True)
        self.optimizer.step()
        if self.way == "master":
            torch._foreach_copy_(self.parameters, self.masters)
        for parameter in self.parameters if not keep else ():
            parameter.grad = None

    def state_bytes(self):
        """Of parameters, gradients and optimizer state, each of which is there at the peak."""
        tensors = list(self.parameters)
        gradients = list(self.parameters)
        if self.way == "master":
            tensors += self.masters
            gradients += self.masters
        for state in self.optimizer.state.values():
            tensors += [value for value in state.values() if torch.is_tensor(value)]
        return sum(t.numel() * t.element_size() for t in tensors + gradients)


def timed(trainer, text, steps):
    seconds, loss = [], math.nan
    for _ in range(steps):
        begin = time.perf_counter()
        loss = trainer.step(text)
        seconds.append(time.perf_counter() - begin)
    return seconds, loss


def faster_adam(trainer, text):
    """Takes the faster of PyTorch's two vectorised implementations, by the seconds of an update alone."""
    seconds = {}
    trainer.backward(text)
    for adam in ("foreach", "fused"):
        trainer.use(adam)
        trainer.update(keep=True)  # makes the state
        begin = time.perf_counter()
        trainer.update(keep=True)
        seconds[adam] = time.perf_counter() - begin
    trainer.update()
    trainer.use(min(seconds, key=seconds.get))


def prepare(job, compiled, ways, text):
    """The trainer that is fastest, warm."""
    best = None
    for way in ways:
        trainer = Trainer(job, compiled, way, "fused")
        faster_adam(trainer, text)
        trainer.step(text)
        seconds = min(timed(trainer, text, 2)[0]) if len(ways) > 1 else 0
        if best is None or seconds < best[0]:
            best = (seconds, trainer)
        trainer = None
    return best[1]


def peak_resident():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return 0


def main():
    source, mode, *given = sys.argv[1:]
    lines = Path(source).read_text().splitlines()
    job = json.loads("\n".join(line for line in lines if not line.startswith("//")))
    torch.manual_seed(job["seed"])
    torch.set_num_threads(job["device"]["threads"])
    text = torch.frombuffer(bytearray(Path(job["data"]["train"]).with_suffix(".txt").read_bytes()), dtype=torch.uint8)
    if given:
        trainer = Trainer(job, mode == "compile", *given)
    else:
        ways = ["autocast", "master"] if job["bf16"]["enabled"] else ["float32"]
        trainer = prepare(job, mode == "compile", ways, text)
    for line in sys.stdin:
        seconds, loss = timed(trainer, text, int(line))
        answer = {"seconds": seconds, "loss": loss, "way": f"{trainer.way}, {trainer.adam}",
                  "peak": peak_resident(), "state": trainer.state_bytes()}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
