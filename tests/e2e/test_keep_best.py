import json
import unittest
from pathlib import Path

import mformer

OVER = ("--steps", "24", "--lr", "0.05", "--eval-every", "2", *mformer.QUICK)
WORSE = (*OVER[:2], "--lr", "0.5", *OVER[4:], "--patience", "2", "--keep-best")  # steps so large that the loss only rises


class KeepBestTest(mformer.EndToEndTest):
    def validations(self, run_folder):
        lines = [json.loads(line) for line in (Path(run_folder) / "metrics.jsonl").read_text().splitlines()]
        return {line["step"]: line["validation_loss"] for line in lines if "validation_loss" in line}

    def test_every_training_command_keeps_the_weights_of_the_lowest_validation_loss(self):
        work = self.workspace()
        for command in (("train", "--data", "german", "--into", "a"), ("extend", "--data", "german", "--into", "b"),
                        ("finetune", "--task", "english", "--into", "c"),
                        ("extend", "--data", "german", "--single-mask", "--into", "d"),
                        ("prune", "--task", "english", "--keep", "0.5", "--tune-steps", "24", "--into", "e")):
            with self.subTest(command=command):
                options = OVER[2:] if command[0] == "prune" else OVER
                made = work.run(*command, *options, "--keep-best", "--json").json
                seen = self.validations(made["run_folder"])
                self.assertEqual(made["training"]["best_step"], min(seen, key=seen.get))
                self.assertEqual(made["training"]["validation_loss"], min(seen.values()))
                self.assertEqual(made["training"]["steps"], 24)

    def test_patience_ends_a_training_that_gets_no_better(self):
        work = self.workspace()
        result = work.run("train", "--data", "german", *WORSE, "--json")
        training = result.json["training"]
        seen = list(self.validations(result.json["run_folder"]).items())
        self.assertLess(training["steps"], 24)
        self.assertTrue(training["stopped_early"])
        self.assertEqual(seen[-1][0], training["steps"])
        self.assertEqual(seen[-3][0], training["best_step"])
        work.run("undo")
        shown = work.run("train", "--data", "german", *WORSE, "--restart").out
        self.assertIn(f"at step {training['best_step']}, whose weights were kept", shown)
        self.assertIn(f"after step {training['steps']} of 24", shown)

    def test_a_run_that_was_stopped_makes_the_same_version(self):
        whole, cut = self.workspace("whole"), self.workspace("cut")
        # Slow validations would only slow the test: the run is stopped after its third step, wherever that is.
        command = ("train", "--data", "german", *OVER, "--keep-best", "--patience", "6")
        expected = whole.run(*command, "--json").json
        process = cut.start(*command)
        cut.wait_for_steps(process, 3)
        process.terminate()
        process.communicate()
        made = cut.run(*command, "--json").json
        self.assertEqual(made["training"]["best_step"], expected["training"]["best_step"])
        self.assertEqual(made["training"]["steps"], expected["training"]["steps"])
        self.assertEqual(cut.modules("base"), whole.modules("base"))

    def test_how_often_is_validated_is_a_part_of_what_such_a_run_is(self):
        work = self.workspace()
        work.run("train", "--data", "german", *OVER, "--keep-best")
        arguments = [row["arguments"] for row in work.run("log", "--json").json["operations"] if row["command"] == "train"]
        self.assertEqual(["eval_every" in arguments[0], "eval_every" in arguments[-1]], [True, False])

    def test_what_there_is_nothing_to_choose_by_is_refused(self):
        work = self.workspace()
        for option in (("--keep-best",), ("--patience", "2")):
            work.refuses("train", "--data", "german", "--steps", "2", *mformer.QUICK, *option, code=2, says="only one, at the end", hint="--eval-every")
            work.refuses("prune", "--task", "english", "--keep", "0.5", "--eval-every", "1", *option, code=2, says="need steps", hint="--tune-steps")
        (work / "short").mkdir()
        (work / "short" / "one.txt").write_text("one document only, and it is all for training. " * 20)
        work.refuses("train", "--data", "short", "--steps", "2", "--eval-every", "1", *mformer.QUICK, "--keep-best", code=1,
                     says="no validation text")
        work.refuses("upcycle", "--experts", "2", "--k", "1", "--keep-best", code=2, says="--keep-best")


if __name__ == "__main__":
    unittest.main()
