"""Prints what the quickstart measured on the real model, out of what commands printed: real_table.py RESULTS_FOLDER."""

import pathlib
import re
import sys

from small_table import show_table


def extension(text):
    """{task: (before, after, change, at most)} of extend's report."""
    rows = re.findall(r"^(\S+) +([\d.]+) +([\d.]+) +([+-][\d.]+) +(\S+) +[\d,]+$", text, flags=re.M)
    return {task: cells for task, *cells in rows}


def pruned(text):
    """{task: (before, after, change)} of prune's report."""
    rows = re.findall(r"^loss of (\S+) +([\d.]+) +([\d.]+) +([+-][\d.]+)", text, flags=re.M)
    return {task: cells for task, *cells in rows}


def made(text):
    return re.search(r"^made (\S+)", text, flags=re.M)[1]


def size(text):
    return re.search(r"^disk +(.*?)  +(.*?)  +", text, flags=re.M).groups()


def main():
    folder = pathlib.Path(sys.argv[1])
    extend, prune = ((folder / f"{name}.txt").read_text() for name in ("extend", "prune"))
    learned, small = extension(extend), pruned(prune)
    rows = [["held-out loss, nats per token", "published", made(extend), "at most", made(prune)]]
    for task, (before, after, change, bound) in learned.items():
        cells = small.get(task)
        rows.append([task, before, f"{after} ({change})", bound, f"{cells[1]} ({cells[2]})" if cells else "-"])
    whole, less = size(prune)
    added = re.search(r"^bytes +(.*?) stored", extend, flags=re.M)[1]
    rows.append(["on disk", whole, f"{added} more", "", less])
    show_table(rows)


if __name__ == "__main__":
    main()
