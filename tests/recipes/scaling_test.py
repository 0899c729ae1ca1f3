"""The arithmetic of recipes/scaling: sizes that others have published, and what must hold whatever the rates are."""

import dataclasses
import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "recipes/scaling"))

import estimate  # noqa: E402


class Sizes(unittest.TestCase):

    def test_weights_are_those_of_the_published_models(self):
        # In billions: all, and those that a token meets, the head among them.
        for model, weights, active in ((estimate.GRANITE, 3.30, 0.88), (estimate.JETMOE, 8.52, 2.33),
                                       (estimate.QWEN, 30.5, 3.04)):
            self.assertAlmostEqual(model.weights() / 1e9, weights, delta=0.05, msg=model.name)
            self.assertAlmostEqual(model.active() / 1e9, active, delta=0.01, msg=model.name)

    def test_a_dense_model_costs_six_flop_a_weight(self):
        smollm2 = estimate.Geometry("SmolLM2-135M", 30, 576, 9, 3, 64, 1, 1, 1536, 49152, True)
        self.assertAlmostEqual(smollm2.weights() / 1e6, 134.5, delta=0.1)
        scores = 3 * smollm2.scores(estimate.TRAIN.context)
        self.assertAlmostEqual((estimate.TRAIN.flop(smollm2) - scores) / smollm2.weights(), 6, delta=0.01)


class Costs(unittest.TestCase):

    def every(self):
        for model in estimate.MODELS:
            for work in (estimate.EXTEND, estimate.TRAIN):
                yield model, work

    def test_one_gpu_sends_nothing(self):
        for model, work in self.every():
            one = estimate.cost(model, work, 1)
            self.assertEqual((one.gradient_bytes, one.row_bytes), (0, 0))

    def test_only_trained_weights_travel(self):
        for model, work in self.every():
            sent = estimate.cost(model, work, 8).gradient_bytes
            self.assertAlmostEqual(sent, 2 * 4 * work.trained(model) * 7 / 8, delta=1)

    def test_spreading_takes_memory_and_sums_and_adds_rows(self):
        for model, work in self.every():
            for gpus in (8, 64):
                whole, spread = (estimate.cost(model, work, gpus, spread=s) for s in (False, True))
                self.assertLess(spread.memory, whole.memory)
                self.assertLess(spread.gradient_bytes, whole.gradient_bytes)
                self.assertGreater(spread.row_bytes, whole.row_bytes)

    def test_rows_all_but_the_own_share_travel_four_times(self):
        model, work = estimate.GRANITE, estimate.EXTEND
        rows = estimate.cost(model, work, 8, spread=True).row_bytes
        # To a module and back, forwards and backwards, in 2 bytes a number.
        self.assertAlmostEqual(rows, work.step / 8 * 32 * 8 * 1536 * 2 * 4 * 7 / 8, delta=1)

    def test_nothing_goes_faster_than_its_products(self):
        for model, work in self.every():
            for gpus in (1, 8, 64):
                cost = estimate.cost(model, work, gpus)
                steps = work.tokens / work.step
                self.assertGreaterEqual(cost.hours * 3600 / steps, cost.compute)

    def test_a_pass_has_no_more_tokens_than_fit_or_one_window(self):
        small = dataclasses.replace(estimate.Machine(), room=60e9)
        for model, work in self.every():
            for machine in (estimate.Machine(), small):
                cost = estimate.cost(model, work, 8, machine)
                self.assertTrue(cost.memory <= machine.usable() or cost.at_once == work.context, model.name)


class Page(unittest.TestCase):

    def test_the_page_has_the_tables_that_the_program_makes(self):
        page = estimate.PAGE.read_text()
        self.assertEqual(page, estimate.written(page))


if __name__ == "__main__":
    unittest.main()
