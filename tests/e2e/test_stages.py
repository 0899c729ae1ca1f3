"""What a long command says of its stages: "[3/9] evaluate german".

One workspace goes through all commands that have stages, one after the other, so that each begins with what the others left
to know: that takes some 30 s, most of it the start of 20 programs.
"""

import re
import unittest

import mformer

QUICK = ("--steps", "2", *mformer.QUICK)
EVAL = ("--eval-tokens", "600")
STAGE = re.compile(r"(?:\[(\d+)/(\d+)\] )?((?:tokenise|evaluate|validate|routing of|hypothesis of|fit|write|train|extend|finetune|tune|heal|review|upcycle)\b[^\x1b\r\n]*?)  ")


class StagesTest(mformer.EndToEndTest):
    def stages(self, work, *arguments):
        """[(number, total, name)] as a terminal shows them; 0 of 0 where it shows no number."""
        shown = work.on_terminal(*arguments, environment=mformer.environment(TERM="xterm", LANG="C.UTF-8"), columns=200, progress=True)
        return [(int(number or 0), int(total or 0), name) for number, total, name in STAGE.findall(shown)]

    def check(self, work, *arguments):
        """Every number in its order, never more than the total, and at the end the total. Returns the names of numbered stages."""
        shown = self.stages(work, *arguments)
        said = f"mformer {' '.join(map(str, arguments))}\n" + "\n".join(map(str, shown))
        numbers = [number for number, _, _ in shown]
        totals = [total for _, total, _ in shown]
        self.assertEqual(sorted(set(numbers)), list(range(1, totals[-1] + 1)), said)
        self.assertEqual(numbers, sorted(numbers), said)
        self.assertEqual(totals, sorted(totals, reverse=True), said)
        self.assertEqual(numbers[-1], totals[-1], said)
        return {number: name for number, _, name in reversed(shown)}

    def test_every_stage_has_its_number_and_the_last_is_the_total(self):
        work = self.workspace()
        names = self.check(work, "train", "--data", "german", "--eval-every", "1", *QUICK)
        read_again = "tokenise english"  # files that changed a moment ago, as a copy's, are not remembered
        self.assertEqual([name for _, name in sorted(names.items()) if name != read_again],
                         ["tokenise german", "evaluate german", "train", "evaluate english", "evaluate german"])
        names = self.check(work, "extend", "--data", "qa", "--eval-every", "1", "--patience", "1", *QUICK)
        self.assertEqual(names[len(names)], "evaluate qa")
        self.assertIn("extend", names.values())
        for line in (("prune", "--task", "qa", "--keep", "0.5", "--dry-run", *EVAL),
                     ("prune", "--task", "qa", "--keep", "0.5", "--tune-steps", "2", "--into", "small", *mformer.QUICK),
                     ("graft", "small", "--onto", "base", "--into", "grafted", *EVAL),
                     ("finetune", "--task", "qa", "--into", "tuned", *QUICK),
                     ("finetune", "--task", "english", "--keep", "0.5", "--into", "few", *QUICK),
                     ("extend", "--task", "german", "--single-mask", "--model", "base@3", "--into", "rehearsed", *QUICK),
                     ("extend", "--task", "german", "--single-mask", "--replay", "0", "--model", "base@3", "--into", "left", *QUICK),
                     ("extend", "--task", "qa", "--single-mask", "--rehearse", "0", "--replay", "0.5", "--review-steps", "2", "--model", "base@3",
                      "--into", "right", *QUICK),
                     ("merge", "left", "right", "--review-steps", "2", "--into", "both", *mformer.QUICK),
                     ("drop", "--born", "extend:qa", "--model", "base", "--into", "less", *EVAL),
                     ("eval", "--domain", "base"),
                     ("eval", "--matrix", "--max-tokens", "400"),
                     ("verify", "base", "--against", "base@3", "--max-tokens", "300"),
                     ("blame", "both", "--task", "qa", "--max-tokens", "300"),
                     ("blame", "both", "--task", "german"),
                     ("inspect", "routing", "--refresh", "--max-tokens", "300"),
                     ("inspect", "keep-curve", "--task", "qa", "--fractions", "1,0.5", "--seeds", "2", "--max-tokens", "300"),
                     ("export", "eighth", "--quantize", "int8", "--model", "base@3", "--max-tokens", "300")):
            with self.subTest(line=line):
                self.check(work, *line)

    def test_a_command_of_one_stage_has_no_number(self):
        work = self.workspace()
        line = ("eval", "--data", mformer.SAMPLE / "german", "--max-tokens", "300")
        self.check(work, *line)  # reads it too
        self.assertEqual({(number, name) for number, _, name in self.stages(work, *line)}, {(0, "evaluate german")})

    def test_upcycling_is_numbered_too(self):
        work = self.workspace()
        work.make_dense()
        work.run("use", "dense")
        names = self.check(work, "upcycle", "--slices", "4", "--k", "2", "--task", "english", "--stat-tokens", "500", *QUICK)
        self.assertEqual(list(names.values()).count("fit routers"), 2)
        self.check(work, "upcycle", "--experts", "3", "--k", "2", "--noise", "0.1", "--task", "english", "--model", "dense@1", *EVAL)


if __name__ == "__main__":
    unittest.main()
