"""Many processes at work in one workspace, some of them killed: crowd.py [--seconds N] [--processes N]

Nothing that was said to be made may be lost, nothing hang, nobody be refused for a reason of the program's own. Prints what
each command said how often; exit code 1 if anything is not as it must be."""

import argparse
import collections
import random
import re
import subprocess
import sys
import threading
import time

import points  # first: it tells where mformer.py lies
import cases
import mformer
import run
from points import require

TRAIN = cases.TRAIN
OTHER = "other"  # a workspace in the first one's folder, to and from which models go
KILLED_OF_100 = 8
# What another's work may rightly refuse.
MAY_REFUSE = re.compile(
    r"another command has moved the model|there is nothing to (undo|redo)|there is no (model|task|tag) |(model|task) .* has an operation running|"
    r"went another way there, or its name is taken")
MAKE = ("freeze", "unfreeze", "train", "extend", "finetune", "import", "prune")  # a version each


def lines_for(worker, number, rolls, made):
    """A command for this worker: of its own names, so that what it says can be checked, and of those that all share. `made`: the
    models that it made so far."""
    mine, sent = f"w{worker}n{number}", rolls.choice([*made, "small"])
    return rolls.choices((
        ("freeze", f"layer={rolls.randint(0, 1)}", "--model", "base"),
        ("unfreeze", f"layer={rolls.randint(0, 1)}", "--model", "base"),
        ("undo", "--model", "base"), ("redo", "--model", "base"),
        ("use", rolls.choice(("base", "grown", "branch"))),
        ("tag", mine, "base@1"),
        ("model", "rename", f"side{worker}", mine),
        ("task", "rename", "qa", "questions"), ("task", "rename", "questions", "qa"),
        ("gc", "--grace", "0"), ("fsck",), ("log", "-n", "5"), ("models",),
        ("train", "--task", "english", "--model", "base", "--into", mine, *TRAIN),
        ("import", "half", "--name", mine),
        ("prune", "--task", "english", "--keep", "0.5", "--model", "base@2", "--into", mine, "--eval-tokens", "100"),
        ("export", mine, "--model", "base"),
        ("task", "add", mine, "--data", "moved"),
        ("eval", "--model", "base@2", "--task", "english", "--max-tokens", "64"),
        ("extend", "--data", "german", "--model", "base@2", "--into", mine, *TRAIN),
        ("push", OTHER, sent), ("pull", ".", sent, "--workspace", OTHER), ("gc", "--grace", "0", "--workspace", OTHER),
    ), weights=(8, 8, 5, 3, 3, 5, 1, 2, 2, 8, 3, 2, 2, 2, 2, 2, 1, 1, 2, 2, 4, 3, 2))[0]


class Crowd:
    def __init__(self, work, seconds, seed=1):
        self.work = work
        self.deadline = time.monotonic() + seconds
        self.seed = seed
        self.made = []     # versions that were said to be made
        self.tagged = []
        self.sent = []     # models that were said to be in the other workspace
        self.said = collections.Counter()
        self.refusals = collections.Counter()
        self.problems = []
        self.longest = 0.0
        self.lock = threading.Lock()

    def worker(self, worker):
        rolls, number, mine = random.Random(self.seed * 1000 + worker), 0, []
        while time.monotonic() < self.deadline:
            number += 1
            arguments = lines_for(worker, number, rolls, mine)
            kill_after = rolls.random() * 0.4 if rolls.randrange(100) < KILLED_OF_100 else None
            try:
                if self.one(arguments, kill_after) and "--into" in arguments:
                    mine.append(arguments[arguments.index("--into") + 1])
            except points.Fault as fault:
                with self.lock:
                    self.problems.append(f"{' '.join(arguments)}: {fault}")
            except subprocess.TimeoutExpired:
                with self.lock:
                    self.problems.append(f"{' '.join(arguments)}: did not end")

    def one(self, arguments, kill_after):
        """Whether the command was done."""
        begun = time.monotonic()
        process = subprocess.Popen(mformer.command_line((*arguments, "--json")), cwd=self.work, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=mformer.environment())
        try:
            out, err = process.communicate(timeout=kill_after or points.TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            if kill_after is None:
                raise
            with self.lock:
                self.said["killed"] += 1
            return False
        result = mformer.Result(subprocess.CompletedProcess(arguments, process.returncode, out, err))
        with self.lock:
            self.longest = max(self.longest, time.monotonic() - begun)
            self.said[f"{arguments[0]}: {result.code}"] += 1
        if result.code == 0 and arguments[0] == "tag":
            with self.lock:
                self.tagged.append(arguments[1])
        if result.code == 0 and arguments[0] in MAKE and result.json.get("changed", 1):
            with self.lock:
                self.made.append(result.json["model"])
        if result.code == 0 and arguments[0] in ("push", "pull"):
            with self.lock:
                self.sent += [model["into"] for model in result.json["models"]]
        if result.code != 0:
            with self.lock:
                self.refusals[re.sub(r"\w*\d\w*|'[^']*'", "*", mformer.lines_of_error(result.err)[0])] += 1
        points.check_answer(result)
        require(result.code == 0 or MAY_REFUSE.search(result.err), "refused:", *mformer.lines_of_error(result.err))
        return result.code == 0

    def check(self):
        """After the end: all that was said to be made is there, once, and whole."""
        for folder in (self.work, self.work / OTHER):
            fsck = points.run(folder, ("fsck",))
            require(fsck.code == 0, "fsck:", fsck)
        there = {model["name"] for model in points.run(self.work / OTHER, ("models", "--json")).json["models"]}
        require(set(self.sent) <= there, "sent and lost:", set(self.sent) - there)
        twice = [name for name, number in collections.Counter(self.made).items() if number > 1]
        require(not twice, "made twice:", twice)
        tags = {tag["name"] for tag in points.run(self.work, ("tag", "--json")).json["tags"]}
        require(set(self.tagged) <= tags, "lost tags:", set(self.tagged) - tags)
        for number, version in enumerate(self.made):
            result = points.run(self.work, ("tag", f"check{number}", version))
            require(result.code == 0, "a lost version:", result)
        for folder in (self.work, self.work / OTHER):
            gc = points.run(folder, ("gc", "--grace", "0"))
            require(gc.code == 0, "gc:", gc)
        left = [file for file in self.work.rglob("*") if points.is_temporary(file) and ".mformer" in file.parts]
        require(not left, "litter:", left)


def crowd_for(seconds, processes, seed=1):
    with run.scratch_folder() as folder:
        work = folder / "work"
        points.copy(cases.prepared(), work)
        for worker in range(processes):
            points.run(work, ("import", "checkpoint", "--name", f"side{worker}"))
        points.run(work, ("push", OTHER, "small"))
        crowd = Crowd(work, seconds, seed)
        threads = [threading.Thread(target=crowd.worker, args=(worker,)) for worker in range(processes)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        try:
            crowd.check()
        except points.Fault as fault:
            crowd.problems.append(str(fault))
        return crowd


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--processes", type=int, default=8)
    options.add_argument("--seed", type=int, default=1)
    asked = options.parse_args()
    crowd = crowd_for(asked.seconds, asked.processes, asked.seed)
    for said, number in sorted(crowd.said.items()):
        print(f"{number:6} {said}")
    for refusal, number in sorted(crowd.refusals.items()):
        print(f"{number:6} {refusal}")
    print(f"{sum(crowd.said.values())} commands, {len(crowd.made)} versions and {len(crowd.tagged)} tags said to be made, "
          f"{len(crowd.sent)} times a model said to be sent, "
          f"the longest took {crowd.longest:.1f} s, {len(crowd.problems)} problems")
    print(*crowd.problems[:20], sep="\n")
    sys.exit(bool(crowd.problems))


if __name__ == "__main__":
    main()
