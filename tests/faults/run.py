"""Every point of every command: run.py [--only NAME,...] [--every N] [--hows NAMES] [--jobs N] [--out FILE]

Prints what was not as it must be, and a table of the points tried and passed. Exit code 1 if anything failed."""

import argparse
import collections
import concurrent.futures
import contextlib
import os
import re
import sys
import tempfile
import threading
import time
from pathlib import Path

import points  # first: it tells where mformer.py lies
import cases
import mformer

SHOWN = 12  # kinds of problems of one command


class Tally:
    """What became of the trials of one case."""

    def __init__(self, trial):
        self.points = len(trial.points)
        self.tried = self.passed = 0
        self.problems = collections.Counter()
        self.examples = {}

    def add(self, point, how, problem):
        self.tried += 1
        self.passed += not problem
        if problem:
            kind = (how, point.call, re.sub(r"[0-9a-f]{6,}", "*", point.path)[-70:], problem.split(":")[0])
            self.problems[kind] += 1
            self.examples.setdefault(kind, f"point {point.number}: {problem}")


def plan(trial, every, hows, most=None):
    """Pairs of point and fault, every N-th, or fewer, so that there are at most about so many. The stride goes on from one kind of
    fault to the next, so that each meets other points."""
    pairs = [(point, how) for how in hows for point in trial.points if points.applies(how, point.call)]
    return pairs[::max(every, len(pairs) // most if most else 1)]


@contextlib.contextmanager
def scratch_folder():
    path = Path(tempfile.mkdtemp(prefix="mformer-faults-"))
    try:
        yield path
    finally:
        mformer.remove_folder(path)


def run_case(case, prepared, every, hows=points.HOWS, most=None):
    with scratch_folder() as scratch:
        trial = points.Trial(case, prepared, scratch)
        tally = Tally(trial)
        for point, how in plan(trial, every, hows, most):
            try:
                if trial.run_at(point, how):
                    tally.add(point, how, "")
            except points.Fault as fault:
                tally.add(point, how, str(fault))
        return tally


def table(tallies):
    lines = ["| command | points | tried | passed |", "|---|---|---|---|"]
    for name, tally in tallies.items():
        lines.append(f"| `{name}` | {tally.points} | {tally.tried} | {tally.passed} |")
    total = [sum(getattr(tally, field) for tally in tallies.values()) for field in ("points", "tried", "passed")]
    lines.append(f"| all | {total[0]:,} | {total[1]:,} | {total[2]:,} |")
    return "\n".join(lines)


def run_all(chosen, work_on, jobs, report=print):
    """The Tally of each case by name; work_on(case, prepared folder) makes one."""
    prepared, lock = cases.prepared(), threading.Lock()

    def work(case):
        begun = time.monotonic()
        tally = work_on(case, prepared)
        with lock:
            report(f"{case.name}: {tally.passed} of {tally.tried} at {tally.points} points, {time.monotonic() - begun:.0f} s")
            for kind, number in list(tally.problems.items())[:SHOWN]:
                report(f"  {number} x {' '.join(kind)}\n    {tally.examples[kind][:1200]}")
        return case.name, tally

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        return dict(pool.map(work, chosen))


def main(about, work_on):
    options = argparse.ArgumentParser(description=about)
    options.add_argument("--only", default="", help="names of commands, with commas; thin or computing")
    options.add_argument("--every", type=int, default=1, help="of what can be tried every N-th")
    options.add_argument("--every-computing", type=int, default=1, help="the same of commands that compute")
    options.add_argument("--hows", default=",".join(points.HOWS))
    options.add_argument("--jobs", type=int, default=os.cpu_count())
    options.add_argument("--out", default="")
    asked = options.parse_args()
    names = asked.only.split(",") if asked.only else []
    chosen = [case for case in (*cases.THIN, *cases.COMPUTING)
              if not names or case.name in names or ("thin" if case.thin else "computing") in names]
    tallies = run_all(chosen, lambda case, prepared: work_on(case, prepared, asked), asked.jobs,
                      lambda text: print(text, flush=True))
    print(table(tallies))
    if asked.out:
        Path(asked.out).write_text(table(tallies) + "\n")
    sys.exit(any(tally.tried != tally.passed for tally in tallies.values()))


if __name__ == "__main__":
    main(__doc__, lambda case, prepared, asked: run_case(
        case, prepared, asked.every if case.thin else asked.every_computing, asked.hows.split(",")))
