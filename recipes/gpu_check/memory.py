"""What --dry-run plans a training to hold on the GPU beside the most that it held, for a few forms: a table in Markdown.

    memory.py PROGRAM
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

DATA = Path(__file__).resolve().parents[2] / "tests/data/sample"
# The plan is an upper bound, by up to 40 % where working memory is most of it; allocators round sizes up.
LEAST, MOST = 0.5, 1.05
FORMS = (("base", "train", 16, ("--bf16",)), ("base", "extend", 16, ("--bf16",)), ("base", "train", 16, ()), ("base", "train", 64, ("--bf16",)),
         ("small", "train", 16, ()), ("small", "train", 16, ("--bf16",)))


def call(program, folder, *arguments):
    done = subprocess.run([program, "--workspace", folder, "--device", "cuda", "--json", *arguments], capture_output=True, text=True,
                          check=False)
    if done.returncode:
        sys.exit(f"error: {' '.join(arguments)} failed: {done.stderr.strip()}")
    return json.loads(done.stdout)


def measure(program, tokenizer, preset, command, batch, options):
    """(plan, peak) in bytes of a training in a workspace of its own, which goes away: of the larger preset it has half a GB."""
    work = (command, "--data", str(DATA / "english"), "--batch", str(batch), "--context", "256", "--steps", "3", "--eval-tokens", "1000",
            *options)
    with tempfile.TemporaryDirectory() as workspace:
        call(program, workspace, "init", "--preset", preset, "--tokenizer", tokenizer)
        plan = call(program, workspace, *work, "--dry-run")["memory"]["total"]
        return plan, call(program, workspace, *work)["memory"]["peak"]


def main():
    program, wrong = sys.argv[1], 0
    print("| training, context 256 | plan, MB | peak, MB | peak / plan |\n|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = str(Path(folder) / "tokenizer.json")
        call(program, folder, "tokenizer", "train", "--data", str(DATA / "english"), "--vocab-size", "2000", "--out", tokenizer)
        for preset, command, batch, options in FORMS:
            plan, peak = measure(program, tokenizer, preset, command, batch, options)
            if peak is None:
                sys.exit("error: the program counts no memory on this device")
            wrong += not LEAST <= peak / plan <= MOST
            print(f"| {command} {preset}, batch {batch}{' ' + ' '.join(options) if options else ''} | {plan / 1e6:.1f} | {peak / 1e6:.1f} | "
                  f"{peak / plan:.2f} |", flush=True)
    if wrong:
        sys.exit(f"error: {wrong} of {len(FORMS)} peaks are not {LEAST} to {MOST} of their plans")


main()
