import csv
import unittest

import mformer

SMALL = ("--keep", "0.3", "--stat-tokens", "2000")
TRAIN = ("--task", "english", *mformer.QUICK)


class SpecialiseTest(mformer.EndToEndTest):
    def test_pruning_with_tuning_is_finetuning_of_what_is_kept(self):
        work = self.workspace()
        pruned = work.run("prune", *TRAIN, *SMALL, "--tune-steps", "3", "--into", "pruned", "--json").json
        tuned = work.run("finetune", *TRAIN, *SMALL, "--steps", "3", "--into", "tuned", "--json").json
        for key in ("kept", "map", "parameters", "trainable_parameters"):
            self.assertEqual(pruned[key], tuned[key], key)
        self.assertEqual(tuned["trainable_parameters"]["total"], tuned["parameters"]["after"])
        self.assertTrue(work.run("diff", "pruned", "tuned", "--json").json["same"])
        self.assertEqual(pruned["training"]["loss"], tuned["training"]["loss"])
        self.assertLess(pruned["disk_bytes"]["after"], pruned["disk_bytes"]["before"])
        work.check_sound()

    def test_a_dry_run_says_what_would_be_kept(self):
        work = self.workspace()
        expected = work.run("finetune", *TRAIN, *SMALL, "--dry-run", "--json").json
        self.assertEqual(work.versions(), ["base@2"])
        made = work.run("finetune", *TRAIN, *SMALL, "--steps", "2", "--json").json
        for key in ("kept", "map", "parameters", "trainable_parameters"):
            self.assertEqual(made[key], expected[key], key)

    def test_the_teacher_may_be_another_version(self):
        work = self.workspace()
        work.run("finetune", *TRAIN, "--keep", "1", "--steps", "3", "--into", "unpruned")
        distill = ("finetune", *TRAIN, *SMALL, "--steps", "3", "--distill", "2")
        work.run(*distill, "--into", "a")
        work.run(*distill, "--teacher", "unpruned", "--into", "b")
        self.assertFalse(work.run("diff", "a", "b", "--json").json["same"])
        work.refuses(*distill, "--teacher", "unprned", code=2, says="unprned", hint="unpruned")

    def test_a_teacher_of_another_tokenizer_is_refused(self):
        work = self.workspace()
        work.run("tokenizer", "train", "--data", "qa", "--vocab-size", "300", "--out", "other.json")
        work.run("import", "checkpoint", "--name", "same")
        (work / "elsewhere").mkdir()
        work.run("init", "--preset", "tiny", "--tokenizer", "other.json", "--workspace", "elsewhere")
        work.run("export", "other", "--workspace", "elsewhere", "--model", "base")
        work.run("import", "other", "--name", "other")
        distill = ("prune", *TRAIN, *SMALL, "--heal-steps", "2", "--distill", "1", "--teacher")
        work.run(*distill, "same")
        work.refuses(*distill, "other", code=1, says="another tokenizer", hint="same tokens")

    def test_concentration_is_reported_for_every_task(self):
        work = self.workspace()
        work.run("task", "add", "german", "--data", "german")
        made = work.run("finetune", *TRAIN, "--steps", "2", "--concentrate", "1", "--concentrate-warmup", "0.5", "--json")
        rows = {row["task"]: row for row in made.json["concentration"]}
        self.assertEqual(set(rows), {"english", "german"})
        routing = work.run("inspect", "routing", "--json").json["tasks"]
        for task in routing:
            self.assertEqual(task["ninety_percent"], rows[task["task"]]["after"])

    def test_options_without_an_effect_are_refused(self):
        work = self.workspace()
        finetune, prune = ("finetune", *TRAIN, "--steps", "2"), ("prune", *TRAIN, *SMALL)
        for option in (("--criterion", "reap"), ("--scope", "global"), ("--stat-tokens", "5")):
            work.refuses(*finetune, *option, code=2, says=option[0], hint="--keep")
        work.refuses(*finetune, "--teacher", "base", code=2, says="--teacher", hint="--distill")
        work.refuses(*finetune, "--concentrate-warmup", "0.5", code=2, says="--concentrate-warmup", hint="--concentrate")
        work.refuses(*prune, "--distill", "1", code=2, says="--distill", hint="--tune-steps")
        work.refuses(*prune, "--heal-steps", "1", "--tune-steps", "1", code=2, says="exclude", hint="routers")
        work.refuses(*finetune, "--keep", "1.5", code=2, says="1.5")

    def test_the_keep_curve_has_every_loss_as_json_and_csv(self):
        work = self.workspace()
        curve = work.run("inspect", "keep-curve", "--task", "english", "--fractions", "1,0.5,0.25", "--criteria",
                         "gate-mass,random", "--seeds", "2", "--max-tokens", "600", "--csv", "curve.csv", "--json").json
        self.assertEqual(curve["split"], "validation")
        self.assertEqual([(p["criterion"], p["keep"], len(p["losses"])) for p in curve["points"]],
                         [("gate-mass", 1, 1), ("gate-mass", 0.5, 1), ("gate-mass", 0.25, 1), ("random", 1, 2),
                          ("random", 0.5, 2), ("random", 0.25, 2)])
        self.assertEqual(curve["points"][0]["mean"], curve["full_loss"])
        with open(work / "curve.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([float(row["loss"]) for row in rows], [x for p in curve["points"] for x in p["losses"]])
        self.assertEqual([row["seed"] for row in rows], ["", "", "", "0", "1", "0", "1", "0", "1"])
        self.assertEqual(work.versions(), ["base@2"])

    def test_the_keep_curve_refuses_what_it_does_not_know(self):
        work = self.workspace()
        curve = ("inspect", "keep-curve", "--max-tokens", "100", "--task")
        work.refuses(*curve, "englisch", code=2, says="englisch", hint="english")
        work.refuses(*curve, "english", "--criteria", "gatemass", code=2, says="gatemass", hint="gate-mass")
        work.refuses(*curve, "english", "--fractions", "0.5,2", code=2, says="2")
        work.refuses(*curve, "english", "--split", "train", code=2, says="train", hint="held-out")
        work.refuses(*curve, "english", "--criteria", "norm", "--fractions", "1", "--csv", "no/where.csv", code=2,
                     says="no/where.csv")


if __name__ == "__main__":
    unittest.main()
