"""A model spread over processes: the losses of one process, nothing kept, refusals."""

import contextlib
import sqlite3
import unittest

import mformer
import processes

EVAL = ("eval", "--task", "english", "--max-tokens", "3000", "--json")
# Sums in float32 with other numbers of rows a product, through a few layers.
ROUNDING = 1e-5


@unittest.skipIf(processes.why_not(), processes.why_not())
class ExpertParallelTest(mformer.EndToEndTest):
    def loss(self, result):
        (row,) = result.json["tasks"]
        return row["loss"], row["tokens"]

    def scores(self, work):
        with contextlib.closing(sqlite3.connect(work / ".mformer" / "registry.db")) as registry:
            return registry.execute("SELECT * FROM v_scores ORDER BY 1, 2, 3").fetchall()

    def test_a_spread_model_has_the_losses_of_a_whole_one(self):
        whole, tokens = self.loss(self.workspace("whole").run(*EVAL))
        work = self.workspace()
        # With three of them the batches don't come out even.
        for count in (2, 3):
            with self.subTest(processes=count):
                loss, counted = self.loss(processes.run(work, count, *EVAL, "--expert-parallel"))
                self.assertEqual(counted, tokens)
                self.assertAlmostEqual(loss, whole, delta=ROUNDING)

    def test_one_window_is_enough_for_many_processes(self):
        short = ("eval", "--task", "english", "--max-tokens", "64", "--context", "64", "--json")
        whole, tokens = self.loss(self.workspace("whole").run(*short))
        loss, counted = self.loss(processes.run(self.workspace(), 3, *short, "--expert-parallel"))
        self.assertEqual(counted, tokens)
        self.assertAlmostEqual(loss, whole, delta=ROUNDING)

    def test_of_a_model_with_domains_one_hypothesis_is_measured(self):
        work = self.workspace()
        work.run("extend", "--data", "german", "--steps", "2", "--context", "32", "--batch", "2", "--eval-tokens", "600")
        refused = processes.run(work, 2, *EVAL, "--expert-parallel", code=2)
        self.assertIn("--expert-parallel measures one hypothesis of a model with domains", refused.err)
        self.assertIn("name it: --domain base", refused.err)
        for domain in ("base", "german"):
            with self.subTest(domain=domain):
                line = (*EVAL, "--domain", domain)
                whole, _ = self.loss(work.run(*line))
                loss, _ = self.loss(processes.run(work, 2, *line, "--expert-parallel"))
                self.assertAlmostEqual(loss, whole, delta=ROUNDING)

    def test_the_measured_loss_is_not_kept(self):
        work = self.workspace()
        before = self.scores(work)
        processes.run(work, 2, *EVAL, "--expert-parallel")
        self.assertEqual(self.scores(work), before)
        work.run(*EVAL)
        self.assertNotEqual(self.scores(work), before)


class AloneTest(mformer.EndToEndTest):
    def test_one_process_has_nothing_to_spread_over(self):
        result = self.workspace().run(*EVAL, "--expert-parallel", code=2)
        self.assertIn("several processes", result.err)

    def test_it_measures_the_loss_of_one_version(self):
        for option in (("--matrix",), ("--as-of", "base@1")):
            with self.subTest(option=option):
                result = self.workspace(option[0]).run("eval", "--expert-parallel", *option, code=2)
                self.assertIn("--expert-parallel measures", result.err)


if __name__ == "__main__":
    unittest.main()
