"""The figures of docs/results/continual.md from records whose numbers are known."""

import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "recipes/continual"), str(ROOT / "recipes/study")]

import report  # noqa: E402
import settings  # noqa: E402
from results import Results, by_key  # noqa: E402
from tables import Sample  # noqa: E402

QUICK = settings.QUICK  # english, german, code


def trained(losses, **more):
    return {
        "result": {
            "tasks": [{"task": task, "after": loss, "bound": 0.01} for task, loss in losses.items()],
            "trainable_parameters": {"total": 10}, "added_bytes": 30, "weight_bytes": 100,
            "parameters": {"before": 100, "after": 128}, **more
        }
    }


def measured(**losses):
    return {"result": {"tasks": [{"task": task, "loss": loss} for task, loss in losses.items()]}}


def base():
    return {
        "english": trained({"english": 3.0}), "unseen-german": measured(german=8.0), "unseen-code": measured(code=6.0)
    }


def records(seeds=(0,)):
    """Of each seed s: naive forgets, the posterior rises by 0.002 + s / 1000 on English and learns 95 % as much."""
    found = {}
    for seed in seeds:
        found[f"seed{seed}/base"] = base()
        found[f"seed{seed}/naive"] = {
            "german": trained({"english": 5.0, "german": 4.0}),
            "code": trained({"english": 5.5, "german": 6.0, "code": 2.0})
        }
        rise = 0.002 + seed / 1000
        found[f"seed{seed}/posterior"] = {
            "german": trained({"english": 3.001,
                               "german": 4.2}), "code": trained({"english": 3.0 + rise, "german": 4.2, "code": 2.2}),
            "german-as-of-base": measured(english=3.0, german=8.0), "code-domain-base": measured(english=3.0 + 1e-12)
        }
        found[f"seed{seed}/base-dense-active"] = base()
        found[f"seed{seed}/dense-active"] = {
            "german": trained({"english": 4.0, "german": 4.0}),
            "code": trained({"english": 4.0, "german": 4.6, "code": 2.0})
        }
    return found


class Figures(unittest.TestCase):

    def setUp(self):
        self.one = Results(records(), QUICK)

    def test_a_rise_is_counted_from_when_the_domain_was_just_learned(self):
        naive = by_key("naive")
        self.assertAlmostEqual(self.one.rise(0, naive, "english"), 2.5)
        self.assertAlmostEqual(self.one.rise(0, naive, "german"), 2.0)
        self.assertAlmostEqual(self.one.most_rise(0, naive), 2.5)
        self.assertAlmostEqual(self.one.mean_rise(0, naive), 2.25)

    def test_an_improvement_is_a_share_of_what_tuning_everything_reaches(self):
        self.assertAlmostEqual(self.one.improvement(0, by_key("posterior"), "code"), 3.8)
        self.assertAlmostEqual(self.one.share_of_naive(0, by_key("posterior")), (3.8 / 4 + 3.8 / 4) / 2)

    def test_equality_to_the_base_is_to_the_last_bit(self):
        posterior = by_key("posterior")
        self.assertEqual(self.one.leak_of_base(0, posterior, ("as-of-base",)), 0)
        self.assertGreater(self.one.leak_of_base(0, posterior, ("as-of-base", "domain-base")), 0)

    def test_forgetting_is_compared_by_a_difference_which_a_fall_leaves_a_number(self):
        self.assertAlmostEqual(self.one.rise_over_hundredth(0), self.one.mean_rise(0, by_key("posterior")) - 0.8 / 100)

    def test_what_was_not_run_is_not_there(self):
        single = by_key("single-mask")
        for figure in (self.one.most_rise, self.one.share_of_naive, self.one.trained, self.one.added_share,
                       self.one.added_parameters):
            self.assertIsNone(self.one.over_seeds(lambda seed, f=figure: f(seed, single)))
        self.assertIsNone(self.one.average(0, "joint"))
        self.assertIsNone(self.one.merged(0, "german"))

    def test_sizes_are_the_largest_of_the_steps(self):
        self.assertEqual(self.one.trained(0, by_key("posterior")), 10)
        self.assertAlmostEqual(self.one.added_share(0, by_key("posterior")), 0.3)
        self.assertAlmostEqual(self.one.added_parameters(0, by_key("posterior")), 0.28)

    def test_goals_are_held_against_the_mean_and_missing_runs_are_dashes(self):
        goals = {goal.claim.split(",")[0]: goal for goal in report.goals(Results(records((0, 1, 2)), QUICK))}
        rise = goals["posterior: largest rise on an old domain after all extensions"]
        self.assertAlmostEqual(rise.sample.mean, 0.003)
        self.assertEqual(len(rise.sample.values), 3)
        over_bound = goals["posterior: rise on the base's domain less the bounds that `extend` printed"]
        self.assertIsInstance(over_bound.sample, Sample)
        self.assertTrue(over_bound.met)
        self.assertAlmostEqual(over_bound.sample.mean, 0.003 - 2 * 0.01)  # two extensions, each with its own bound
        self.assertEqual(goals["single mask: largest rise on an old domain"].row()[2:], ["-", 0, "-"])


if __name__ == "__main__":
    unittest.main()
