import signal
import unittest

import mformer

STEPS = 24
TRAIN = ("train", "--data", "english", "--steps", STEPS, "--snapshot-every", "4", "--eval-every", "6", *mformer.QUICK)


class TrainTest(mformer.EndToEndTest):
    def untouched(self, name="work"):
        """The workspace without the run that made base@2: all metrics found are those of the test."""
        work = self.workspace(name)
        mformer.remove_folder(work / ".mformer" / "runs")
        return work

    def test_says_what_changed_for_every_task(self):
        work = self.untouched()
        work.run("task", "add", "german", "--data", "german")
        made = work.run(*TRAIN, "--json").json
        self.assertEqual((made["version"], made["command"], made["model"]), (1, "train", "base@3"))
        self.assertEqual([task["task"] for task in made["tasks"]], ["english", "german"])
        for task in made["tasks"]:
            self.assertAlmostEqual(task["change"], task["after"] - task["before"])
        self.assertLess(made["tasks"][0]["change"], 0)
        self.assertGreater(made["trainable_parameters"]["trunk"], 0)
        self.assertEqual(made["optimizer_bytes"], 8 * made["trainable_parameters"]["total"])
        self.assertGreater(made["training"]["tokens_per_second"], 0)
        self.assertGreater(made["training"]["validation_loss"], 0)
        self.assertEqual([step["step"] for step in work.metrics()], list(range(1, STEPS + 1)))
        table = work.run("train", "--task", "english", "--steps", "1", *mformer.QUICK).out
        self.assertRegex(table, r"english +\d\.\d{4} +\d\.\d{4} +[+-]\d\.\d{4}")

    def test_dry_run_changes_nothing(self):
        work = self.untouched()
        before = work.state()
        plan = work.run("train", "--data", "german", "--dry-run", "--json").json
        self.assertTrue(plan["dry_run"])
        self.assertGreater(plan["trainable_parameters"]["total"], 0)
        self.assertEqual(work.state(), before)

    def test_killed_and_run_again_it_has_the_losses_of_an_uninterrupted_run(self):
        whole, cut = self.untouched("whole"), self.untouched("cut")
        whole.run(*TRAIN)
        for steps in (6, 15):
            process = cut.start(*TRAIN)
            cut.wait_for_steps(process, steps)
            process.kill()
            process.communicate()
        made = cut.run(*TRAIN, "--json").json
        self.assertGreaterEqual(made["training"]["first_step"], 12)
        self.assertEqual(cut.metrics(), whole.metrics())
        self.assertEqual(sorted(cut.modules("base").values()), sorted(whole.modules("base").values()))

    def test_interrupted_it_saves_and_goes_on(self):
        whole, cut = self.untouched("whole"), self.untouched("cut")
        whole.run(*TRAIN)
        process = cut.start(*TRAIN)
        cut.wait_for_steps(process, 2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=mformer.TIMEOUT_S)
        self.assertEqual((process.returncode, out), (130, b""))
        self.assertRegex(err.decode(), r"(?m)^interrupted: .*\nhint: the same command again")
        self.assertEqual(cut.versions(), ["base@2"])
        self.assertEqual(cut.run("log", "--json").json["operations"][0]["outcome"], "interrupted")
        made = cut.run(*TRAIN, "--json").json
        self.assertGreater(made["training"]["first_step"], 0)
        self.assertEqual(cut.metrics(), whole.metrics())

    def test_a_second_command_that_is_the_same_run_is_refused_while_the_first_is_at_work(self):
        work = self.untouched()
        long = ("train", "--data", "english", "--steps", "2000", *mformer.QUICK)
        process = work.start(*long)
        work.wait_for_steps(process, 2)
        for options in ((), ("--restart",), ("--snapshot-every", "7")):
            work.refuses(*long, *options, code=1, says="at work on this very run", hint="--seed")
        self.assertIsNone(process.poll())
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=mformer.TIMEOUT_S)
        self.assertEqual(process.returncode, 130, err)
        self.assertEqual([step["step"] for step in work.metrics()], list(range(1, len(work.metrics()) + 1)))

    def test_a_validation_that_was_interrupted_is_made_up_for(self):
        train = ("train", "--data", "english", "--steps", "5", "--batch", "2", "--context", "32", "--eval-tokens", "0")
        whole, cut = self.untouched("whole"), self.untouched("cut")
        expected = whole.run(*train, "--json").json["training"]
        for _ in range(10):
            process = cut.start(*train)
            while process.poll() is None and not self.is_at_the_last_validation(cut, 4):
                pass
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=mformer.TIMEOUT_S)
            if process.returncode == 130:
                break
            cut.run("undo")
        made = cut.run(*train, "--json").json["training"]
        self.assertEqual((made["loss"], made["validation_loss"]), (expected["loss"], expected["validation_loss"]))
        self.assertEqual(cut.metrics(), whole.metrics())

    def is_at_the_last_validation(self, work, steps):
        """All steps but the last have their lines, and the last may be taken."""
        return sum(file.read_text().count("\n") for file in work.path.glob(".mformer/runs/*/metrics.jsonl")) >= steps

    def test_restart_begins_anew(self):
        work = self.untouched()
        process = work.start(*TRAIN)
        work.wait_for_steps(process, 5)
        process.kill()
        process.communicate()
        self.assertEqual(work.run(*TRAIN, "--restart", "--json").json["training"]["first_step"], 0)

    def test_a_diverging_run_stops_and_keeps_the_last_good_state(self):
        work = self.untouched()
        work.refuses("train", "--task", "english", "--steps", "8", "--lr", "1e30", "--warmup", "0", *mformer.QUICK,
                     code=1, says="diverged", hint="smaller --lr")
        self.assertTrue(list((work / ".mformer" / "runs").glob("*/snapshot.safetensors")))
        self.assertEqual(work.versions(), ["base@2"])
        self.assertEqual(work.run("log", "--json").json["operations"][0]["outcome"], "failed")

    def test_the_result_can_go_into_another_model(self):
        work = self.untouched()
        work.run("train", "--task", "english", "--steps", "1", "--into", "english-only", *mformer.QUICK)
        self.assertEqual(work.versions(), ["base@2", "english-only@1"])

    def test_replay_mixes_earlier_text_into_the_training(self):
        plain, mixed = self.untouched("plain"), self.untouched("mixed")
        train = ("train", "--data", "german", "--steps", "40", "--lr", "3e-3", *mformer.QUICK, "--json")
        without = plain.run(*train).json["tasks"]
        replayed = mixed.run(*train, "--replay", "0.5").json["tasks"]
        self.assertEqual([task["task"] for task in replayed], ["english", "german"])
        self.assertLess(replayed[0]["after"], without[0]["after"])
        self.assertGreater(replayed[1]["after"], without[1]["after"])

    def test_replay_is_refused_where_nothing_can_be_replayed(self):
        work = self.untouched()
        work.refuses("train", "--task", "english", "--replay", "0.1", *mformer.QUICK, code=1,
                     says="--replay needs an earlier task", hint="task add")
        work.refuses("train", "--task", "english", "--replay", "1", *mformer.QUICK, code=2, says="--replay")


if __name__ == "__main__":
    unittest.main()
