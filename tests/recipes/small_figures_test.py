"""The figures of docs/results/specialisation.md from records whose numbers are known."""

import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "recipes/specialise"), str(ROOT / "recipes/study")]

import report  # noqa: E402
import settings  # noqa: E402
from figures import KEEP, Results  # noqa: E402

QUICK = settings.QUICK  # domains english, german, code; tasks german, qa


def task(name, before, after):
    return {
        "tasks": [{"task": "english", "before": 1.0, "after": 1.0}, {"task": name, "before": before, "after": after}]
    }


def pair(before, after):
    return {"before": before, "after": after}


def small(after):
    return {
        **task("german", 8.0, after), "kept": [{"layer": 0, "att": pair(4, 2), "mlp": pair(8, 4)},
                                               {"layer": 1, "att": pair(4, 1),
                                                "mlp": pair(8, 2)}], "memory_bytes": pair(100, 40),
        "disk_bytes": pair(100, 50), "parameters": pair(10, 4)
    }


def curve(mean):
    return {"points": [{"criterion": "gate-mass", "keep": keep, "mean": mean + 1 - keep} for keep in KEEP]}


def measured(loss):
    return {"tasks": [{"loss": loss}]}


def results(**more):
    steps = {
        "tuned": task("german", 8.0, 4.0), "first-0.3": small(4.02), "first-0.25": small(4.2), "curve-base": curve(8.0),
        "graft-german": measured(4.5), "graft-english": measured(3.004), "graft-code": measured(5.98), **more
    }
    base = {
        "english": {"tasks": [{"task": "english", "after": 3.0}]}, "unseen-code": measured(6.0),
        "unseen-german": measured(8.0)
    }
    return Results(
        {
            "seed0/base": {step: {"result": result} for step, result in base.items()},
            "seed0/specialise-german": {step: {"result": result} for step, result in steps.items()},
            "seed0/specialise-speed": {"speed-0.3": {"result": {"ratio": 0.8}}}
        }, QUICK)


class Figures(unittest.TestCase):

    def test_a_small_model_is_held_against_the_unpruned_tuned_one(self):
        self.assertAlmostEqual(results().excess(0, "german", "first-0.3"), 0.005)
        self.assertIsNone(results().excess(0, "german", "random-0.3"))
        self.assertIsNone(results().excess(0, "qa", "first-0.3"))

    def test_modules_are_counted_over_layers_and_kinds(self):
        self.assertAlmostEqual(results().kept_share(0, "german", "first-0.3"), 9 / 24)
        self.assertAlmostEqual(results().ratio(0, "german", "first-0.3", "memory_bytes"), 0.4)

    def test_time_is_that_of_the_pairs(self):
        self.assertEqual(results().time_ratio(0, "0.3"), 0.8)
        self.assertIsNone(results().time_ratio(0, "0.25"))

    def test_a_graft_is_held_against_the_base_on_the_task_and_on_all_else(self):
        self.assertAlmostEqual(results().grafted(0, "german", own=True), -3.5)
        self.assertAlmostEqual(results().grafted(0, "german", own=False), 0.004)

    def test_a_curve_is_in_the_order_of_the_fractions(self):
        self.assertEqual(results().curve(0, "german", "base", "gate-mass"), [8.0 + 1 - keep for keep in KEEP])

    def test_goals_are_met_by_the_mean_of_each_task_and_dashes_where_nothing_was_run(self):
        goals = {goal.claim: goal for goal in report.goals(results())}
        self.assertTrue(
            goals["german: `prune --keep 0.3`, chosen first, then tuned: loss over the unpruned tuned model's"].met)
        self.assertFalse(
            goals["german: `prune --keep 0.25`, chosen first, then tuned: loss over the unpruned tuned model's"].met)
        self.assertIsNone(
            goals["qa: `prune --keep 0.3`, chosen first, then tuned: loss over the unpruned tuned model's"].met)
        self.assertTrue(goals["graft: largest rise elsewhere"].met)


if __name__ == "__main__":
    unittest.main()
