import contextlib
import os
import sqlite3
import time
import unittest

import mformer


class RegistryCommandsTest(mformer.EndToEndTest):
    def workspace_to_damage(self):
        """One that need not be sound when the test ends."""
        work = self.workspace()
        self.workspaces.remove(work)
        return work

    def test_models_lists_them_and_marks_the_current_one(self):
        work = self.workspace()
        work.run("prune", "--task", "english", "--keep", "0.5", "--into", "small", "--eval-tokens", "600")
        rows = {row["name"]: row for row in work.run("models", "--json").json["models"]}
        self.assertEqual(list(rows), ["base", "small"])
        self.assertEqual([row["current"] for row in rows.values()], [True, False])
        self.assertEqual((rows["base"]["versions"], rows["base"]["modules"]), (2, 24))
        self.assertLess(rows["small"]["bytes"], rows["base"]["bytes"])
        self.assertRegex(work.run("models").out, r"\* +base +base@2")

    def test_use_makes_a_model_the_current_one(self):
        work = self.workspace()
        work.run("prune", "--task", "english", "--keep", "0.5", "--into", "small", "--eval-tokens", "600")
        result = work.run("use", "small", "--json").json
        self.assertFalse(result["moved"])
        self.assertEqual([row["current"] for row in work.run("models", "--json").json["models"]], [False, True])
        work.refuses("use", "smal", code=2, says="smal", hint="small")

    def test_use_looks_at_a_version_and_moves_nothing(self):
        work = self.workspace()
        looked = work.run("use", "base@1", "--json").json
        self.assertEqual((looked["moved"], looked["looking"], looked["before"]["ref"], looked["after"]["ref"]),
                         (False, True, "base@2", "base@1"))
        self.assertEqual(work.versions(), ["base@2"])
        self.assertIn("looking at base@1; back: mformer use base", work.run("models").out)
        self.assertEqual(work.run("inspect", "lineage", "--json").json["model_version"]["ref"], "base@1")
        for line in (("freeze", "layer=0"), ("undo",), ("train", "--task", "english", "--steps", "1", *mformer.QUICK)):
            work.refuses(*line, code=1, says="looks at base@1, so no model was moved", hint="mformer use base")
        work.run("freeze", "layer=0", "--model", "base")
        self.assertEqual(work.versions(), ["base@3"])
        self.assertEqual(work.run("branch", "try", "--json").json["model_version"]["ref"], "base@1")
        self.assertFalse(work.run("use", "base", "--json").json["looking"])
        self.assertEqual(work.run("inspect", "lineage", "--json").json["model_version"]["ref"], "base@3")
        full_hash = work.run("models", "--json").json["models"][0]["version"]["hash"]
        self.assertFalse(work.run("use", full_hash[:10], "--json").json["looking"], "base stands there")
        work.refuses("use", "base@9", code=2, says="base", hint="base@3")

    def test_move_points_a_model_to_a_version_and_undo_brings_it_back(self):
        work = self.workspace()
        self.assertEqual(work.run("move", "base", "base@1", "--dry-run", "--json").json["before"]["ref"], "base@2")
        self.assertEqual(work.versions(), ["base@2"])
        self.assertIn("mformer undo --model base", work.run("move", "base", "base@1").out)
        newest = work.run("log", "-n", "1", "--json").json["operations"][0]
        self.assertEqual((newest["command"], newest["before"]["ref"], newest["after"]["ref"]), ("move", "base@2", "base@1"))
        self.assertFalse(work.run("move", "base", "base@1", "--json").json["moved"])
        work.run("undo")
        self.assertEqual(work.versions(), ["base@1"], "that it stood there already was an operation too")
        work.run("undo", "--model", "base")
        self.assertEqual(work.versions(), ["base@2"])
        work.refuses("move", "base@1", "base@2", code=2, says="base@1")
        work.refuses("move", "base", "base@9", code=2, says="base", hint="base@2")

    def test_branch_gives_a_version_a_second_model(self):
        work = self.workspace()
        work.run("branch", "try", "base@1")
        self.assertEqual(work.versions(), ["base@2", "base@1"])
        work.refuses("branch", "try", code=2, says="model 'try' already")
        work.refuses("branch", "a@b", code=2, says="a@b")
        work.refuses("diff", "try@1", "base", code=2, says="no version of its own yet")
        work.run("freeze", "layer=0", "--model", "try")
        self.assertEqual(work.versions(), ["base@2", "try@1"])
        for _ in range(2):
            work.run("undo", "--model", "try")
        self.assertEqual(work.versions(), ["base@2"])
        work.run("redo")
        work.refuses("redo", code=1, says="nothing to redo")
        work.run("redo", "--model", "try")
        self.assertEqual(work.versions(), ["base@2", "try@1"])

    def test_log_tells_newest_first_what_was_done_with_which_data(self):
        work = self.workspace()
        operations = work.run("log", "--json").json["operations"]
        self.assertEqual([row["command"] for row in operations], ["train", "init"])
        train = operations[0]
        self.assertEqual((train["outcome"], train["before"]["ref"], train["after"]["ref"]), ("done", "base@1", "base@2"))
        self.assertEqual(train["data"][0]["task"], "english")
        self.assertEqual(train["arguments"]["steps"], 12)
        self.assertLessEqual(train["started_ms"], train["ended_ms"])
        self.assertEqual(len(work.run("log", "-n", "1", "--json").json["operations"]), 1)
        self.assertRegex(work.run("log").out, r"done +base@1 -> base@2 +--threads 1 train --data english --steps 12")

    def test_log_keeps_what_failed(self):
        work = self.workspace()
        work.run("train", "--data", "english", "--steps", "5", "--lr", "1e30", "--clip", "0", *mformer.QUICK, code=1)
        newest = work.run("log", "-n", "1", "--json").json["operations"][0]
        self.assertEqual((newest["command"], newest["outcome"], newest["after"]), ("train", "failed", None))
        self.assertTrue(newest["message"])

    def test_undo_goes_back_and_redo_goes_forward(self):
        work = self.workspace()
        planned = work.run("undo", "--dry-run", "--json").json
        self.assertEqual((planned["from"]["ref"], planned["to"]["ref"]), ("base@2", "base@1"))
        self.assertEqual(work.versions(), ["base@2"])
        done = work.run("undo", "--json").json
        self.assertEqual(done["undone"]["command"], "train")
        self.assertEqual(work.versions(), ["base@1"])
        work.refuses("undo", code=1, says="nothing to undo")
        self.assertEqual(work.run("redo", "--json").json["to"]["ref"], "base@2")
        self.assertEqual(work.versions(), ["base@2"])
        self.assertEqual([row["command"] for row in work.run("log", "--json").json["operations"]][:2], ["redo", "undo"])

    def test_undo_works_on_a_model_not_on_a_version(self):
        work = self.workspace()
        work.refuses("undo", "--model", "base@1", code=2, says="base@1")
        work.run("undo", "--model", "base")
        self.assertEqual(work.versions(), ["base@1"])

    def test_redo_takes_undos_back_until_something_else_was_done(self):
        work = self.workspace()
        work.refuses("redo", code=1, says="nothing to redo")
        work.run("freeze", "layer=0")
        work.run("undo")
        work.run("undo")
        self.assertEqual(work.versions(), ["base@1"])
        self.assertEqual(work.run("redo", "--dry-run", "--json").json["to"]["ref"], "base@2")
        work.run("redo")
        work.run("undo")
        work.run("redo")
        self.assertIn("redid freeze", work.run("redo").out)
        self.assertEqual(work.versions(), ["base@3"])
        work.refuses("redo", code=1, says="nothing to redo")
        work.run("undo")
        work.run("freeze", "kind=att")
        work.refuses("redo", code=1, says="nothing to redo")
        self.assertEqual(work.run("undo", "--json").json["to"]["ref"], "base@2")

    def test_a_log_of_before_move_came_is_repeated_as_it_was_meant(self):
        work = self.workspace()
        work.run("move", "base", "base@1")
        with contextlib.closing(sqlite3.connect(work / ".mformer" / "registry.db")) as registry:
            registry.execute("""UPDATE operations SET command = 'use', command_line = '["use","base@1"]' WHERE command = 'move'""")
            registry.commit()
        self.assertIn("\nmformer move base base@1\n", work.run("log", "--script").out)
        work.run("undo")
        self.assertEqual(work.versions(), ["base@2"])
        self.workspaces.remove(work)  # its seals know nothing of the change by hand

    def test_gc_removes_only_old_files_that_nothing_names(self):
        work = self.workspace()
        objects = work / ".mformer" / "objects"
        stray = objects / "ab" / ("ab" + "0" * 62)
        stray.parent.mkdir(exist_ok=True)
        stray.write_bytes(b"12345")
        self.assertEqual(work.run("gc", "--json").json["objects"], 0)  # younger than an hour
        old = time.time() - 7200
        os.utime(stray, (old, old))
        planned = work.run("gc", "--dry-run", "--json").json
        self.assertEqual((planned["objects"], planned["bytes"]), (1, 5))
        self.assertTrue(stray.exists())
        work.run("gc", "--grace", "0")
        self.assertFalse(stray.exists())
        work.check_sound()

    def test_gc_keeps_metrics_of_versions_and_frees_runs_and_tokens_that_nothing_needs(self):
        work = self.workspace()
        runs, cache = work / ".mformer" / "runs", work / ".mformer" / "cache"
        of_base = {path.name for path in runs.iterdir()}
        work.run("finetune", "--data", "german", "--into", "tuned", "--steps", "2", *mformer.QUICK)
        of_tuned = {path.name for path in runs.iterdir()} - of_base
        tokens = len(list(cache.glob("*.tokens")))
        (runs / next(iter(of_base)) / "snapshot.safetensors").write_bytes(b"left by a kill")
        os.utime(runs / next(iter(of_base)) / "snapshot.safetensors", (1, 1))
        (runs / "of-nobody").mkdir()
        (runs / "of-nobody" / "metrics.jsonl").write_text("{}")
        work.run("model", "remove", "tuned")
        work.run("task", "remove", "german")
        young = work.run("gc", "--json").json
        self.assertEqual((young["runs"], young["snapshots"], young["token_files"]), (0, 1, 0))
        planned = work.run("gc", "--grace", "0", "--dry-run", "--json").json
        freed = work.run("gc", "--grace", "0", "--json").json
        self.assertEqual((freed["runs"], freed["token_files"], freed["tasks"]), (2, 3, 1))
        self.assertEqual({**planned, "dry_run": False}, freed)
        self.assertEqual({path.name for path in runs.iterdir()}, of_base)
        self.assertTrue((runs / next(iter(of_base)) / "metrics.jsonl").exists())
        self.assertEqual(len(list(cache.glob("*.tokens"))), tokens - 3)
        self.assertIn("curve", work.run("log", "2", "--json").json["operations"][0] | work.run("log", "2", "--json").json["run"])
        self.assertEqual(work.run("gc", "--grace", "0", "--json").json["bytes"], 0)
        self.assertTrue(of_tuned)

    def test_fsck_names_what_is_damaged_and_fails(self):
        work = self.workspace_to_damage()
        self.assertEqual(work.run("fsck", "--json").json["problems"], [])
        victim = sorted(path for path in (work / ".mformer" / "objects").rglob("*") if path.is_file())[0]
        victim.chmod(0o644)
        data = bytearray(victim.read_bytes())
        data[-1] ^= 1
        victim.write_bytes(data)
        result = work.run("fsck", "--json", code=1)
        self.assertFalse(result.json["sound"])
        self.assertIn(victim.name, result.json["problems"][0])
        self.assertIn("the workspace has 1 problem", result.err)
        self.assertIn("hint", result.err)

    def test_diff_tells_versions_apart_by_identity(self):
        work = self.workspace()
        self.assertTrue(work.run("diff", "base@2", "base", "--json").json["same"])
        trained = work.run("diff", "base@1", "base@2", "--json").json
        self.assertEqual((trained["retrained"], trained["added"], trained["removed"]), (24, 0, 0))
        self.assertIn("wte", trained["trunk"])
        work.run("prune", "--task", "english", "--keep", "0.5", "--into", "small", "--eval-tokens", "600")
        pruned = work.run("diff", "base", "small", "--json").json
        self.assertEqual((pruned["removed"], pruned["retrained"], pruned["same_modules"]), (12, 0, 12))
        self.assertEqual({row["field"] for row in pruned["config"]}, {"n_att_experts", "n_mlp_experts"})
        back = work.run("diff", "small", "base", "--json").json
        self.assertEqual((back["added"], back["removed"]), (12, 0))
        work.run("freeze", "kind=att")
        self.assertEqual(work.run("diff", "base@2", "base@3", "--json").json["frozen"], 8)

    def test_doctor_checks_kernels_and_the_workspace(self):
        work = self.workspace_to_damage()
        result = work.run("doctor", "--json").json
        self.assertTrue(result["healthy"])
        self.assertEqual(len(result["kernels"]), 7)
        self.assertRegex(result["products"], "^(AVX|any processor).*, bfloat16 ")
        self.assertTrue(all(row["passed"] for row in result["kernels"]))
        self.assertIsNone(self.folder("elsewhere").run("doctor", "--json").json["workspace"])
        for path in (work / ".mformer" / "objects").rglob("*"):
            if path.is_file():
                path.unlink()
        broken = work.run("doctor", "--json", code=1)
        self.assertEqual(broken.json["workspace"]["missing_objects"], 24)
        self.assertIn("the workspace lacks 24 objects", broken.err)


if __name__ == "__main__":
    unittest.main()
