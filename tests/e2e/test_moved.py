import contextlib
import os
import shutil
import sqlite3
import unittest
from pathlib import Path

import mformer

EVAL = ("eval", "--max-tokens", "200", "--json")
MODULES = ("prune", "--task", "english", "--keep", "0.5", "--into", "half", "--eval-tokens", "200")


def losses(result):
    return {row["task"]: row["loss"] for row in result.json["tasks"]}


SCHEMA = Path(__file__).resolve().parents[2] / "modules_registry" / "schema"
# The rows of the first schema's tables that later ones lay out in another way.
FIRST_TABLES = {
    "version_parts": "SELECT v.hash, position, p.name, o.hash FROM now.version_parts JOIN now.versions AS v ON v.id = version_id "
                     "JOIN now.parts AS p ON p.id = part_id JOIN now.objects AS o ON o.id = object_id",
    "version_layers": "SELECT v.hash, layer, max(CASE kind WHEN 'att' THEN o.hash END), max(CASE kind WHEN 'mlp' THEN o.hash END) "
                      "FROM now.version_banks JOIN now.versions AS v ON v.id = version_id JOIN now.banks AS b ON b.id = bank_id "
                      "LEFT JOIN now.objects AS o ON o.id = router_id GROUP BY 1, 2",
    "version_modules": "SELECT v.hash, layer, kind, position, revision_id, frozen FROM now.version_banks "
                       "JOIN now.versions AS v ON v.id = version_id JOIN now.banks AS b ON b.id = bank_id JOIN now.bank_modules USING (bank_id)",
    "scores": "SELECT v.hash, t.name, split, metric || iif(part < 0, '', '.' || part) || '@' || token_limit, value, s.token_count, "
              "s.operation_id, s.created_ms FROM now.scores AS s JOIN now.versions AS v ON v.id = version_id JOIN now.tasks AS t ON t.id = task_id",
}


class MovedTest(mformer.EndToEndTest):
    def path_of(self, work, task="english"):
        return {row["task"]: row["data"] for row in work.run("tasks", "--json").json["tasks"]}[task]

    def moved(self, work, name="elsewhere/deep/work"):
        there = self.temporary / name
        there.parent.mkdir(parents=True, exist_ok=True)
        work.path.rename(there)
        self.workspaces.remove(work)
        self.workspaces.append(mformer.Folder(self, there))
        return self.workspaces[-1]

    def forget_tokens(self, work):
        shutil.rmtree(work / ".mformer" / "cache")

    def spoil(self, folder):
        (folder / "more.txt").write_text("text that was not there before, in the place of another workspace")

    def test_a_workspace_that_was_moved_is_as_it_was(self):
        work = self.workspace()
        before = losses(work.run(*EVAL))
        work = self.moved(work)
        self.forget_tokens(work)
        self.assertEqual(self.path_of(work), str((work / "english").resolve()))
        self.assertEqual(losses(work.run(*EVAL)), before)
        work.run("train", "--task", "english", "--steps", "1", *mformer.QUICK)

    def test_a_copy_reads_its_own_texts_and_never_the_originals(self):
        work = self.workspace()
        copy = mformer.Folder(self, shutil.copytree(work.path, self.temporary / "copy", symlinks=True))
        before = losses(work.run(*EVAL))
        self.spoil(work / "english")
        self.forget_tokens(copy)
        self.assertEqual(losses(copy.run(*EVAL)), before)
        shutil.rmtree(copy / "english")
        self.assertEqual(losses(copy.run(*EVAL)), before, "from the tokens")
        self.forget_tokens(copy)
        copy.refuses("eval", "--task", "english", code=1, says=str(copy / "english"), hint="mformer task move english --data DIR")

    def test_a_registry_from_when_paths_were_absolute_reads_its_own_texts(self):
        work = self.with_absolute_paths(self.workspace())
        copy = mformer.Folder(self, shutil.copytree(work.path, self.temporary / "copy", symlinks=True))
        self.spoil(work / "english")
        self.forget_tokens(copy)
        copy.run("use", "base")  # brings the schema up to date
        self.assertEqual(self.path_of(copy), str((copy / "english").resolve()))
        copy.run(*EVAL)
        self.workspaces.remove(work)

    def test_a_registry_from_when_paths_were_absolute_may_have_been_moved_before(self):
        work = self.moved(self.with_absolute_paths(self.workspace()))
        self.forget_tokens(work)
        work.run("use", "base")
        work.run(*EVAL)
        self.workspaces.remove(work)

    def with_absolute_paths(self, work):
        """As the first schema had them, with nothing of the later ones."""
        now, first = work / ".mformer" / "registry.db", work / ".mformer" / "first.db"
        with contextlib.closing(sqlite3.connect(first)) as registry:
            registry.executescript((SCHEMA / "0001_initial.sql").read_text())
            registry.execute("CREATE TABLE schema_migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_ms INTEGER NOT NULL) STRICT")
            registry.execute("INSERT INTO schema_migrations VALUES (1, '0001_initial', 0)")
            registry.execute("ATTACH ? AS now", (str(now),))
            for table in ("settings", "objects", "operations", "operation_data", "modules", "revisions", "models", "versions", "tasks"):
                columns = ", ".join(name for _, name, *_ in registry.execute(f"PRAGMA main.table_info({table})"))
                registry.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM now.{table}")
            for table, rows in FIRST_TABLES.items():
                registry.execute(f"INSERT INTO main.{table} {rows}")
            registry.execute("UPDATE main.tasks SET data_path = ? WHERE name = 'english'", (str((work / "english").resolve()),))
            registry.commit()
        for ending in ("registry.db", "registry.db-wal", "registry.db-shm", "changes"):
            (work / ".mformer" / ending).unlink(missing_ok=True)
        first.rename(now)
        return work

    def test_links_and_folders_below_lead_to_the_same_texts(self):
        work = self.workspace()
        link = self.temporary / "link"
        link.symlink_to(work.path)
        (link / "more").mkdir()
        work.run("task", "add", "qa", "--data", link / "qa")
        work.run("task", "add", "german", "--data", "../german", cwd=work / "more")
        before = losses(work.run(*EVAL))
        for elsewhere in (mformer.Folder(self, link), mformer.Folder(self, work / "more"), mformer.Folder(self, work / "english")):
            self.assertEqual(losses(elsewhere.run(*EVAL)), before)
        self.assertEqual(losses(self.folder("other").run(*EVAL, "--workspace", link)), before)
        link.unlink()
        work = self.moved(work)
        self.forget_tokens(work)
        self.assertEqual(losses(work.run(*EVAL)), before)

    def test_commands_that_need_tokens_alone_do_without_the_text(self):
        work = self.workspace()
        outside = self.temporary / "outside"
        shutil.copytree(work / "german", outside)
        work.run("task", "add", "german", "--data", outside)
        shutil.rmtree(outside)
        shutil.rmtree(work / "english")
        for line in (EVAL, MODULES, ("inspect", "routing", "--json"), ("eval", "--matrix", "--max-tokens", "100"),
                     ("inspect", "keep-curve", "--task", "german", "--fractions", "0.5", "--criteria", "norm", "--max-tokens", "100"),
                     ("finetune", "--task", "german", "--steps", "2", *mformer.QUICK),
                     ("extend", "--data", "qa", "--into", "grown", "--steps", "2", *mformer.QUICK)):
            with self.subTest(command=line):
                result = work.run(*line)
                self.assertNotIn("left out", result.err)
                self.assertIn("its tokens are at hand", result.err)

    def test_a_task_outside_is_mended_by_task_move(self):
        work = self.workspace()
        outside, later = self.temporary / "out side", self.temporary / "later's"
        shutil.copytree(work / "german", outside)
        work.run("task", "add", "german", "--data", outside)
        outside.rename(later)
        self.forget_tokens(work)
        work.refuses("eval", "--task", "german", code=1, says="no data at", hint="mformer task move german --data DIR")
        self.assertIn("mformer task move german --data DIR", work.run("eval", "--max-tokens", "100").err)
        work.refuses("task", "move", "german", "--data", "qa", code=1, says="is not that of task 'german'", hint="--replace")
        self.assertEqual(work.run("task", "move", "german", "--data", later, "--dry-run", "--json").json["data"], str(later))
        self.assertEqual(self.path_of(work, "german"), str(outside))
        self.assertIn("the same", work.run("task", "move", "german", "--data", later).out)
        self.assertEqual(self.path_of(work, "german"), str(later))
        work.run("eval", "--task", "german", "--max-tokens", "100")
        work.run("undo")
        self.assertEqual(self.path_of(work, "german"), str(outside))

    def test_adding_the_same_data_again_takes_its_new_path(self):
        work = self.workspace()
        for number, options in enumerate(((), ("--replace",))):
            there = self.temporary / f"there{number}"
            shutil.copytree(work / "english", there)
            result = work.run("task", "add", "english", "--data", there, *options, "--json").json
            self.assertEqual((result["outcome"], result["data"]), ("moved", str(there)))
            self.assertEqual(self.path_of(work), str(there))
        shutil.rmtree(there)
        work.run("train", "--data", "english", "--steps", "1", *mformer.QUICK)
        self.assertEqual(self.path_of(work), str((work / "english").resolve()), "the old place was empty")

    def test_data_that_changed_at_its_place_is_told_from_data_that_is_gone(self):
        work = self.workspace()
        self.spoil(work / "english")
        work.refuses("eval", "--task", "english", code=1, says="is not what is recorded", hint="--replace")


if __name__ == "__main__":
    unittest.main()
