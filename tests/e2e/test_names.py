import contextlib
import os
import re
import shutil
import sqlite3
import unittest

import mformer


class NamesTest(mformer.EndToEndTest):
    def tasks(self, work):
        return [row["task"] for row in work.run("tasks", "--json").json["tasks"]]

    def models(self, work):
        return [row["name"] for row in work.run("models", "--json").json["models"]]

    def scores(self, work):
        with contextlib.closing(sqlite3.connect(work / ".mformer" / "registry.db")) as registry:
            return registry.execute("SELECT name, split, metric, part, token_limit, value FROM scores "
                                    "JOIN tasks ON tasks.id = task_id ORDER BY 1, 2, 3, 4, 5").fetchall()

    def test_a_task_is_renamed_and_removed_and_undo_takes_both_back(self):
        work = self.workspace()
        work.run("eval", "--max-tokens", "100")
        scores = self.scores(work)
        self.assertTrue(scores)
        work.run("task", "rename", "english", "englisch")
        self.assertEqual(self.tasks(work), ["englisch"])
        self.assertEqual([row[1:] for row in self.scores(work)], [row[1:] for row in scores])
        self.assertIn("mformer undo", work.run("task", "remove", "englisch").out)
        self.assertEqual(self.tasks(work), [])
        self.assertEqual(work.run("undo", "--dry-run", "--json").json["undone"]["command"], "task remove")
        self.assertIn("task 'englisch' back", work.run("undo").out)
        self.assertIn("back to 'english'", work.run("undo").out)
        self.assertEqual((self.tasks(work), self.scores(work)), (["english"], scores))
        self.assertEqual(work.run("undo", "--json").json["undone"]["command"], "train")
        work.run("eval", "--task", "english", "--max-tokens", "100")

    def test_the_matrix_follows_a_task_to_its_new_name(self):
        work = self.workspace()
        work.run("task", "rename", "english", "englisch")
        matrix = work.run("eval", "--matrix", "--max-tokens", "100", "--json").json
        self.assertIn("englisch", str(matrix))
        self.assertNotIn("english'", str(matrix["steps"]))

    def test_log_names_the_task_and_its_data(self):
        work = self.workspace()
        work.run("task", "add", "qa", "--data", "qa")
        work.run("task", "rename", "qa", "questions")
        work.run("task", "remove", "questions")
        remove, rename, add = work.run("log", "-n", "3", "--json").json["operations"]
        for row, task in ((add, "qa"), (rename, "qa"), (remove, "questions")):
            self.assertEqual([data["task"] for data in row["data"]], [task])
            self.assertEqual(row["data"][0]["path"], str((work / "qa").resolve()))
            self.assertEqual(row["outcome"], "done")
        text = work.run("log", "-n", "3").out
        self.assertRegex(text, r"done .*task add qa --data qa")
        self.assertRegex(text, r"qa -> questions")

    def test_a_model_is_renamed_removed_and_comes_back(self):
        work = self.workspace()
        work.run("prune", "--task", "english", "--keep", "0.5", "--into", "small", "--eval-tokens", "600")
        work.refuses("model", "remove", "base", code=1, says="current", hint="mformer use")
        work.run("model", "rename", "small", "half")
        work.run("eval", "--model", "half", "--max-tokens", "100")
        self.assertIn("half@1", work.run("model", "remove", "half").out)
        self.assertEqual(self.models(work), ["base"])
        work.refuses("eval", "--model", "half", code=2, says="half", hint="base")
        self.assertIn("half@1 (removed)", work.run("log").out)
        work.run("undo")
        self.assertEqual(self.models(work), ["base", "half"])
        work.run("generate", "--model", "half@1", "--max-tokens", "2")

    def test_gc_frees_the_disk_of_a_removed_model(self):
        work = self.workspace()
        objects = lambda: {path.name for path in (work / ".mformer" / "objects").rglob("*") if path.is_file()}
        before = objects()
        work.run("finetune", "--task", "english", "--into", "tuned", "--steps", "2", *mformer.QUICK)
        work.run("model", "remove", "tuned")
        self.assertEqual(work.run("gc", "--json").json["versions"], 0)
        planned = work.run("gc", "--grace", "0", "--dry-run", "--json").json
        freed = work.run("gc", "--grace", "0", "--json").json
        self.assertEqual((freed["models"], freed["versions"]), (1, 1))
        self.assertEqual((planned["objects"], planned["bytes"]), (freed["objects"], freed["bytes"]))
        self.assertEqual(objects(), before)
        self.assertEqual(work.run("undo", "--json").json["undone"]["command"], "train", "it can't come back")
        work.run("log")
        work.run("inspect", "lineage")

    def test_a_tag_is_a_name_that_never_moves(self):
        work = self.workspace()
        self.assertIn("mformer tag NAME", work.run("tag").out)
        work.run("tag", "first", "base@1")
        work.run("tag", "second")
        rows = work.run("tag", "--json").json["tags"]
        self.assertEqual([(row["name"], row["version"]["ref"]) for row in rows], [("first", "base@1"), ("second", "base@2")])
        work.run("freeze", "layer=0")
        self.assertEqual(work.run("diff", "second", "base@2", "--json").json["same"], True)
        work.run("eval", "--model", "first", "--max-tokens", "100")
        work.refuses("tag", "base", code=2, says="model 'base' already")
        work.refuses("extend", "--data", "german", "--into", "first", "--steps", "2", code=2, says="is a tag", hint="--into")
        work.refuses("model", "rename", "base", "first", code=2, says="tag 'first' already")
        work.run("tag", "--remove", "first")
        work.refuses("use", "first", code=2, says="first")
        work.run("undo")
        work.run("undo")  # the freezing, which was before the removal
        self.assertEqual(work.versions(), ["base@2"])
        work.run("redo")
        work.run("redo")
        self.assertEqual(work.versions(), ["base@3"])
        work.refuses("use", "first", code=2, says="first")
        work.run("undo")
        work.run("move", "base", "first")
        self.assertEqual(work.versions(), ["base@1"])

    def test_redo_does_changes_of_names_again(self):
        work = self.workspace()
        work.run("eval", "--max-tokens", "100")
        scores = self.scores(work)
        shutil.copytree(work / "english", work / "moved")
        lines = (("task", "rename", "english", "prose"), ("task", "move", "prose", "--data", "moved"),
                 ("task", "add", "prose", "--data", "german", "--replace"), ("model", "rename", "base", "english"),
                 ("branch", "twig"), ("model", "remove", "twig"), ("tag", "first", "english@1"), ("tag", "--remove", "first"))
        states = []
        state = lambda: [work.run(*line, "--json").out for line in (("tasks",), ("models",), ("tag",))]
        named = lambda texts: [re.sub(r'"created_ms":\d+', "", text) for text in texts]
        for line in lines:
            states.append(named(state()))
            work.run(*line)
        states.append(named(state()))
        for _ in range(2):
            for before in reversed(states[:-1]):
                work.run("undo")
                self.assertEqual(named(state()), before)
            self.assertEqual(self.scores(work), scores)
            for after in states[1:]:
                work.run("redo")
                self.assertEqual(named(state()), after)
            work.refuses("redo", code=1, says="nothing to redo")

    def test_redo_follows_a_model_through_its_names(self):
        work = self.workspace()
        work.run("model", "rename", "base", "english")
        work.run("freeze", "layer=0")
        for _ in range(3):
            work.run("undo")
        self.assertEqual(work.versions(), ["base@1"])
        for _ in range(3):
            work.run("redo")
        self.assertEqual(work.versions(), ["english@3"])

    def test_redo_can_not_bring_back_what_gc_has_freed(self):
        work = self.workspace()
        work.run("branch", "twig")
        work.run("undo")
        work.run("gc", "--grace", "0")
        work.refuses("redo", code=1, says="freed by gc")

    def test_names_that_do_not_show_are_refused_and_escaped(self):
        work = self.workspace()
        for name, shown in (("a\u009bb", "a\\x9bb"), ("a\u202eb", "a\\u202eb"), (os.fsdecode(b"caf\xe9"), "caf\\xe9"), ("a\x1b[31mb", "a\\x1b[31mb")):
            with self.subTest(name=name):
                work.refuses("task", "add", name, "--data", "qa", code=2, says=shown)
                work.refuses("tag", name, code=2, says=shown)
                work.refuses("model", "rename", "base", name, code=2, says=shown)
        work.refuses("task", "add", "", "--data", "qa", code=2, says="can't be the name of a task")

    def test_a_name_from_before_that_does_not_show_can_be_read_and_renamed(self):
        work = self.workspace()
        with contextlib.closing(sqlite3.connect(work / ".mformer" / "registry.db")) as registry:
            registry.execute("PRAGMA foreign_keys = OFF")
            registry.execute("UPDATE tasks SET name = 'eng\u009blish' WHERE name = 'english'")
            registry.commit()
        work.run("finetune", "--task", "eng\u009blish", "--steps", "1", *mformer.QUICK)
        for line in (("tasks",), ("eval", "--max-tokens", "100")):
            result = work.run(*line)
            self.assertIn("eng\\x9blish", result.out)
            self.assertNotIn("\u009b", result.out + result.err)
        renamed = work.run("task", "rename", "eng\u009blish", "english")
        self.assertNotIn("\u009b", renamed.out)
        self.assertEqual(self.tasks(work), ["english"])
        self.workspaces.remove(work)  # its seals know nothing of the change by hand

    def test_folders_give_tasks_their_own_names(self):
        work = self.workspace()
        for name in ("corpus-1.5", "corpus-1.6", "my data"):
            (work / name).mkdir()
            for i in range(80):
                (work / name / f"{i}.txt").write_text(f"some text of {name}, number {i}, and more of it")
            work.run("train", "--data", name, "--steps", "1", "--batch", "1", "--context", "16", "--eval-tokens", "100")
        shutil.copy(work / "corpus-1.5" / "1.txt", work / "notes.v2.txt")
        work.run("finetune", "--data", "notes.v2.txt", "--steps", "1", "--batch", "1", "--context", "8", code=None)
        names = self.tasks(work)
        self.assertEqual(names[:4], ["english", "corpus-1.5", "corpus-1.6", "my data"])
        os.rename(work / "my data", work / "a,b")
        work.refuses("train", "--data", "a,b", "--steps", "1", code=2, says="'a,b'", hint="--task NAME")


    def test_two_folders_of_one_name_are_not_one_task(self):
        work = self.workspace()
        for parent in ("a", "b"):
            (work / parent / "texts").mkdir(parents=True)
            for i in range(40):
                (work / parent / "texts" / f"{i}.txt").write_text(f"text {i} of {parent}, and a little more of it")
        train = ("--steps", "1", "--batch", "1", "--context", "8", "--eval-tokens", "50")
        work.run("train", "--data", "a/texts", *train)
        work.refuses("train", "--data", "b/texts", *train, code=1, says="not what is recorded as task 'texts'", hint="--task NAME")
        work.run("train", "--data", "b/texts", "--task", "other", *train)
        self.assertEqual(self.tasks(work), ["english", "texts", "other"])

    def test_data_without_a_split_is_said_to_be(self):
        work = self.workspace()
        (work / "one.txt").write_text("a single document")
        self.assertRegex(work.run("task", "add", "one", "--data", "one.txt").out, r"\nno (validation|held-out).* text: .*add documents")
        self.assertNotIn("add documents", work.run("task", "add", "german", "--data", "german").out)


class OddPathsTest(mformer.EndToEndTest):
    def test_data_and_workspaces_may_lie_under_any_name(self):
        work = self.workspace()
        folder = work / os.fsdecode(b"caf\xe9 \x1b[31m\xc2\x9b")
        inside = folder / os.fsdecode(b"sub\xff")
        inside.mkdir(parents=True)
        for i in range(60):
            (inside / os.fsdecode(b"t\xe9%d.txt" % i)).write_text(f"coffee number {i}, and then some more of it\n")
        added = work.run("task", "add", "coffee", "--data", folder)
        self.assertNotIn(b"\x1b", added.stdout)
        self.assertNotIn("\x1b", work.run("tasks").out + work.run("log").out)
        work.run("tasks", "--json").json
        work.run("eval", "--task", "coffee", "--max-tokens", "100")
        work.refuses("train", "--data", folder, "--steps", "1", code=2, says="can't be the name of a task", hint="--task NAME")
        there = self.temporary / os.fsdecode(b"work-\xe9\x1b")
        work.path.rename(there)
        moved = mformer.Folder(self, there)
        moved.run("eval", "--max-tokens", "100")
        moved.run("train", "--data", "english", "--steps", "1", *mformer.QUICK)
        moved.run("fsck")
        self.workspaces.remove(work)

    def test_an_error_about_a_file_writes_its_name_out(self):
        work = self.workspace()
        (work / "names").mkdir()
        (work / "names" / "a\x1b[31mb.jsonl").write_text('{"text": 5}\n')
        result = work.refuses("task", "add", "x", "--data", "names", code=1, says="a\\x1b[31mb.jsonl")
        self.assertNotIn("\x1b", result.err)


if __name__ == "__main__":
    unittest.main()
