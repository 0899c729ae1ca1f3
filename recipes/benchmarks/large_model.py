#!/usr/bin/env python3
"""Takes a checkpoint of granite-3.0-1b-a400m's geometry through the life of a model, and prints time and peak memory of each step.

    python3 recipes/benchmarks/large_model.py FOLDER [--program build/release/bin/mformer] [--only import,export]

FOLDER (15 GB free) gets the checkpoint, the workspace and the export; remove it afterwards. Copies of the checkpoint, brought to
disk, are timed before import and export: on a shared machine only their ratio says something. The texts are this repository's
documents, the weights random: losses mean nothing."""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent


def timed(command, log):
    """Seconds, processor seconds, and the most bytes of memory that the command took."""
    began = time.monotonic()
    with open(log, "wb") as out:
        process = subprocess.Popen([str(word) for word in command], stdout=out, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: exit code {process.returncode}\n{log.read_text(errors='replace')[-2000:]}")
    return time.monotonic() - began, usage.ru_utime + usage.ru_stime, 1024 * usage.ru_maxrss


def copy(folder):
    target = folder / "copy.bin"
    seconds, *_ = timed(["sh", "-c", f"cp '{folder}/checkpoint/model.safetensors' '{target}' && sync -f '{target}'"],
                        folder / "copy.log")
    target.unlink()
    return seconds


def steps_of(folder):
    task = ["--task", "docs"]
    return {
        "tokenizer": ["tokenizer", "train", "--data", folder / "texts", "--vocab-size", "4096", "--out", folder / "tokenizer.json"],
        "import": ["init", "--from", folder / "checkpoint", "--tokenizer", folder / "tokenizer.json"],
        "task add": ["task", "add", "docs", "--data", folder / "texts"],
        "eval": ["eval", *task, "--max-tokens", "2048", "--context", "512"],
        "extend": ["extend", *task, "--steps", "5", "--batch", "1", "--context", "512", "--eval-tokens", "1024"],
        "prune": ["prune", *task, "--keep", "0.5", "--stat-tokens", "4096", "--eval-tokens", "1024"],
        "generate": ["generate", "--prompt", "A module is", "--max-tokens", "32"],
        "export": ["export", folder / "exported"],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--program", default="build/release/bin/mformer")
    parser.add_argument("--only", help="steps, with commas between them; default: all")
    args, shape = parser.parse_known_args()  # the others are random_checkpoint.py's
    folder = args.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "checkpoint").exists():
        subprocess.run([sys.executable, HERE / "random_checkpoint.py", folder / "checkpoint", *shape], check=True)
        shutil.copytree(HERE.parents[1] / "docs", folder / "texts", ignore=lambda _, names: [n for n in names if not n.endswith(".md")])
    size = (folder / "checkpoint" / "model.safetensors").stat().st_size
    print(f"checkpoint: {size / 1e9:.2f} GB\n\n| step | s | of them computing | peak memory, GB | copying the checkpoint, s |\n|---|---|---|---|---|")
    for name, command in steps_of(folder).items():
        if args.only and name not in args.only.split(","):
            continue
        copied = f"{copy(folder):.1f}" if name in ("import", "export") else ""
        seconds, computing, memory = timed([args.program, "--workspace", folder, *command], folder / f"{name.replace(' ', '_')}.log")
        print(f"| {name} | {seconds:.1f} | {computing:.1f} | {memory / 1e9:.2f} | {copied} |", flush=True)


if __name__ == "__main__":
    main()
