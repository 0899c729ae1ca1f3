"""Every point of every command: run.py [--only NAME,...] [--every N] [--seconds N] [--hows NAMES] [--jobs N] [--out FILE]

Prints what was not as it must be, and a table of the points tried and passed. Exit code 1 if anything failed."""

import argparse
import collections
import concurrent.futures
import contextlib
import itertools
import os
import random
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


def kind_of(point):
    """What is alike in points: the call, and the file or the statement without what is of one version or run."""
    if point.call == "sql":
        return point.call, " ".join(re.split(r"[\s(]+", point.path)[:3])
    return point.call, re.sub(r"[0-9a-f]{12,}|[0-9]+|objects/[0-9a-f]{2}\b", "*", point.path.rpartition(f"{os.sep}work{os.sep}")[2])


def plan(trial, every, hows):
    """Pairs of point and fault: every N-th, and at least one of each kind of point with each fault. Kinds come in turns, so that
    those which are many do not take the time of those which are few."""
    groups, rolls = collections.defaultdict(list), random.Random(trial.case.name)
    for how in hows:
        for point in trial.points:
            if points.applies(how, point.call):
                groups[how, *kind_of(point)].append((point, how))
    for group in groups.values():
        rolls.shuffle(group)
    first, rest = {}, []  # what is cut short shall have met every call with every fault
    for how, *kind in rolls.sample(sorted(groups), len(groups)):
        group = groups[how, *kind]
        if (how, kind[0]) in first:
            rest.append(group)
        else:
            first[how, kind[0]] = group
    turns = itertools.zip_longest(*first.values(), *rest)
    pairs = [pair for turn in turns for pair in turn if pair]
    return pairs[:max(len(groups), -(-len(pairs) // every))]


@contextlib.contextmanager
def scratch_folder():
    path = Path(tempfile.mkdtemp(prefix="mformer-faults-"))
    try:
        yield path
    finally:
        mformer.remove_folder(path)


def run_case(case, prepared, every, hows=points.HOWS, seconds=None):
    """The Tally of a case, of what was tried in these seconds."""
    begun = time.monotonic()
    with scratch_folder() as scratch:
        trial = points.Trial(case, prepared, scratch)
        tally = Tally(trial)
        for point, how in plan(trial, every, hows):
            if seconds and time.monotonic() - begun > seconds:
                break
            try_at(trial, tally, point, how)
        return tally


def try_at(trial, tally, point, how):
    try:
        if trial.run_at(point, how):
            tally.add(point, how, "")
    except points.Fault as fault:
        tally.add(point, how, str(fault))


def sample(trials, least):
    """For each trial some pairs of point and fault: over all of them every call that any makes with every fault it can have, and
    of each at least so many. What many commands do is tried in the one that has been given least."""
    rolls, chosen, met = random.Random(1), [[] for _ in trials], set()
    load = [0] * len(trials)

    def give(number, how, call):
        of_call = [point for point in trials[number].points if point.call == call]
        chosen[number].append((rolls.choice(of_call), how))
        load[number] += 1 if trials[number].case.thin else 4  # about the time of a trial
        met.add((how, call))

    able = collections.defaultdict(list)  # those that make the call
    for number, trial in enumerate(trials):
        for call in {point.call for point in trial.points}:
            able[call].append(number)
    for call in sorted(able, key=lambda call: (len(able[call]), call)):
        for how in filter(lambda how: points.applies(how, call), points.HOWS):
            give(min(able[call], key=lambda number: load[number]), how, call)
    for number, trial in enumerate(trials):
        calls = sorted({point.call for point in trial.points})
        while len(chosen[number]) < least:
            call = rolls.choice(calls)
            give(number, rolls.choice([how for how in points.HOWS if points.applies(how, call)]), call)
    return chosen


def run_sample(chosen, least, jobs):
    """The Tally of each case by name, of a sample."""
    prepared = cases.prepared()
    with contextlib.ExitStack() as stack, concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        folders = [stack.enter_context(scratch_folder()) for _ in chosen]
        trials = list(pool.map(lambda case, folder: points.Trial(case, prepared, folder), chosen, folders))

        def work(trial, pairs):
            tally = Tally(trial)
            for point, how in pairs:
                try_at(trial, tally, point, how)
            return trial.case.name, tally

        return dict(pool.map(work, trials, sample(trials, least)))


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
    options.add_argument("--seconds", type=float, help="for each command; what is left then is left out")
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
        case, prepared, asked.every if case.thin else asked.every_computing, asked.hows.split(","), asked.seconds))
