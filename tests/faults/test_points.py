"""A sample of what recipes/faults/run.sh does: each command that writes is cut off or refused at some of its points."""

import unittest

import points  # first: it tells where mformer.py lies
import cases
import mformer
import run
import test_dry_run

# Strides that are prime to the number of kinds of faults, so that each run meets all of them. Of the commands that compute
# only some, and few points: each trial starts the large program twice.
EVERY_THIN = 79
EVERY_COMPUTING = 499
MOST = 7  # of each
COMPUTING = ("init", "export --overwrite", "task add", "extend", "freeze", "drop")


class Points(unittest.TestCase):
    def setUp(self):
        chosen = [case for case in (*cases.THIN, *cases.COMPUTING) if case.thin or case.name in COMPUTING]
        self.tallies = run.run_all(
            chosen, lambda case, prepared: run.run_case(case, prepared, EVERY_THIN if case.thin else EVERY_COMPUTING, most=MOST),
            2)

    def test_whatever_call_fails_or_is_the_last_all_is_as_before_or_after(self):
        for name, tally in self.tallies.items():
            with self.subTest(command=name):
                self.assertGreater(tally.tried, 0)
                self.assertEqual(tally.passed, tally.tried, tally.examples)


class Cases(mformer.EndToEndTest):
    def test_every_command_that_changes_a_workspace_is_tried(self):
        tried = {case.name.split(" --")[0] for case in (*cases.THIN, *cases.COMPUTING)}
        asked = {" ".join(command) for command in test_dry_run.commands_with_dry_run(self.folder())}
        self.assertGreater(len(asked), 20)
        self.assertEqual(asked - tried, set())


class Library(mformer.EndToEndTest):
    def test_every_write_and_every_step_of_sql_is_a_point(self):
        work = self.workspace()
        listed = self.temporary / "points"
        points.run(work.path, ("export", "out"), {"BELOW": work.path, "POINTS": listed})
        exported = [line.split(" ", 2)[1:] for line in listed.read_text().splitlines()]
        listed.unlink()
        points.run(work.path, ("tag", "one", "base@1"), {"BELOW": work.path, "POINTS": listed})
        tagged = [line.split(" ", 2)[1:] for line in listed.read_text().splitlines()]
        self.assertLessEqual({"open", "write", "fsync", "close", "rename", "mkdir"}, {call for call, _ in exported})
        self.assertLessEqual({"open", "pwrite", "pwrite-little", "fdatasync", "ftruncate", "unlink", "close", "sql"},
                             {call for call, _ in tagged})
        self.assertTrue(any(text.startswith("INSERT INTO tags") for call, text in tagged if call == "sql"), tagged)

    def test_a_fault_is_met(self):
        work = self.workspace()
        listed = self.temporary / "points"
        points.run(work.path, ("tag", "one", "base@1"), {"BELOW": work.path, "POINTS": listed})
        commit = [line for line in listed.read_text().splitlines() if " sql COMMIT" in line][-1].split()[0]
        for how, code in (("kill", -9), ("eio", 1), ("dead", 1), ("full", 1)):
            listed.unlink()
            result = points.run(work.path, ("tag", "two", "base@1"),
                                {"BELOW": work.path, "POINTS": listed, "AT": commit, "HOW": how})
            self.assertEqual(result.code, code, result)
        self.assertEqual([tag["name"] for tag in work.run("tag", "--json").json["tags"]], ["one"])

    def test_a_commit_that_the_disk_may_have_kept_or_not_says_where_to_look(self):
        work = self.workspace()
        listed = self.temporary / "points"
        points.run(work.path, ("tag", "one", "base@1"), {"BELOW": work.path, "POINTS": listed})
        lines = [line.split(" ", 2) for line in listed.read_text().splitlines()]
        commit = max(int(number) for number, call, text in lines if call == "sql" and text == "COMMIT")
        last = min(int(number) for number, call, _ in lines if call == "fdatasync" and int(number) > commit)
        for how in ("dead", "full"):
            listed.unlink()
            result = points.run(work.path, ("tag", "two", "base@1"),
                                {"BELOW": work.path, "POINTS": listed, "AT": last, "HOW": how})
            self.assertEqual(result.code, 1, result)
            points.check_answer(result)
            self.assertIn(points.MAY_BE_DONE, result.err)
            tags = [tag["name"] for tag in work.run("tag", "--json").json["tags"]]
            done = work.run("log", "--json").json["operations"][0]["outcome"] == "done"
            self.assertEqual("two" in tags, done)
            if done:
                work.run("tag", "--remove", "two")

    def test_a_new_file_whose_folder_can_t_be_written_down_is_not_left(self):
        work = self.workspace()
        listed = self.temporary / "points"
        line = ("tokenizer", "train", "--data", "qa", "--vocab-size", "300", "--out", "small.json")
        points.run(work.path, line, {"BELOW": work.path, "POINTS": listed})
        last = [row.split()[0] for row in listed.read_text().splitlines() if " fsync " in row][-1]
        (work / "small.json").unlink()
        listed.unlink()
        result = points.run(work.path, line, {"BELOW": work.path, "POINTS": listed, "AT": last, "HOW": "eio"})
        points.check_answer(result)
        self.assertEqual(result.code, 1)
        self.assertFalse((work / "small.json").exists())


if __name__ == "__main__":
    unittest.main()
