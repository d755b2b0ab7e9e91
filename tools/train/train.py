"""Train the bundled model: python tools/train/train.py OUT [--minutes N]. Run again with the same OUT, it goes on.

OUT gets tokenizer.model, state.pt (weights, optimizer, time spent) every five minutes, log.csv and samples.txt.
"""

import argparse
import json
import math
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")       # before torch: waiting threads must not burn a shared core

import numpy as np
import sentencepiece
import torch
import torch.nn.functional as F

import corpus
import vocab
from model import Llama

HERE = Path(__file__).parent
PROMPTS = ("Once upon a time", "Building a website can be done in 10 simple steps",
           "User: Hello\nBob: Hello! What can I do for you?\nUser: What is 7 plus 5?\nBob:",
           "### Instruction:\nWrite a story about a fox and a kite.\n\n### Response:\n",
           "USER: What is the capital of France?\nASSISTANT:")


class Batches:
    """Documents in rows. Each row begins with a whole one: what a text refers to is nearly always in its row."""

    def __init__(self, sp, seed, tokens):
        self.documents, self.sp, self.tokens = corpus.documents(seed), sp, tokens

    def next(self, length):
        """(tokens // length, length + 1) int64."""
        return torch.from_numpy(np.stack([self.row(length + 1) for _ in range(self.tokens // length)]))

    def row(self, length):
        row = []
        while len(row) < length:
            row += corpus.ids(next(self.documents), self.sp)
        return np.array(row[:length])


def loss_of(model, tokens):
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(tokens[:, :-1])
    return F.cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten())


@torch.no_grad()
def sample(model, sp, prompt, n=160, temperature=0.7, seed=1):
    model.eval()
    generator = torch.Generator().manual_seed(seed)
    ids = [sp.bos_id(), *sp.encode(prompt)]
    for _ in range(n):
        logits = model(torch.tensor([ids[-511:]]))[0, -1] / temperature
        ids.append(int(torch.multinomial(logits.softmax(-1), 1, generator=generator)))
        if ids[-1] == sp.eos_id():
            break
    model.train()
    return sp.decode(ids[1:]) + ("</s>" if ids[-1] == sp.eos_id() else "")


@torch.no_grad()
def held_out(model, sp, tokens):
    """Nats per token on documents that are never trained on."""
    batches = Batches(sp, corpus.HELD_OUT, tokens)
    return sum(float(loss_of(model, batches.next(512))) for _ in range(6)) / 6


def share_at(done, c):
    """Share of the full learning rate when `done` of the time (0 to 1) is spent: a ramp, then half a cosine."""
    if done < c["warmup"]:
        return 0.02 + 0.98 * done / c["warmup"]
    wave = 0.5 + 0.5 * math.cos(math.pi * (done - c["warmup"]) / (1 - c["warmup"]))
    return c["share_end"] + (1 - c["share_end"]) * wave


def optimizers_of(model, c):
    """Muon for the matrices within the layers, AdamW for embedding, output and norms."""
    inner = [weight for weight in model.model.layers.parameters() if weight.dim() == 2]
    others = [weight for weight in model.parameters() if all(weight is not other for other in inner)]
    return [torch.optim.Muon([{"params": inner, "full": c["rate_muon"]}], lr=c["rate_muon"], weight_decay=c["decay"]),
            torch.optim.AdamW([{"params": others, "full": c["rate_adam"]}], lr=c["rate_adam"], betas=tuple(c["betas"]),
                              weight_decay=0.0, fused=True)]


def save(path, **state):
    torch.save(state, path.with_suffix(".new"))
    os.replace(path.with_suffix(".new"), path)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--minutes", type=float)
    arguments = arguments.parse_args()
    config = json.loads((HERE / "config.json").read_text())
    c, out = config["train"], arguments.out
    seconds = 60 * (arguments.minutes or c["minutes"])
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(2)
    torch.manual_seed(config["seed"])

    tokenizer = out / "tokenizer.model"
    if not tokenizer.exists():
        tokenizer.write_bytes(vocab.train(config["seed"], config["vocab"]["documents"], config["vocab"]["size"]))
    sp = sentencepiece.SentencePieceProcessor(model_file=str(tokenizer))
    model = Llama(config["model"], config["vocab"]["size"])
    optimizers = optimizers_of(model, c)
    spent, step, seen = 0.0, 0, 0
    if (out / "state.pt").exists():
        state = torch.load(out / "state.pt")
        model.load_state_dict(state["model"])
        for optimizer, before in zip(optimizers, state["optimizers"]):
            optimizer.load_state_dict(before)
        spent, step, seen = state["spent"], state["step"], state["seen"]
    print(f"{sum(weight.numel() for weight in model.parameters())} parameters, {spent:.0f} s and {step} steps done")

    batches = Batches(sp, config["seed"] + step, c["batch"] * c["length"])
    saved = logged = before = time.monotonic()
    losses = []
    while spent < seconds:
        share = share_at(spent / seconds, c)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["full"] * share
        tokens = batches.next(c["length"] * (2 if step % c["long_every"] == 0 else 1))
        loss = loss_of(model, tokens)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), c["clip"])
        for optimizer in optimizers:
            optimizer.step()
        model.zero_grad(set_to_none=True)
        step, seen = step + 1, seen + c["batch"] * c["length"]
        losses.append(float(loss.detach()))
        now = time.monotonic()
        spent, before = spent + now - before, now
        if now - logged > 20:
            with open(out / "log.csv", "a") as log:
                print(f"{spent:.0f},{step},{seen},{share:.4f},{np.mean(losses):.4f}", file=log)
            losses, logged = [], now
        if now - saved > 300 or spent >= seconds:
            states = [optimizer.state_dict() for optimizer in optimizers]
            save(out / "state.pt", model=model.state_dict(), optimizers=states, spent=spent, step=step, seen=seen)
            loss = held_out(model, sp, c["batch"] * c["length"])
            with open(out / "samples.txt", "a") as samples:
                print(f"==== {spent:.0f} s, {seen} tokens, held-out loss {loss:.4f}",
                      *(sample(model, sp, prompt) for prompt in PROMPTS), sep="\n\n", file=samples)
            saved = before = time.monotonic()       # the time of the samples does not count


if __name__ == "__main__":
    main()
