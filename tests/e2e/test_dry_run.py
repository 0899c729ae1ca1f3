"""A dry run reads. Nothing in the workspace's folder is made, changed or removed by one."""

import contextlib
import hashlib
import shutil
import sqlite3
import unittest

import mformer

TRAIN = ("--steps", "2", *mformer.QUICK)
# Every command that has --dry-run; data that was never read included.
LINES = (
    ("train", "--data", "german", *TRAIN), ("extend", "--data", "german", *TRAIN), ("finetune", "--data", "german", *TRAIN),
    ("prune", "--data", "german", "--keep", "0.5", "--eval-tokens", "600"), ("freeze", "layer=0"), ("unfreeze", "layer=0"),
    ("upcycle", "--model", "dense", "--slices", "4", "--k", "2", "--data", "german", *TRAIN), ("graft", "small", "--onto", "base@2"), ("merge", "left", "right"), ("drop", "--model", "left", "--born", "extend"),
    ("import", "checkpoint", "--name", "other"), ("export", "out"), ("task", "add", "german", "--data", "german"),
    ("use", "base@1"), ("undo",), ("redo", "--model", "undone"), ("push", "nowhere"), ("pull", "pushed"), ("bundle", "all.bundle"), ("branch", "twig"), ("move", "base", "base@1"), ("gc", "--grace", "0"), ("init", "--preset", "tiny", "--no-tokenizer", "--workspace", "new"),
    ("task", "rename", "english", "more"), ("task", "remove", "english"), ("task", "move", "english", "--data", "moved"),
    ("model", "rename", "left", "other"), ("model", "remove", "left"), ("tag", "first", "base@1"),
    ("tokenizer", "train", "--data", "qa", "--vocab-size", "300", "--out", "new.json"))

GROUPS = ("task", "model", "tokenizer", "inspect")


def commands_with_dry_run(folder):
    for group in ("", *GROUPS):
        page = folder.run(*group.split(), "--help").out
        for line in page.splitlines():
            name = line.split()[0] if line.startswith("  ") and line[2].isalpha() else ""
            command = (*group.split(), name)
            if name and name not in GROUPS and "--dry-run" in folder.run(*command, "--help").out:
                yield command


class DryRunTest(mformer.EndToEndTest):
    def prepared(self):
        work = self.workspace()
        work.run("prune", "--task", "english", "--keep", "0.5", "--into", "small", "--eval-tokens", "600")
        work.run("extend", "--task", "english", "--into", "left", *TRAIN)
        work.run("extend", "--data", "qa", "--into", "right", *TRAIN)
        for line in (("branch", "undone", "base@1"), ("move", "undone", "base@2"), ("undo", "--model", "undone")):
            work.run(*line)
        work.run("push", "pushed", "small")
        shutil.copytree(work / "english", work / "moved")
        work.make_dense()
        return work

    def contents(self, work):
        """Names, bytes and times, but for what SQLite makes for readers: the index of its log, and a log without a byte."""
        def is_for_readers(path):
            return path.name.endswith("-shm") or (path.name.endswith("-wal") and path.stat().st_size == 0)

        def content(path):
            return path.is_dir() or (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)

        return {str(path.relative_to(work.path)): content(path) for path in sorted(work.path.rglob("*"))
                if not is_for_readers(path)}

    def test_every_command_that_has_one_is_tried(self):
        tried = {line[:2] if line[0] in GROUPS else line[:1] for line in LINES}
        self.assertEqual(set(commands_with_dry_run(self.folder())), tried)

    def test_a_workspace_of_an_older_schema_is_left_alone_and_what_brings_it_up_to_date_is_said(self):
        work = self.folder()
        (work / ".mformer" / "objects").mkdir(parents=True)
        with contextlib.closing(sqlite3.connect(work / ".mformer" / "registry.db")) as registry:
            registry.executescript((mformer.DATA / "registry" / "0001.sql").read_text())
        before = self.contents(work)
        for line in (("task", "remove", "qa"), ("gc",), ("undo",), ("freeze", "all")):
            refused = work.run(*line, "--dry-run", code=1)
            work.check_refusal(refused, "older schema (1", "mformer gc")
        self.assertEqual(self.contents(work), before)
        work.run("gc")
        work.run("task", "remove", "qa", "--dry-run")

    def test_no_byte_changes(self):
        work = self.prepared()
        work.run("log")
        before = self.contents(work)
        for line in LINES:
            with self.subTest(command=line):
                work.run(*line, "--dry-run")
                self.assertEqual(self.contents(work), before)

    def test_it_works_where_nothing_can_be_written(self):
        work = self.prepared()
        for path in (work.path, *work.path.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        for line in LINES:
            with self.subTest(command=line):
                work.run(*line, "--dry-run", prepare=mformer.obey_modes)

    def test_an_older_schema_stays_as_it_is(self):
        work = self.prepared()
        file = work / ".mformer" / "registry.db"
        with contextlib.closing(sqlite3.connect(file)) as registry:
            registry.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            registry.execute("DELETE FROM schema_migrations WHERE number = (SELECT max(number) FROM schema_migrations)")
            registry.commit()
            registry.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        before = self.contents(work)
        for line in LINES:
            with self.subTest(command=line):
                result = work.run(*line, "--dry-run", code=None)
                self.assertIn(result.code, (0, 1), result)
                self.assertEqual(self.contents(work), before)
        self.workspaces.clear()  # what was done to it is damage


if __name__ == "__main__":
    unittest.main()
