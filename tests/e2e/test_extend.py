import unittest

import mformer

SINGLE_MASK = ("extend", "--data", "german", "--single-mask", "--rehearse", "0", "--steps", "6", *mformer.QUICK)
REHEARSING = ("extend", "--data", "german", "--single-mask", "--steps", "6", *mformer.QUICK, "--experts", "4", "--heads", "2")
EXTEND = (*SINGLE_MASK, "--experts", "4", "--heads", "2")


class ExtendTest(mformer.EndToEndTest):
    def test_old_modules_keep_their_objects(self):
        work = self.workspace()
        old = work.modules("base@2")
        made = work.run(*EXTEND, "--json").json
        new = work.modules("base@3")
        self.assertEqual({uid: new[uid] for uid in old}, old)
        self.assertEqual(made["new_modules"], {"att": 2 * 2, "mlp": 2 * 4})
        self.assertEqual(len(new) - len(old), 12)

    def test_reports_losses_leak_and_what_was_trained(self):
        work = self.workspace()
        made = work.run(*EXTEND, "--json").json
        self.assertEqual([task["task"] for task in made["tasks"]], ["english", "german"])
        self.assertTrue(all(task["change"] is not None for task in made["tasks"]))
        trainable = made["trainable_parameters"]
        self.assertEqual((trainable["trunk"], trainable["routers"]), (0, 0))
        self.assertEqual(trainable["total"], made["parameters"]["after"] - made["parameters"]["before"])
        self.assertGreaterEqual(made["added_bytes"], 4 * trainable["total"])
        self.assertLess(made["added_bytes"], 2 * 4 * trainable["total"] + 100_000)
        self.assertGreater(made["use"], 0)
        (leak,) = made["leak"]
        self.assertEqual((leak["task"], len(leak["rows"])), ("english", 4))
        self.assertAlmostEqual(leak["mean"], sum(row["share"] for row in leak["rows"]) / 4)

    def test_masked_as_of_its_parent_it_is_the_parent(self):
        work = self.workspace()
        work.run(*EXTEND)
        evaluate = ("eval", "--task", "english", "--max-tokens", "2000", "--json")
        old = work.run(*evaluate, "--model", "base@2").json
        now = work.run(*evaluate, "--model", "base@3").json
        masked = work.run(*evaluate, "--model", "base@3", "--as-of", "base@2").json
        self.assertEqual(masked["tasks"], old["tasks"])
        self.assertNotEqual(now["tasks"], old["tasks"])
        self.assertEqual(masked["masked_modules"], 12)

    def test_the_line_that_users_type_first_works_as_it_stands(self):
        work = self.workspace()
        work.run("extend", "--data", "german/", "--steps", "2")
        self.assertEqual(work.versions(), ["base@3"])
        self.assertIn("german", work.run("tasks").out)

    def test_chosen_layers_counts_and_starts(self):
        work = self.workspace()
        made = work.run(*SINGLE_MASK, "--layers", "1", "--heads", "0", "--experts", "3", "--start", "random", "--json").json
        self.assertEqual(made["new_modules"], {"att": 0, "mlp": 3})
        work.run("extend", "--task", "german", "--single-mask", "--steps", "2", "--start", "unchanged", "--experts", "4", *mformer.QUICK)
        table = work.run("inspect", "modules", "--json").json["modules"]
        self.assertEqual({row["copied_from"] for row in table if row["layer"] == 0 and row["born_by"] == "init"}, {""})
        self.assertTrue(all(row["copied_from"] for row in table[-4:]))

    def test_a_single_mask_rehearses_where_there_is_an_old_task(self):
        work = self.workspace()
        old = work.modules("base@2")
        made = work.run(*REHEARSING, "--json").json
        self.assertGreater(made["trainable_parameters"]["trunk"], 0)
        self.assertEqual({uid: work.modules("base@3")[uid] for uid in old}, old)
        work.refuses("eval", "--as-of", "base@2", code=1, says="changed", hint="base@2")
        parent = ("--model", "base@2", *REHEARSING, "--json")
        again = work.run(*parent, "--into", "again").json
        self.assertEqual(again["tasks"], made["tasks"])
        lighter = work.run(*parent, "--rehearse-weight", "1", "--into", "lighter").json
        more = work.run(*parent, "--rehearse", "2", "--into", "more").json
        self.assertEqual(len({str(one["tasks"]) for one in (made, lighter, more)}), 3)

    def test_replay_penalty_and_review_use_the_old_task(self):
        work = self.workspace()
        work.run(*EXTEND, "--replay", "0.25", "--penalty", "1", "--review-steps", "3")
        self.assertEqual(work.versions(), ["base@3"])
        lines = [len(file.read_text().splitlines()) for file in (work / ".mformer" / "runs").rglob("metrics.jsonl")]
        self.assertEqual(sorted(lines), [3, 6, 12])

    def test_the_memory_and_the_separation_decide_the_result(self):
        work = self.workspace()
        made = [str([task["after"] for task in work.run(*EXTEND, "--into", f"m{i}", "--json", *more).json["tasks"]])
                for i, more in enumerate(((), ("--separation", "0"), ("--memory", "0.5"), ("--replay", "0"), ()))]
        self.assertEqual(made[0], made[4])
        self.assertEqual(len(set(made)), 4)

    def test_replay_without_an_old_task_is_refused(self):
        work = self.folder()
        source = mformer.trained_folder()
        work.run("init", "--from", source / "checkpoint")
        work.run("task", "add", "german", "--data", source / "german")
        work.refuses("extend", "--task", "german", "--single-mask", "--replay", "0.5", "--steps", "2", *mformer.QUICK, code=1,
                     says="--replay needs an earlier task", hint="task add")

    def test_dry_run_changes_nothing(self):
        work = self.workspace()
        before = work.state()
        plan = work.run(*EXTEND, "--dry-run", "--json").json
        self.assertEqual(plan["new_modules"], {"att": 4, "mlp": 8})
        self.assertEqual(work.state(), before)
        text = work.run(*EXTEND, "--dry-run").out
        self.assertIn("would add 4 attention and 8 feed-forward modules", text)

    def test_options_out_of_range_are_refused(self):
        work = self.workspace()
        work.refuses(*EXTEND, "--layers", "1-2", code=2, says="--layers", hint="range")
        work.refuses(*SINGLE_MASK, "--heads", "0", "--experts", "0", code=2, says="both 0")
        work.refuses(*EXTEND, "--start", "copied", code=2, says="copied", hint="copy, random, unchanged")
        work.refuses(*EXTEND, "--replay", "1", code=2, says="--replay")
        work.refuses(*EXTEND, "--memory", "0", code=2, says="--memory")


if __name__ == "__main__":
    unittest.main()
