import csv
import math
import unittest

import mformer

EXTEND = ("extend", "--data", "german", "--steps", "4", *mformer.QUICK)
MATRIX = ("eval", "--matrix", "--max-tokens", "600")


class EvalMatrixTest(mformer.EndToEndTest):
    def extended(self):
        work = self.workspace()
        work.run(*EXTEND)
        return work

    def test_matrix_holds_each_steps_losses_and_what_follows_from_them(self):
        work = self.extended()
        result = work.run(*MATRIX, "--json").json
        self.assertEqual([step["version"]["ref"] for step in result["steps"]], ["base@2", "base@3"])
        self.assertEqual([step["trained_on"] for step in result["steps"]], [["english"], ["german"]])
        self.assertEqual([task["task"] for task in result["tasks"]], ["english", "german"])
        for step in result["steps"]:
            rows = work.run("eval", "--json", "--max-tokens", "600", "--model", step["version"]["ref"]).json["tasks"]
            self.assertEqual(step["losses"], [row["loss"] for row in rows])
        (first, _), last = (step["losses"] for step in result["steps"])
        figures = result["figures"]
        self.assertTrue(math.isclose(figures["average"], sum(last) / 2))
        self.assertTrue(math.isclose(figures["backward_transfer"], last[0] - first))
        self.assertEqual(figures["forgetting_first_last"], figures["backward_transfer"])
        self.assertEqual(set(figures), {
            "average", "learning_accuracy", "backward_transfer", "forward_transfer", "forgetting_first_last",
            "forgetting_max_last", "retention", "router_leak", "routing_divergence"})
        self.assertNotIn(None, figures.values())
        leak = work.run("inspect", "routing", "--task", "english", "--json")
        self.assertTrue(0 <= figures["router_leak"] <= 1, leak)

    def test_text_names_every_figure_and_csv_has_the_same_numbers(self):
        work = self.extended()
        result = work.run(*MATRIX, "--csv", "matrix.csv", "--json").json
        with open(work / "matrix.csv") as file:
            rows = list(csv.DictReader(file))
        losses = {(int(row["step"]), row["task"]): float(row["value"]) for row in rows if row["figure"] == "loss"}
        for step in result["steps"]:
            self.assertEqual(step["losses"], [losses[step["step"], task] for task in ("english", "german")])
        means = {row["figure"]: float(row["value"]) for row in rows if not row["task"]}
        self.assertEqual({name.replace(" ", "_").replace("-", "_"): value for name, value in means.items()},
                         result["figures"])
        text = work.run(*MATRIX).out
        for name in means:
            self.assertIn(name, text)

    def test_without_measuring_unknown_losses_stay_open(self):
        work = self.extended()
        result = work.run(*MATRIX, "--no-measure", "--json").json
        self.assertEqual(result["initial"]["losses"][1], None)
        self.assertEqual(result["figures"]["forward_transfer"], None)
        self.assertIn("-", work.run(*MATRIX, "--no-measure").out)

    def test_refuses_what_does_not_go_together(self):
        work = self.workspace()
        work.refuses(*MATRIX, "--as-of", "base@1", code=2, says="--as-of", hint="--task")
        work.refuses("eval", "--csv", "matrix.csv", code=2, says="--matrix")
        work.refuses(*MATRIX, "--csv", "nowhere/matrix.csv", code=2, says="nowhere")
        work.refuses(*MATRIX, "--model", "base@1", code=1, says="no version in the lineage", hint="mformer train")


if __name__ == "__main__":
    unittest.main()
