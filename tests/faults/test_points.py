"""A sample of what recipes/faults/run.sh does: each command that writes is cut off or refused at some of its points."""

import collections
import signal
import subprocess
import sys
import unittest

import points  # first: it tells where mformer.py lies
import cases
import mformer
import run
import test_dry_run

# Of the commands that compute only some: each trial starts the large program twice.
COMPUTING = ("init", "export --overwrite", "task add", "extend", "freeze", "drop")
LEAST = 2  # of each command


class Points(unittest.TestCase):
    def setUp(self):
        chosen = [case for case in (*cases.THIN, *cases.COMPUTING) if case.thin or case.name in COMPUTING]
        self.tallies = run.run_sample(chosen, LEAST, 2)

    def test_whatever_call_fails_or_is_the_last_all_is_as_before_or_after(self):
        for name, tally in self.tallies.items():
            with self.subTest(command=name):
                self.assertGreater(tally.tried, 0)
                self.assertEqual(tally.passed, tally.tried, tally.examples)


class Sample(unittest.TestCase):
    def test_the_sample_has_every_call_of_any_of_these_commands_with_every_fault(self):
        Trial = collections.namedtuple("Trial", "case points")
        trials = [Trial(case, [points.Point(n + 1, call, "work/a") for n, call in enumerate(calls)])
                  for case, calls in ((cases.THIN[0], ("open", "write")), (cases.THIN[1], ("write", "unlink")))]
        chosen = run.sample(trials, 12)
        met = {(how, point.call) for pairs in chosen for point, how in pairs}
        able = {(how, call) for how in points.HOWS for call in ("open", "write", "unlink") if points.applies(how, call)}
        self.assertEqual(met, able)
        self.assertGreaterEqual(min(map(len, chosen)), 12)


class Cases(mformer.EndToEndTest):
    def test_every_command_that_changes_a_workspace_is_tried(self):
        tried = {case.name.split(" --")[0] for case in (*cases.THIN, *cases.COMPUTING)}
        asked = {" ".join(command) for command in test_dry_run.commands_with_dry_run(self.folder())}
        self.assertGreater(len(asked), 20)
        self.assertEqual(asked - tried, set())


class Library(mformer.EndToEndTest):
    def workspace(self):
        work = self.folder()
        points.copy(cases.prepared(), work.path, share=False)
        self.workspaces.append(work)
        return work

    def test_every_write_and_every_step_of_sql_is_a_point(self):
        work = self.workspace()
        listed = self.temporary / "points"
        points.run(work.path, ("export", "out"), {"BELOW": work.path, "POINTS": listed})
        exported = [line.split(" ", 2)[1:] for line in listed.read_text().splitlines()]
        listed.unlink()
        points.run(work.path, ("tag", "one", "base@1"), {"BELOW": work.path, "POINTS": listed})
        tagged = [line.split(" ", 2)[1:] for line in listed.read_text().splitlines()]
        self.assertLessEqual({"open", "write", "fsync", "close", "rename", "mkdir"}, {call for call, _ in exported})
        self.assertLessEqual({"open", "pwrite", "pwrite-little", "fdatasync", "ftruncate", "unlink", "close", "mmap", "sql"},
                             {call for call, _ in tagged})
        self.assertTrue(any(text.startswith("INSERT INTO tags") for call, text in tagged if call == "sql"), tagged)

    def test_a_way_to_write_that_is_no_point_ends_the_program(self):
        program = "import os; open('a', 'w').close(); os.link('a', 'b')"
        ended = subprocess.run([sys.executable, "-c", program], cwd=self.temporary, stderr=subprocess.PIPE, check=False, text=True,
                               env={**mformer.environment(), "LD_PRELOAD": str(points.LIBRARY),
                                    "MFORMER_FAULTS_BELOW": str(self.temporary)})
        self.assertEqual(ended.returncode, -signal.SIGABRT)
        self.assertIn("is not foreseen", ended.stderr)

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
        self.assertEqual({tag["name"] for tag in work.run("tag", "--json").json["tags"]}, {"first", "one"})

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
            self.assertRegex(result.err, points.MAY_BE_DONE)
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
        listed.unlink()
        result = points.run(work.path, line, {"BELOW": work.path, "POINTS": listed, "AT": last, "HOW": "dead"})
        self.assertEqual(result.code, 1)
        points.check_answer(result)
        self.assertTrue((work / "small.json").exists())
        self.assertIn("'small.json' is there, but may not outlive a power failure", result.err)


if __name__ == "__main__":
    unittest.main()
