"""How soon commands that compute nothing are done, beside git: CPU time, the median of some runs.

    python3 -B recipes/benchmarks/start.py [--program build/release/bin/mformer] [--versions 10000] [--repeat 11]

`log` is of a workspace with so many versions, each made by an operation of its own, and `git log` of a repository with so
many commits of one file. Both write to a pipe. The last line is the start of a command that computes.
"""

import argparse
import os
import pathlib
import sqlite3
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def cpu_ms(line, folder, codes=(0,)):
    """The CPU time of one run, user and system."""
    output = subprocess.DEVNULL
    process = subprocess.Popen(line, cwd=folder, stdin=output, stdout=subprocess.PIPE, stderr=output)
    while process.stdout.read(1 << 16):
        pass
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) not in codes:
        sys.exit(f"error: {' '.join(map(str, line))} ended with {os.waitstatus_to_exitcode(status)}\nhint: run it by hand in {folder}")
    return 1000 * (usage.ru_utime + usage.ru_stime)


def median_ms(repeat, *arguments, **options):
    cpu_ms(*arguments, **options)  # reads the files into memory
    return statistics.median(cpu_ms(*arguments, **options) for _ in range(repeat))


def make_workspace(program, folder, versions):
    """A workspace whose first version has so many descendants: their rows, which is all that the log reads."""
    subprocess.run([program, "init", "--preset", "tiny", "--no-tokenizer"], cwd=folder, check=True, capture_output=True)
    with sqlite3.connect(folder / ".mformer/registry.db") as registry:
        copy(registry, "operations", "id", versions, id="n", uid="printf('%032x', n)", version_before="printf('%064x', n - 1)",
             version_after="printf('%064x', n)")
        copy(registry, "versions", "number", versions, id="n", hash="printf('%064x', n)", parent_hash="printf('%064x', n - 1)", operation_id="n", number="n")
        registry.execute("UPDATE operations SET version_before = (SELECT hash FROM versions WHERE number = 1) WHERE id = 2")
        registry.execute("UPDATE versions SET parent_hash = (SELECT hash FROM versions WHERE number = 1) WHERE number = 2")
        registry.execute("UPDATE models SET current_version = (SELECT hash FROM versions WHERE number = ?)", (versions,))


def copy(registry, table, key, rows, **changed):
    """The row whose key is 1 again, for 2 to `rows`, but for what is changed to an expression of n."""
    columns = [row[1] for row in registry.execute(f"PRAGMA table_info({table})")]
    values = ", ".join(changed.get(column, column) for column in columns)
    registry.execute(f"WITH RECURSIVE count (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM count WHERE n < {rows}) "
                     f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table}, count WHERE {table}.{key} = 1")


def make_repository(folder, commits):
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    pieces = []
    for number in range(commits):
        text = f"version {number}\n"
        message = f"the state {number}"
        pieces.append(f"commit refs/heads/main\ncommitter A <a@example.org> {1700000000 + number} +0000\n"
                      f"data {len(message)}\n{message}\nM 644 inline file\ndata {len(text)}\n{text}\n")
    subprocess.run(["git", "fast-import", "--quiet"], cwd=folder, input="".join(pieces).encode(), check=True)
    subprocess.run(["git", "symbolic-ref", "HEAD", "refs/heads/main"], cwd=folder, check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "build/release/bin/mformer")
    parser.add_argument("--versions", type=int, default=10000)
    parser.add_argument("--repeat", type=int, default=11)
    options = parser.parse_args()
    program, repeat = options.program.resolve(), options.repeat
    if not program.exists():
        sys.exit(f"error: there is no program {program}\nhint: build it, or name it: --program FILE")
    with tempfile.TemporaryDirectory() as scratch:
        ours, theirs = pathlib.Path(scratch, "workspace"), pathlib.Path(scratch, "repository")
        ours.mkdir(), theirs.mkdir()
        make_workspace(program, ours, options.versions)
        make_repository(theirs, options.versions)
        rows = (("--version", [program, "--version"], ["git", "--version"], (0,)),
                ("help", [program, "--help"], ["git", "help"], (0,)),
                ("help of a command", [program, "extend", "--help"], ["git", "commit", "-h"], (0, 129)),
                ("a command misspelt", [program, "lgo"], ["git", "lgo"], (1, 2)),
                ("the names", [program, "models"], ["git", "branch"], (0,)),
                (f"log of {options.versions:,}", [program, "log"], ["git", "log"], (0,)),
                ("log -n 10", [program, "log", "-n", "10"], ["git", "log", "-n", "10"], (0,)),
                ("a command that computes", [program, "--model", "base@1", "inspect", "modules"], None, (0,)))
        print("| CPU ms, median | mformer | git |\n|---|---|---|")
        for name, line, other, codes in rows:
            beside = "-" if other is None else f"{median_ms(repeat, other, theirs, codes=codes):.1f}"
            print(f"| {name} | {median_ms(repeat, line, ours, codes=codes):.1f} | {beside} |", flush=True)


if __name__ == "__main__":
    main()
