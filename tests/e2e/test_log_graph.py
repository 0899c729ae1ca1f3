"""The graph of versions: what came of what, where names stand and stood."""

import contextlib
import csv
import io
import shutil
import sqlite3
import unittest

import mformer

ASCII = str.maketrans("●○×│├┤╮╯─", "@ox|++.'-")
TRAIN = ("--steps", "1", *mformer.QUICK)


class LogGraphTest(mformer.EndToEndTest):
    def graph(self, work, *arguments):
        return work.run("log", "--graph", *arguments, "--json").json["versions"]

    def pictures(self, text):
        """What is drawn before each version, as it is typed where there is no Unicode."""
        return [line.split("  ")[0].translate(ASCII) for line in text.splitlines()]

    def undone(self):
        """base@3 was left by undo; base@4 was made of base@2 then."""
        work = self.workspace()
        for command in (("freeze", "layer=0"), ("undo",), ("freeze", "layer=1"), ("tag", "first", "base@1")):
            work.run(*command)
        return work

    def test_it_shows_where_names_stand_and_where_undo_took_them_from(self):
        work = self.undone()
        rows = {row["version"]["ref"]: row for row in self.graph(work)}
        self.assertEqual(list(rows), ["base@4", "base@3", "base@2", "base@1"])
        self.assertEqual([[parent["ref"] for parent in row["parents"]] for row in rows.values()], [["base@2"], ["base@2"], ["base@1"], []])
        self.assertEqual((rows["base@4"]["models"], rows["base@1"]["tags"]), (["base"], ["first"]))
        self.assertEqual(rows["base@3"]["stood"], [{"model": "base", "operation": 4, "command": "undo"}])
        self.assertEqual([row["named"] for row in rows.values()], [True, False, True, True])
        lines = work.run("log", "--graph").out.splitlines()
        self.assertEqual(self.pictures(work.run("log", "--graph").out), ["@", "| x", "+-'", "o", "o"])
        self.assertIn("base@4  (base*)  ", lines[0])
        self.assertIn("base@3  (base stood here until undo, operation 4)  ", lines[1])
        self.assertIn("base@1  (tag first)  ", lines[4])
        self.assertIn("freeze layer=1", lines[0])
        work.run("move", "base", "base@3")
        rows = {row["version"]["ref"]: row for row in self.graph(work)}
        self.assertEqual((rows["base@3"]["stood"], rows["base@3"]["current"]), ([], True))
        self.assertEqual(rows["base@4"]["stood"], [{"model": "base", "operation": 7, "command": "move"}])

    def test_a_version_that_is_looked_at_is_named(self):
        work = self.undone()
        work.run("use", "base@3")
        result = work.run("log", "--graph", "--json").json
        row = next(row for row in result["versions"] if row["version"]["ref"] == "base@3")
        self.assertEqual((result["looked_at"]["ref"], row["named"], row["current"]), ("base@3", True, False))
        self.assertIn("base@3  (looked at)  (base stood here until undo, operation 4)", work.run("log", "--graph").out)

    def test_a_terminal_with_unicode_gets_strokes_and_no_line_wider_than_it(self):
        work = self.undone()
        out = work.on_terminal("log", "--graph", environment=mformer.environment(LC_ALL="C.UTF-8", TERM="xterm", NO_COLOR="1"))
        lines = out.splitlines()
        self.assertEqual([line[:3].rstrip() for line in lines], ["●", "│ ×", "├─╯", "○", "○"])
        self.assertLessEqual(max(map(len, lines)), 80)
        self.assertTrue(lines[1].endswith("…"), lines[1])

    def test_a_merge_has_two_parents(self):
        work = self.workspace()
        work.run("extend", "--data", "german", "--into", "de", *TRAIN)
        work.run("extend", "--data", "qa", "--into", "qa", *TRAIN)
        work.run("merge", "de", "qa", "--into", "both", "--eval-tokens", "100")
        rows = self.graph(work, "--model", "both")
        self.assertEqual([row["version"]["ref"] for row in rows], ["both@1", "qa@1", "de@1", "base@2", "base@1"])
        self.assertEqual([parent["ref"] for parent in rows[0]["parents"]], ["de@1", "qa@1"])
        self.assertEqual([row["version"]["ref"] for row in self.graph(work, "--model", "qa")], ["qa@1", "base@2", "base@1"])
        self.assertEqual(self.pictures(work.run("log", "--graph").out), ["o", "+-.", "| o", "o |", "+-'", "@", "o"])
        table = list(csv.DictReader(io.StringIO(work.run("log", "--graph", "--format", "csv").out)))
        self.assertEqual([row["parents"] for row in table], ["de@1, qa@1", "base@2", "base@2", "base@1", "-"])

    def test_a_branch_of_another_workspace_is_named(self):
        work = self.workspace()
        away = mformer.Folder(self, self.temporary / "away")
        shutil.copytree(work.path, away.path)
        work.run("extend", "--data", "german", *TRAIN)
        away.run("extend", "--data", "qa", *TRAIN)
        work.run("merge", "base", "base", "--from", away.path, "--eval-tokens", "100")
        self.assertEqual(self.graph(work)[0]["merged"], f"base@3 of {away.path}")
        self.assertIn(f"(merged with base@3 of {away.path})", work.run("log", "--graph").out)

    def test_a_limit_says_how_many_it_leaves_out(self):
        work = self.undone()
        limited = work.run("log", "--graph", "-n", "2", "--json").json
        self.assertEqual((len(limited["versions"]), limited["older"]), (2, 2))
        self.assertEqual(self.pictures(work.run("log", "--graph", "-n", "2").out),
                         ["@", "| x", "+-'", "~", "2 older versions are not shown"])
        work.refuses("log", "--graph", "-n", "0", code=2, says="0")
        work.refuses("log", "--graph", "--script", code=2, says="--script")
        work.refuses("log", "3", "--graph", code=2, says="--graph")
        work.refuses("log", "--graph", "--model", "bas", code=2, says="bas", hint="base")

    def test_with_a_limit_no_more_is_read_than_is_shown(self):
        work = self.undone()
        with contextlib.closing(sqlite3.connect(work / ".mformer" / "registry.db")) as registry:
            registry.execute("PRAGMA ignore_check_constraints = ON")
            registry.execute("UPDATE operations SET outcome = 'unreadable' WHERE id = 1")
            registry.commit()
        self.assertIn("unreadable", work.run("log", "--graph", code=None).err)
        self.assertEqual(len(self.graph(work, "-n", "2")), 2)
        self.assertEqual(len(work.run("inspect", "lineage", "-n", "2", "--json").json["versions"]), 2)
        self.workspaces.remove(work)  # the row stays what it is

    def test_removed_models_stay_until_gc_frees_them(self):
        work = self.workspace()
        work.run("init", "--preset", "tiny", "--tokenizer", "tokenizer.json", "--name", "other")
        work.run("model", "remove", "other")
        self.assertEqual(self.graph(work)[0]["version"]["removed"], "other@1")
        self.assertRegex(work.run("log", "--graph").out, r"^[x×]  other@1 \(removed\)  ")
        work.run("gc", "--grace", "0")
        self.assertEqual([row["version"]["ref"] for row in self.graph(work)], ["base@2", "base@1"])


if __name__ == "__main__":
    unittest.main()
