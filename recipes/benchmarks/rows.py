"""What is measured against what: the rows of the table, in its order."""

import dataclasses
from typing import Callable

from contenders import Command
from summary import Goal


@dataclasses.dataclass(frozen=True)
class Measure:
    """One line of the table that comes out of a row's two processes."""

    what: str
    unit: str
    ours: Callable
    theirs: Callable
    goal: Goal = None


@dataclasses.dataclass(frozen=True)
class Row:
    """Two commands that alternate. `setup` runs once before them; both may be the same command, which then runs once."""

    key: str
    ours: Command
    theirs: Command
    measures: tuple
    setup: tuple = ()


def field(name):
    return lambda result: result[name]


def both(what, unit, name, goal=None):
    return Measure(what, unit, field(name), field(name), goal)


def mformer(*arguments, label="mformer", busy=False):
    return Command(label, "mformer", tuple(map(str, arguments)), busy=busy)


def peer(label, *arguments, keep_memory=True):
    return Command(label, "peer", tuple(map(str, arguments)), keep_memory=keep_memory)


class Workloads:
    """The commands behind the rows; `quick` shrinks them until they only show that everything runs."""

    def __init__(self, quick, scratch):
        self.quick, self.scratch = quick, scratch
        self.layers = ("--layers", 2) if quick else ()

    def train(self, context, bfloat16):
        steps = ("--steps", 1, "--warm-up", 1) if self.quick else ("--steps", 8, "--warm-up", 2)
        return mformer("train", *self.training(context, bfloat16), *steps)

    def memory(self, context, label="mformer"):
        return mformer("train", *self.training(context, False), "--steps", 2, "--warm-up", 1, label=label)

    def reference_train(self, context, bfloat16):
        # Its TorchScript functions are compiled in the first three steps.
        steps = (1, 0) if self.quick else (2, 3) if context > 512 else (4, 3)
        return peer("reference", "reference", "train", *self.training(context, bfloat16), "--steps", steps[0],
                    "--warm-up", steps[1])

    def training(self, context, bfloat16):
        dtype = ("--bfloat16",) if bfloat16 else ()
        return ("--context", context, "--tokens-per-step", max(2048, context), *dtype)

    def prefill(self, *more, label="mformer"):
        return mformer("prefill", *self.prompts(), *more, label=label)

    def peer_prefill(self, label, name, warm_up):
        return peer(label, name, "prefill", "--bfloat16", *self.layers, *self.prompts(), "--warm-up", warm_up)

    def prompts(self):
        return ("--batch", 4, "--tokens", 512, "--steps", 1 if self.quick else 3)

    def decode(self, batch, dtype="bfloat16"):
        return mformer("decode", *self.layers, *self.decoding(batch), "--dtype", dtype)

    def decoding(self, batch):
        return ("--batch", batch, "--prompt", 64, "--tokens", 4 if self.quick else 32)


def training_rows(work):
    goals = {(False, 512): 6, (False, 2048): 18, (True, 512): 5, (True, 2048): 12}
    for (bfloat16, context), times in goals.items():
        dtype = "bfloat16" if bfloat16 else "float32"
        yield Row(f"train-{dtype}-{context}", work.train(context, bfloat16), work.reference_train(context, bfloat16),
                  (both(f"train, {dtype}, context {context}", "tokens/s", "tokens_per_second",
                        Goal("at_least", times)),))


def memory_rows(work):
    shortest = work.memory(2048, label="mformer, context 2048")
    reference = peer("reference, default allocator", "reference", "train", *work.training(2048, False), "--steps", 1,
                     "--warm-up", 0, keep_memory=False)
    yield Row("memory-2048", work.memory(2048), reference,
              (both("train, float32, context 2048: peak memory", "bytes", "peak_memory",
                    Goal("at_most", 2.2e9, of="value")),))
    for context in (4096, 8192):
        yield Row(f"memory-{context}", work.memory(context), shortest,
                  (both(f"one sequence a step, context {context}: peak memory", "bytes", "peak_memory",
                        Goal("at_most", context / 2048)),))


def extend_row(work):
    full = dataclasses.replace(work.train(512, False), label="mformer, all trained")
    extended = mformer(*full.arguments, "--extend", "2,4")
    return Row("extend", extended, full,
               (both("extend step, 2 + 4 new modules a layer", "seconds", "seconds", Goal("at_most", 0.7)),
                both("extend: optimiser memory", "bytes", "optimizer_bytes")))


def inference_rows(work):
    what = "prefill, MoLM-350M-4B, 4 × 512"
    for key, label, warm_up, goal in (("dense-1.4b", "dense 1.4 B", 1, Goal("at_least", 2.5)),
                                      ("dense-350m", "dense 350 M", 1, None), ("reference", "reference", 3, None)):
        yield Row(f"prefill-{key}", work.prefill(*work.layers), work.peer_prefill(label, key, warm_up),
                  (both(what, "tokens/s", "tokens_per_second", goal),))
    one = work.decode(1)
    yield Row("decode-1", one, dataclasses.replace(one, label="reading its weights once"),
              (Measure("decode, batch 1, bfloat16", "tokens/s", field("tokens_per_second"),
                       lambda result: 1 / result["floor"], Goal("at_least", 0.7)),))
    yield Row("decode-1-int8", work.decode(1, "int8"), dataclasses.replace(one, label="mformer, bfloat16"),
              (both("decode, batch 1, int8", "tokens/s", "tokens_per_second", Goal("at_least", 1.7)),
               both("int8: the model in memory", "bytes", "model_bytes")))
    for batch, goal in ((1, None), (16, Goal("at_least", 4))):
        reference = peer("reference", "reference", "decode", "--bfloat16", *work.layers, *work.decoding(batch),
                         "--warm-up", 4)
        yield Row(f"decode-{batch}-reference", work.decode(batch), reference,
                  (both(f"decode, batch {batch}, bfloat16", "tokens/s", "tokens_per_second", goal),))


def pruned_row(work):
    """Six layers only: what is compared doesn't depend on their number, and the files stay at 3 GB."""
    layers = work.layers or ("--layers", 6)
    whole, pruned = work.scratch / "whole", work.scratch / "pruned"
    return Row("pruned", work.prefill("--from", pruned), work.prefill("--from", whole, label="mformer, unpruned"),
               (both("pruned to 0.3: loading", "seconds", "load_seconds", Goal("at_most", 0.5)),
                both("pruned to 0.3: memory once loaded", "bytes", "loaded_memory", Goal("at_most", 0.5)),
                both("pruned to 0.3: prefill, 4 × 512", "tokens/s", "tokens_per_second", Goal("at_least", 1))),
               setup=(mformer("write", *layers, "--folder", whole),
                      mformer("write", *layers, "--keep", 0.3, "--folder", pruned)))


def busy_rows(rows):
    """mformer beside a process that keeps a core busy, against mformer alone: one for each speed measured above."""
    seen = set()
    for row in rows:
        measure = row.measures[0]
        if measure.unit == "bytes" or row.setup or row.ours.arguments in seen:
            continue
        seen.add(row.ours.arguments)
        yield Row(f"busy-{row.key}", dataclasses.replace(row.ours, busy=True),
                  dataclasses.replace(row.ours, label="mformer, quiet"),
                  (both(f"{measure.what}, a core busy", "seconds", "seconds", Goal("at_most", 2.5)),))


def without_repeats(rows, programs):
    """Leaves out rows whose peer is not given and whose other side an earlier row has measured already."""
    measured, left = [], []
    for row in rows:
        if programs.has(row.theirs) or row.ours not in measured:
            left.append(row)
        measured.append(row.ours)
    return left


def all_rows(quick, busy, scratch):
    """`scratch`: a folder for checkpoints that rows write."""
    work = Workloads(quick, scratch)
    rows = [*training_rows(work), *memory_rows(work), extend_row(work), *inference_rows(work), pruned_row(work)]
    return rows + list(busy_rows(rows)) if busy else rows
