"""The program on the GPU beside the CPU, on a small model: the same losses within rounding, and how long it took.

    end_to_end.py PROGRAM [DEVICE]     default: cuda; cpu shows only that the program runs here
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

DATA = Path(__file__).resolve().parents[2] / "tests/data/sample"
# Both devices sum in another order. Over so few steps of training the losses part by no more than this.
TOLERANCE = 2e-3
STEPS = ("--steps", "20", "--batch", "4", "--context", "64", "--eval-tokens", "2000")


def call(program, folder, device, *arguments):
    done = subprocess.run([program, "--workspace", folder, "--device", device, "--json", *arguments], capture_output=True,
                          text=True)
    if done.returncode:
        sys.exit(f"error: {' '.join(arguments)} on {device} failed: {done.stderr.strip()}")
    return json.loads(done.stdout)


def life(program, device):
    """{what: loss} of a model that is trained, extended, pruned and evaluated on one device."""
    losses = {}
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = str(Path(folder) / "tokenizer.json")
        call(program, folder, "cpu", "tokenizer", "train", "--data", str(DATA / "english"), "--vocab-size", "400", "--out",
             tokenizer)
        call(program, folder, "cpu", "init", "--preset", "tiny", "--tokenizer", tokenizer)
        for name, arguments in (("train", ("train", "--data", str(DATA / "english"), *STEPS)),
                                ("extend", ("extend", "--data", str(DATA / "german"), *STEPS)),
                                ("eval", ("eval", "--max-tokens", "2000"))):
            result = call(program, folder, device, *arguments)
            for task in result["tasks"]:
                losses[f"{name} {task['task']}"] = task.get("after", task.get("loss"))
    return losses


def main():
    program, device = sys.argv[1], (sys.argv[2:] or ["cuda"])[0]
    cpu, other = life(program, "cpu"), life(program, device)
    worst = max(abs(other[name] - loss) for name, loss in cpu.items())
    for name, loss in cpu.items():
        print(f"{name:<24} cpu {loss:.5f}  {device} {other[name]:.5f}  difference {other[name] - loss:+.1e}")
    if worst > TOLERANCE:
        sys.exit(f"error: the losses differ by {worst:.1e}, more than {TOLERANCE:.0e}")


main()
