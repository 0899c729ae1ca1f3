"""The queries of docs/registry.md, as they are printed, in a workspace that an older program made and this one opened."""

import contextlib
import sqlite3
import subprocess
import sys
import unittest

import pages
import mformer  # noqa: E402  the helper of the end-to-end tests

OLD = pages.ROOT / "tests" / "data" / "registry" / "0001.sql"


def queries():
    """By the comment that each begins with."""
    found = {}
    for block in pages.blocks(pages.ROOT / "docs" / "registry.md"):
        if not block[0].startswith("-- "):
            continue
        for query in "\n".join(block).split("-- ")[1:]:
            comment, sql = query.split("\n", 1)
            found[comment] = sql
    return found


class QueriesTest(mformer.EndToEndTest):
    def setUp(self):
        super().setUp()
        self.work = self.folder()
        (self.work / ".mformer" / "running").mkdir(parents=True)
        with contextlib.closing(sqlite3.connect(self.work / ".mformer" / "registry.db")) as registry:
            registry.executescript(OLD.read_text())
        self.work.run("gc")  # brings it up to date

    def connect(self):
        return contextlib.closing(sqlite3.connect(f"file:{self.work / '.mformer' / 'registry.db'}?mode=ro", uri=True))

    def test_each_finds_something(self):
        self.assertGreater(len(queries()), 5)
        with self.connect() as registry:
            for comment, sql in queries().items():
                with self.subTest(comment):
                    self.assertTrue(registry.execute(sql).fetchall())

    def test_they_agree_with_what_commands_say(self):
        with self.connect() as registry:
            def rows(words):
                return registry.execute(next(sql for comment, sql in queries().items() if words in comment)).fetchall()

            self.assertEqual([row[0] for row in rows("the line of base@2")], ["base@2", "base@1"])
            log = self.work.run("log", "--json").json["operations"]
            made = [each["after"]["ref"] for each in log if each["after"]]
            self.assertEqual([row[0] for row in rows("the last versions")], made)
            shares = {}
            for split, limit, layer, kind, _, share in rows("share of each module"):
                shares.setdefault((split, limit, layer, kind), []).append(share)
            for bank, each in shares.items():
                self.assertAlmostEqual(sum(each), 1, msg=bank)
            self.assertEqual({row[4] for row in rows("which command gave")}, {"init", "extend"})
            self.assertEqual(len(rows("that base@1 does not have")), 4)
            self.assertEqual(rows("the held-out loss")[0], ("base@1", 100, 5.5))

    def test_no_row_of_a_removed_task_is_shown(self):
        self.work.run("task", "remove", "qa")
        with self.connect() as registry:
            for view in ("v_scores", "v_routing"):
                self.assertEqual(registry.execute(f"SELECT * FROM {view}").fetchall(), [])

    def test_pandas_reads_them(self):
        try:
            import pandas  # noqa: F401
        except ImportError:
            self.skipTest("no pandas here")
        text, = ("\n".join(block) for block in pages.blocks(pages.ROOT / "docs" / "registry.md") if block[0] == "import sqlite3")
        done = subprocess.run([sys.executable, "-B", "-c", text], cwd=self.work.path, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("base@2", done.stdout)


if __name__ == "__main__":
    unittest.main()
