"""Power failures at every moment of a command, and after it: power.py [--only NAME,...] [--every N] [--seconds N] [--jobs N] [--out FILE]

Prints what was not as it must be, and a table of the states tried and passed. Exit code 1 if anything failed."""

import collections
import itertools
import random
import time

import points  # first: it tells where mformer.py lies
import disk
import mformer
import run
from points import require

BY_KIND = 0  # in place of a stride: one moment of each kind
# Of the names and of the writes that were not synced: what reached the disk.
WAYS = (("all", "none"), ("none", "all"), ("none", "none"), ("all", "first"), ("some", "some"), ("some", "first"))


class PowerTrial(points.Trial):
    """Runs the command once, and looks at what its disk would hold after a power failure at each moment."""

    deaf_to = ""  # kinds of events that a disk passes over, to see that it is found

    def count(self):
        self.journal = self.points_file.with_name("journal")
        result = points.run(self.work, self.case.arguments, {"BELOW": self.work, "JOURNAL": self.journal})
        require(result.code == 0, "without a fault:", result)
        return list(disk.events(self.journal))

    def moments(self, every):
        """The ways that are looked at of each moment, by its number: all of every N-th, or with BY_KIND one way, in turns, of one
        change of each kind."""
        if every != BY_KIND:
            return {number: WAYS for number in range(0, len(self.points), every)}
        kinds, rolls, ways = collections.defaultdict(list), random.Random(self.case.name), itertools.cycle(WAYS)
        for number, (kind, _, _, _, path, _) in enumerate(self.points):
            kinds[run.kind_of(points.Point(number, kind, path))].append(number)
        return {rolls.choice(numbers): [next(ways)] for numbers in kinds.values()}

    def states(self, every):
        """(moment, way, tree) for each state that differs from the others; moment None is after the command's end."""
        seen, rolls, found = disk.Disk(self.prepared, self.work), random.Random(self.case.name), set()
        chosen = self.moments(every)
        for number, event in enumerate([*self.points, None]):
            if event is not None and event[0] not in self.deaf_to:
                seen.apply(*event)
            for names, data in WAYS if event is None else chosen.get(number, ()):
                tree = seen.after_failure(names, data, rolls)
                if (key := disk.key_of(tree)) not in found or event is None:
                    found.add(key)
                    yield (None if event is None else number), f"names {names}, writes {data}", tree

    def check(self, moment, tree):
        mformer.remove_folder(self.work)
        disk.write(tree, self.work)
        if not self.case.unsound:
            self.check_sound()
        done = self.is_after(self.state_of(self.work))
        require(done or moment is not None or self.before == self.after, "the command had ended, and its work is lost")
        again = points.run(self.work, self.case.arguments)
        points.check_answer(again)
        if not done or self.case.goes_on:
            require(again.code == 0, "the same again:", again)
        self.check_sound()


def run_case(case, prepared, every, deaf_to="", seconds=None):
    begun = time.monotonic()
    with run.scratch_folder() as scratch:
        trial = PowerTrial(case, prepared, scratch)
        trial.deaf_to = deaf_to
        tally = run.Tally(trial)
        for moment, way, tree in trial.states(every):
            if moment is not None and seconds and time.monotonic() - begun > seconds:
                continue  # to the end, which comes last and matters most
            call = "the end" if moment is None else " ".join(map(str, trial.points[moment][:1]))
            path = "" if moment is None else trial.points[moment][4]
            try:
                trial.check(moment, tree)
                tally.add(points.Point(moment, call, path), way, "")
            except points.Fault as fault:
                tally.add(points.Point(moment, call, path), way, str(fault))
        return tally


if __name__ == "__main__":
    run.main(__doc__, lambda case, prepared, asked: run_case(
        case, prepared, asked.every if case.thin else asked.every_computing, seconds=asked.seconds))
