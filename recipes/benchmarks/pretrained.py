#!/usr/bin/env python3
"""Trains a Llama-like checkpoint with mformer and with transformers (and PEFT) in turns, and prints one table.

    python3 recipes/benchmarks/pretrained.py CHECKPOINT [--program build/release/bin/mformer] [--python PY]

PY is a Python that has torch, transformers and for the rows of extend PEFT; without it mformer is measured alone. Both sides take
4 sequences of 512 tokens a step with AdamW and clipping; processes take turns; a process takes two steps, of which the second
counts (the first pays for memory that is new), and counts its peak memory. The texts are this repository's documents. Nothing else
should run on the machine meanwhile. A turn of a row takes 30 to 50 seconds on two AVX-512 cores, most of it steps and loading."""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

from contenders import Command, Failed, Programs, measure
from summary import Goal, Line, markdown_table

ROOT = pathlib.Path(__file__).resolve().parents[2]
STEPS, WARM_UP = 2, 1
SIZES = ("--batch", "4", "--context", "512", "--steps", str(STEPS), "--eval-tokens", "512", "--snapshot-every", "0")
ONE_MODULE = ("--single-mask", "--rehearse", "0", "--replay", "0", "--heads", "0", "--experts", "1")
SDPA = ("--attention", "sdpa")

# name: how mformer's weights are stored, what it runs, the peer's name and options, the least ratio of tokens/s and the
# most of memory.
ROWS = {
    "train-float32": ("float32", ("train",), "transformers", SDPA, 1.5, 0.6),
    "train-bfloat16": ("float32", ("train", "--bf16"), "transformers, autocast", (*SDPA, "--bfloat16"), 1.5, 0.6),
    "train-bfloat16-weights": ("bfloat16", ("train", "--bf16"), "transformers, bfloat16 weights",
                               (*SDPA, "--weights", "bfloat16"), 1.5, 0.6),
    "extend-float32": ("float32", ("extend", *ONE_MODULE), "LoRA", (*SDPA, "--lora", "32"), 1.5, 1),
    "extend-bfloat16": ("float32", ("extend", *ONE_MODULE, "--bf16"), "LoRA, autocast",
                        (*SDPA, "--lora", "32", "--bfloat16"), 1.5, 1),
    "extend-bfloat16-weights": ("bfloat16", ("extend", *ONE_MODULE, "--bf16"), "LoRA, bfloat16 weights",
                                (*SDPA, "--lora", "32", "--weights", "bfloat16"), 1.5, 1),
}


def run(program, workspace, *arguments):
    """Peak memory in bytes of one command of the program. Throws Failed."""
    log = workspace / "log"
    with open(log, "wb") as out:
        process = subprocess.Popen([program, "--workspace", workspace, "--quiet", *arguments], stdout=out,
                                   stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise Failed(f"{' '.join(arguments)}: {log.read_text(errors='replace')[-500:]}")
    return 1024 * usage.ru_maxrss


def link_or_copy(source, target):
    """Objects never change, so a copy of a workspace shares them; everything else is its own."""
    if "objects" in pathlib.Path(source).parts:
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def ours(options, made, texts, arguments):
    """Tokens a second and peak memory of the training that `arguments` ask for, in a copy of the workspace."""
    with tempfile.TemporaryDirectory() as scratch:
        workspace = pathlib.Path(scratch)
        shutil.copytree(made / ".mformer", workspace / ".mformer", copy_function=link_or_copy)
        memory = run(options.program, workspace, *arguments, "--data", str(texts), *SIZES)
        log = next((workspace / ".mformer" / "runs").glob("*/metrics.jsonl"))
        steps = [json.loads(line)["tokens_per_second"] for line in log.read_text().splitlines()]
    return {"tokens_per_second": statistics.median(steps[WARM_UP:]), "peak_memory": memory}


def theirs(options, label, arguments):
    command = Command(label, "peer", ("pretrained", "train", "--folder", str(options.checkpoint), *arguments, "--steps",
                                      str(STEPS - WARM_UP), "--warm-up", str(WARM_UP)))
    return measure(Programs(options.program, options.python), command)


def make(options, folder, names):
    """The texts, and a workspace for each way in which the rows' weights are stored."""
    shutil.copytree(ROOT / "docs", folder / "texts", ignore=lambda _, names: [n for n in names if n.endswith((".svg", ".png"))])
    (folder / "first").mkdir()
    run(options.program, folder / "first", "init", "--from", str(options.checkpoint))
    for dtype in sorted({ROWS[name][0] for name in names}):
        run(options.program, folder / "first", "export", str(folder / "checkpoint"), "--dtype", dtype)
        (folder / dtype).mkdir()
        run(options.program, folder / dtype, "init", "--from", str(folder / "checkpoint"))
        shutil.rmtree(folder / "checkpoint")


def lines_of(name, options, made):
    stored, arguments, peer, peer_arguments, speed, memory = ROWS[name]
    results, beside = [], []
    for turn in range(options.repeat):
        print(f"{name}: {turn + 1} of {options.repeat}", file=sys.stderr, flush=True)
        results.append(ours(options, made / stored, made / "texts", arguments))
        if options.python:
            beside.append(theirs(options, peer, peer_arguments))
    for what, unit, goal in (("tokens_per_second", "tokens/s", Goal("at_least", speed)),
                             ("peak_memory", "bytes", Goal("at_most", memory))):
        yield Line(name, f"{name}{': peak memory' if unit == 'bytes' else ''}", unit,
                   tuple(result[what] for result in results), peer, tuple(result[what] for result in beside), goal)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("--program", default=str(ROOT / "build/release/bin/mformer"))
    parser.add_argument("--python", help="a Python with torch, transformers and PEFT")
    parser.add_argument("--repeat", type=int, default=5, help="processes of each side; default: 5")
    parser.add_argument("--only", metavar="ROW,ROW", help="of " + ", ".join(ROWS))
    options = parser.parse_args()
    options.checkpoint = options.checkpoint.resolve()
    unknown = [name for name in (options.only or "").split(",") if name and name not in ROWS]
    if unknown or options.repeat < 1:
        parser.error(f"there is no row '{unknown[0]}': {', '.join(ROWS)}" if unknown else "--repeat must be at least 1")
    return options


def main():
    options = parse()
    names = options.only.split(",") if options.only else ROWS
    with tempfile.TemporaryDirectory() as scratch:
        made = pathlib.Path(scratch)
        make(options, made, names)
        lines = [line for name in names for line in lines_of(name, options, made)]
    print(markdown_table(lines))


if __name__ == "__main__":
    try:
        main()
    except Failed as failed:
        sys.exit(f"error: {failed}")
