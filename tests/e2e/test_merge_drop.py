import shutil
import unittest

import mformer

QUICK = ("--steps", "3", *mformer.QUICK)
EVAL = ("--eval-tokens", "600")


class MergeDropTest(mformer.EndToEndTest):
    def branched(self):
        """base@2 with the branches 'de' (German) and 'qa' (questions)."""
        work = self.workspace()
        work.run("extend", "--data", "german", "--into", "de", *QUICK)
        work.run("extend", "--data", "qa", "--into", "qa", *QUICK)
        return work

    def test_merge_keeps_both_branches_modules_and_drop_takes_one_away_again(self):
        work = self.branched()
        result = work.run("merge", "de", "qa", "--into", "both", *EVAL, "--json").json
        self.assertEqual((result["model"], result["ancestor"]["ref"]), ("both@1", "base@2"))
        self.assertEqual(work.modules("both"), {**work.modules("de"), **work.modules("qa")})
        self.assertEqual({task["task"] for task in result["tasks"]}, {"english", "german", "qa"})
        dropped = work.run("drop", "--born", "extend:qa", "--model", "both", *EVAL, "--json").json
        self.assertEqual(work.modules("both"), work.modules("de"))
        before = work.run("eval", "--model", "de", "--max-tokens", "600", "--json").json["tasks"]
        after = {task["task"]: task["after"] for task in dropped["tasks"]}
        self.assertEqual(after, {task["task"]: task["loss"] for task in before})

    def test_lineage_and_matrix_show_where_a_merge_came_from(self):
        work = self.branched()
        work.run("merge", "de", "qa", *EVAL)
        rows = {row["version"]["ref"]: row for row in work.run("inspect", "lineage", "--model", "de", "--json").json["versions"]}
        self.assertEqual((rows["de@2"]["parent"]["ref"], rows["de@2"]["merged"]), ("de@1", "qa@1"))
        self.assertIn("qa@1", rows)
        self.assertIn("de@1 + qa@1", work.run("inspect", "lineage", "--model", "de").out)
        matrix = work.run("eval", "--matrix", "--model", "de", "--max-tokens", "600", "--json").json
        self.assertEqual([step["trained_on"] for step in matrix["steps"]], [["english"], ["german"], ["qa"]])
        self.assertEqual(matrix["steps"][-1]["command"], "merge")

    def test_a_branch_from_a_copy_of_the_workspace_is_merged_like_one_of_its_own(self):
        work = self.workspace()
        away = mformer.Folder(self, self.temporary / "away")
        shutil.copytree(work.path, away.path)
        work.run("extend", "--data", "german", *QUICK)
        away.run("extend", "--data", "qa", *QUICK)
        result = work.run("merge", "base", "base", "--from", away.path, *EVAL, "--json").json
        self.assertEqual((result["model"], result["ancestor"]["ref"]), ("base@4", "base@2"))
        self.assertEqual(work.modules("base"), {**work.modules("base@3"), **away.modules("base")})
        self.assertIn("base@3 of " + str(away.path), work.run("inspect", "lineage").out)
        born = [row["born_for"] for row in work.run("inspect", "modules", "born=extend:qa", "--json").json["modules"]]
        self.assertEqual(set(born), {"qa"})

    def test_text_says_what_was_done(self):
        work = self.branched()
        text = work.run("merge", "de", "qa", *EVAL).out
        self.assertIn("made de@2 from de@1 and qa@1, which part at base@2", text)
        self.assertIn("over the better", text)
        text = work.run("drop", "born=extend:qa", "--model", "de", "--dry-run", *EVAL).out
        self.assertIn("would drop", text)
        self.assertEqual(work.versions().count("de@2"), 1)

    def test_refuses_what_can_not_be_merged_or_dropped(self):
        work = self.branched()
        work.refuses("merge", "base", "de", code=1, says="nothing to merge", hint="mformer use de@1")
        work.refuses("merge", "de", "nobody", code=2, says="nobody")
        work.refuses("merge", "de", code=2, says="BRANCH_B")
        work.refuses("merge", "de", "qa", "--rename", "german", code=2, says="--rename", hint="old=new")
        work.run("train", "--task", "german", "--into", "tuned", *QUICK)
        work.refuses("merge", "tuned", "qa", code=1, says="changed between base@2", hint="mformer diff base@2 tuned@1")
        work.run("extend", "--data", "german", "--into", "other", *QUICK)
        work.refuses("merge", "de", "other", code=2, says="both branches have a domain", hint="--rename german=german-2")
        work.run("merge", "de", "other", "--rename", "german=german-2", "--dry-run")
        work.refuses("drop", code=2, says="no modules were named", hint="--born")
        work.refuses("drop", "--born", "extend:german", code=1, says="selects no module")
        work.refuses("drop", "--born", "init", code=1, says="trained since", hint="prune")


if __name__ == "__main__":
    unittest.main()
