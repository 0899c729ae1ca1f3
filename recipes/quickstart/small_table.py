"""Prints what the quickstart measured, from the JSON that each command wrote: table.py RESULTS_FOLDER."""

import json
import pathlib
import sys


def load(folder, name):
    return json.loads((folder / f"{name}.json").read_text())


def losses(report, when):
    return {task["task"]: task[when] for task in report["tasks"]}


def shown(value, before=None):
    if value is None:
        return "-"
    return f"{value:.3f}" if before is None else f"{value:.3f} ({value - before:+.3f})"


def show_table(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join([row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]))


def domains(train, extend, as_of, naive):
    base, extended, tuned = losses(extend, "before"), losses(extend, "after"), losses(naive, "after")
    masked = {task["task"]: task["loss"] for task in as_of["tasks"]}
    rows = [["held-out loss, nats per token", "base", "extended", "extended, new modules masked", "all parameters tuned"]]
    for task in ("english", "german"):
        before = base[task]
        if before is None:
            rows.append([f"{task} (too few documents to hold any out)", "-", "-", "-", "-"])
            continue
        rows.append([task, shown(before), shown(extended[task], before), shown(masked[task], before),
                     shown(tuned[task], before)])
    show_table(rows)
    new, whole = extend["trainable_parameters"]["total"], naive["trainable_parameters"]["total"]
    print(f"\ntrained for German: {new:,} parameters ({new / whole:.0%} of the base) against {whole:,}; "
          f"{extend['added_bytes'] / 1e6:.1f} MB stored against {naive['added_bytes'] / 1e6:.1f} MB")
    print(f"speed: train {train['training']['tokens_per_second']:,.0f} tokens/s, "
          f"extend {extend['training']['tokens_per_second']:,.0f} tokens/s")


def pruning(prune):
    task = next(task for task in prune["tasks"] if task["task"] == "qa")
    rows = [["task qa", "loss", "parameters", "on disk", "in memory"]]
    for when, name in (("before", prune["base"]), ("after", prune["model"])):
        before = None if when == "before" else task["before"]
        rows.append([name, shown(task[when], before), f"{prune['parameters'][when]:,}",
                     f"{prune['disk_bytes'][when] / 1e6:.1f} MB", f"{prune['memory_bytes'][when] / 1e6:.1f} MB"])
    show_table(rows)


def main():
    folder = pathlib.Path(sys.argv[1])
    domains(*(load(folder, name) for name in ("train", "extend", "as_of", "naive")))
    print()
    pruning(load(folder, "prune"))


if __name__ == "__main__":
    main()
