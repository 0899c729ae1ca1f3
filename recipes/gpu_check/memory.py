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
FORMS = (("small", "train", 16, ()), ("small", "train", 16, ("--bf16",)), ("base", "train", 16, ("--bf16",)),
         ("base", "train", 64, ("--bf16",)), ("base", "extend", 16, ("--bf16",)), ("base", "train", 16, ()))


def call(program, folder, *arguments):
    done = subprocess.run([program, "--workspace", folder, "--device", "cuda", "--json", *arguments], capture_output=True, text=True,
                          check=False)
    if done.returncode:
        sys.exit(f"error: {' '.join(arguments)} failed: {done.stderr.strip()}")
    return json.loads(done.stdout)


def measure(program, folder, preset, command, batch, options):
    """(plan, peak) in bytes of a training in a workspace of its own."""
    workspace = str(Path(folder) / f"{preset}-{command}-{batch}{''.join(options)}")
    call(program, workspace, "init", "--preset", preset, "--tokenizer", str(Path(folder) / "tokenizer.json"))
    work = (command, "--data", str(DATA / "english"), "--batch", str(batch), "--context", "256", "--steps", "3", "--eval-tokens", "1000",
            *options)
    plan = call(program, workspace, *work, "--dry-run")["memory"]["total"]
    return plan, call(program, workspace, *work)["memory"]["peak"]


def main():
    program, wrong = sys.argv[1], 0
    print("| training, context 256 | plan, MB | peak, MB | peak / plan |\n|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        call(program, folder, "tokenizer", "train", "--data", str(DATA / "english"), "--vocab-size", "2000", "--out",
             str(Path(folder) / "tokenizer.json"))
        for preset, command, batch, options in FORMS:
            plan, peak = measure(program, folder, preset, command, batch, options)
            if peak is None:
                sys.exit("error: the program counts no memory on this device")
            wrong += not LEAST <= peak / plan <= MOST
            print(f"| {command} {preset}, batch {batch}{' ' + ' '.join(options) if options else ''} | {plan / 1e6:.1f} | {peak / 1e6:.1f} | "
                  f"{peak / plan:.2f} |", flush=True)
    if wrong:
        sys.exit(f"error: {wrong} of {len(FORMS)} peaks are not {LEAST} to {MOST} of their plans")


main()
