#!/usr/bin/env python3
"""What training a published mixture costs on 1, 8 and 64 GPUs, by arithmetic: time, memory, traffic.

    python3 -B recipes/scaling/estimate.py            # the tables of docs/scaling.md
    python3 -B recipes/scaling/estimate.py --write    # puts them there

Nothing is measured here. docs/scaling.md says which rates are measured, which are a maker's figures, and which assumed.
"""

import argparse
import dataclasses
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs/scaling.md"

BFLOAT16, FLOAT32 = 2, 4
ADAMW = 2 * FLOAT32  # two moments a trained weight


@dataclasses.dataclass(frozen=True)
class Machine:
    """One GPU and what joins it to others; maker's figures."""

    name: str = "H200"
    products: float = 989e12  # FLOP/s, bfloat16, dense
    memory: float = 4.8e12  # bytes/s
    room: float = 141e9  # bytes
    link: float = 450e9  # bytes/s to the other GPUs of the same host, one direction
    network: float = 50e9  # bytes/s between hosts, one GPU's share: 400 Gbit/s
    share: float = 0.4  # of `products` that a step reaches: assumed
    a_host: int = 8

    def usable(self):
        """Bytes: the rest is the allocators' and the driver's."""
        return 0.9 * self.room

    def between(self, gpus):
        """Bytes a second that one GPU sends to all others at once."""
        return self.link if gpus <= self.a_host else self.network


@dataclasses.dataclass(frozen=True)
class Geometry:
    """A mixture, as its config.json has it."""

    name: str
    layers: int
    width: int
    heads: int
    key_heads: int
    head: int
    experts: int
    chosen: int
    hidden: int
    vocabulary: int
    tied: bool
    routed_heads: bool = False  # attention is a mixture too: JetMoE

    def expert(self):
        return 3 * self.width * self.hidden

    def attention_module(self):
        """Queries and output: of all heads, or of one module where these are chosen."""
        return 2 * self.width * self.heads * self.head

    def keys_and_values(self):
        return 2 * self.width * self.key_heads * self.head

    def layer(self, experts, attention_modules):
        return (self.keys_and_values() + attention_modules * self.attention_module() + experts * self.expert() +
                self.width * (self.experts + (self.experts if self.routed_heads else 0)))

    def weights(self):
        """All; norms and biases, some millionths, aside."""
        head = self.vocabulary * self.width * (1 if self.tied else 2)
        return head + self.layers * self.layer(self.experts, self.experts if self.routed_heads else 1)

    def active(self):
        """That a token is multiplied with, the head's among them."""
        head = self.vocabulary * self.width
        return head + self.layers * self.layer(self.chosen, self.chosen if self.routed_heads else 1)

    def spread(self):
        """That expert parallelism spreads: modules of routed banks."""
        attention = self.experts * self.attention_module() if self.routed_heads else 0
        return self.layers * (self.experts * self.expert() + attention)

    def queries(self):
        return self.heads * (self.chosen if self.routed_heads else 1)

    def scores(self, context):
        """FLOP a token of a forward pass for scores and what they weight, the causal half."""
        return self.layers * 2 * 2 * self.queries() * self.head * context / 2

    def activations(self, context):
        """Bytes a token that a bfloat16 pass keeps, by the formulas of core/training/memory_plan.h."""
        read = self.queries() * self.head
        attention = (8 + 3 * BFLOAT16) * self.width + BFLOAT16 * (2 * self.width + 3 * read)
        experts = (8 + BFLOAT16) * self.width + BFLOAT16 * self.chosen * (2 * self.width + 3 * self.hidden)
        return self.layers * (attention + experts + 12 * self.experts + 28 * self.chosen)


GRANITE = Geometry("Granite-3.0-3b-a800m", 32, 1536, 24, 8, 64, 40, 8, 512, 49155, True)
JETMOE = Geometry("JetMoE-8B", 24, 2048, 16, 16, 128, 8, 2, 5632, 32000, True, routed_heads=True)
QWEN = Geometry("Qwen3-30B-A3B", 48, 2048, 32, 4, 128, 128, 8, 768, 151936, False)
MODELS = (GRANITE, JETMOE, QWEN)


@dataclasses.dataclass(frozen=True)
class Work:
    """A training: what is trained, and on how much."""

    name: str
    new_experts: int  # a layer, trained beside frozen ones; 0 = everything is trained
    tokens: float = 1e9
    step: int = 524288  # tokens of all GPUs
    context: int = 2048
    at_once: int = 8192  # tokens of one GPU in one pass; fewer where these don't fit, down to one window

    def trained(self, model):
        return self.new_experts * model.layers * model.expert() if self.new_experts else model.weights()

    def flop(self, model):
        """A token: forward, the gradient of what layers read, and that of trained weights, two each a weight. A new
        expert takes as large a share of tokens as one of all."""
        forward = 2 * model.active() + model.scores(self.context)
        used = (model.active() if not self.new_experts else
                self.trained(model) * model.chosen / (model.experts + self.new_experts))
        return forward + 2 * model.active() + 2 * model.scores(self.context) + 2 * used


EXTEND = Work("extend, one expert a layer", 1)
TRAIN = Work("train, everything", 0)


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of one GPU; seconds of a step unless they say otherwise."""

    memory: float  # bytes
    at_once: int  # tokens of a pass
    compute: float
    weights: float  # reading and updating them
    gradients: float
    rows: float
    gradient_bytes: float  # a step, sent by one GPU
    row_bytes: float
    hours: float  # of all steps


def cost(model, work, gpus, machine=Machine(), spread=False):
    """With `spread` the modules lie over the GPUs of a host instead of whole on each."""
    over = min(gpus, machine.a_host) if spread else 1
    everything = model.weights()
    held_share = (model.spread() / over + everything - model.spread()) / everything
    frozen = everything * BFLOAT16 * held_share if work.new_experts else 0
    trained = work.trained(model)
    held = trained / over if work.new_experts else trained * held_share
    state = held * (2 * FLOAT32 + ADAMW)
    own_tokens = work.step / gpus
    at_once = min(work.at_once, own_tokens)
    while at_once > work.context and frozen + state + at_once * model.activations(work.context) > machine.usable():
        at_once /= 2
    compute = own_tokens * work.flop(model) / (machine.share * machine.products)
    reading = own_tokens / at_once * 3 * everything * held_share * BFLOAT16
    weights = (reading + held * (3 * FLOAT32 + 2 * ADAMW)) / machine.memory
    gradient_bytes = sums(model, work, gpus, over)
    row_bytes = own_tokens * row_traffic(model) * (over - 1) / over
    gradients, rows = gradient_bytes / machine.between(gpus), row_bytes / machine.link
    # Sums go on during the backward pass. Rows don't: a layer waits for them.
    step = max(compute + weights, gradients) + rows
    return Cost(frozen + state + at_once * model.activations(work.context), int(at_once), compute, weights, gradients,
                rows, gradient_bytes, row_bytes, work.tokens / work.step * step / 3600)


def sums(model, work, gpus, over):
    """Bytes that one GPU sends to sum gradients: slices to their owners, and the sums back. Of what is spread the GPUs
    that hold the same sum theirs, one of each host."""
    trained = work.trained(model)
    apart = (trained if work.new_experts else model.spread()) if over > 1 else 0
    hosts = gpus / over
    return 2 * FLOAT32 * ((trained - apart) * (gpus - 1) / gpus + apart / over * (hosts - 1) / hosts)


def row_traffic(model):
    """Bytes a token that rows take to modules and back, in both passes, if all went to other GPUs."""
    numbers = 2 * model.width + (2 * (model.width + model.heads * model.head) if model.routed_heads else 0)
    return model.layers * model.chosen * numbers * BFLOAT16 * 2


def size(bytes_):
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if bytes_ >= factor:
            return f"{bytes_ / factor:.3g} {unit}"
    return "0" if bytes_ == 0 else f"{bytes_ / 1e3:.3g} kB"


def count(weights):
    return f"{weights / 1e9:.3g} G" if weights >= 1e9 else f"{weights / 1e6:.3g} M"


def row(model, work, machine, gpus, spread):
    one = cost(model, work, gpus, machine, spread)
    fits = "" if one.memory <= machine.usable() else " **no**"
    return (f"| {gpus}{', spread' if spread else ''} | {size(one.memory)}{fits} | {one.at_once:,} | "
            f"{one.compute:.2f} | {one.weights:.2f} | {size(one.gradient_bytes)}, {one.gradients:.2f} | "
            f"{size(one.row_bytes)}, {one.rows:.2f} | {one.hours:.2f} |")


def tables(machine=Machine()):
    lines = []
    for model in MODELS:
        for work in (EXTEND, TRAIN):
            lines += [f"**{model.name}, {work.name}**: {count(work.trained(model))} of "
                      f"{count(model.weights())} weights trained, {work.flop(model) / 1e9:.1f} GFLOP a token", "",
                      "| GPUs | memory of one | tokens a pass | products, s a step | weights, s | gradients sent, s "
                      "| rows sent, s | hours, 1 G tokens |",
                      "|---|---|---|---|---|---|---|---|"]
            lines += [row(model, work, machine, gpus, spread)
                      for gpus, spread in ((1, False), (8, False), (8, True), (64, False), (64, True))]
            lines.append("")
    return "\n".join(lines)


BEGIN, END = "<!-- estimate -->", "<!-- /estimate -->"


def written(page):
    """The page with the tables between its marks."""
    before, rest = page.split(BEGIN)
    return before + BEGIN + "\n" + tables() + rest[rest.index(END):]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put the tables into docs/scaling.md")
    if parser.parse_args().write:
        PAGE.write_text(written(PAGE.read_text()))
    else:
        print(tables())


if __name__ == "__main__":
    main()
