"""What the log tells, and that a script made of it does the same again."""

import json
import os
import shutil
import sqlite3
import subprocess
import unittest
from pathlib import Path

import mformer


class LogTest(mformer.EndToEndTest):
    def operation(self, work, number):
        return work.run("log", number, "--json").json["operations"][0]

    def test_a_command_is_shown_as_it_was_typed(self):
        work = self.workspace()
        shutil.copytree(work / "qa", work / "two words")
        work.run("task", "add", "qa", "--data", "two words")
        newest = work.run("log", "-n", "1", "--json").json["operations"][0]
        self.assertEqual(newest["command_line"], ["--threads", "1", "task", "add", "qa", "--data", "two words"])
        self.assertEqual((newest["folder"], newest["threads"]), (str(work.path.resolve()), 1))
        self.assertIn("--threads 1 task add qa --data 'two words'", work.run("log", "-n", "1").out)

    def test_a_workspace_that_the_environment_named_is_part_of_the_line(self):
        work = self.workspace()
        subprocess.run([Path(mformer.BINARY).resolve(), "tag", "first"], check=True, capture_output=True, cwd=self.temporary,
                       env=mformer.environment(MFORMER_WORKSPACE=str(work.path)))
        self.assertEqual(work.run("log", "-n", "1", "--json").json["operations"][0]["command_line"],
                         ["--workspace", str(work.path), "tag", "first"])

    def test_of_one_operation_everything_is_told(self):
        work = self.workspace()
        text = work.run("log", 2).out
        for part in ("operation  2: train, done", "train --data english --steps 12", "before     base@1", "after      base@2", "threads    1",
                     "english", "metrics.jsonl"):
            self.assertIn(part, text)
        told = work.run("log", 2, "--json").json
        self.assertEqual([point["step"] for point in told["run"]["curve"]], list(range(1, 13)))
        self.assertTrue((Path(told["run"]["folder"]) / "metrics.jsonl").exists())
        self.assertEqual(told["operations"][0]["arguments"]["steps"], 12)
        self.assertIsNone(work.run("log", 1, "--json").json["run"], "what trained nothing has no run")
        work.refuses("log", 99, code=2, says="no operation 99", hint="log")
        work.refuses("log", 0, code=2, says="0")
        work.refuses("log", "train", code=2, says="train")

    def test_what_lies_in_the_folder_of_a_run_may_be_anything(self):
        work = self.workspace()
        folder = Path(work.run("log", 2, "--json").json["run"]["folder"])
        session, metrics = folder / "session.json", folder / "metrics.jsonl"
        whole, steps = session.read_text(), metrics.read_text()

        def curve():
            run = work.run("log", 2, "--json", timeout=20).json["run"]
            return run and len(run["curve"])

        metrics.write_text(steps + "{" * 100_000 + '\n[1]\n{"step":"a","loss":1}\n{"step":13,"lo')
        self.assertEqual(curve(), 12)
        for size in (0, 1 << 40):  # of a terabyte without contents
            with open(metrics, "wb") as file:
                file.truncate(size)
            self.assertEqual(curve(), 0)
        metrics.write_text(steps)
        for text in ("", "{", "[" * 100_000, "[]", "null", "{" + ",".join(f'"{key}":0' for key in range(300_000)) + "}"):
            session.write_text(text)
            self.assertIsNone(curve())
        with open(session, "wb") as file:
            file.truncate(1 << 40)
        self.assertIsNone(curve())
        session.unlink()
        os.mkfifo(session)
        self.assertIsNone(curve())
        session.unlink()
        session.write_text(whole)
        self.assertEqual(curve(), 12)

    def test_of_two_runs_alike_each_operation_finds_its_own(self):
        work = self.workspace()
        line = ("train", "--data", "english", "--steps", "2", *mformer.QUICK)
        for _ in range(2):
            work.run(*line)
        folders = [work.run("log", number, "--json").json["run"]["folder"] for number in (3, 4)]
        self.assertNotEqual(*folders)

    def test_a_script_of_the_log_makes_the_same_weights(self):
        work = self.workspace()
        work.run("tag", "first", "base@1")
        work.run("train", "--data", "english", "--steps", "5", "--lr", "1e30", "--clip", "0", *mformer.QUICK, code=1)
        script = work.run("log", "--script").out
        self.assertIn("# operation 4, train: failed\n", script)
        recorded = self.operation(work, 1)["folder"]
        copy = self.temporary / "copy"
        copy.mkdir()
        for name in ("english", "tokenizer.json"):
            source = work / name
            shutil.copytree(source, copy / name) if source.is_dir() else shutil.copy(source, copy)
        programs = self.temporary / "programs"
        programs.mkdir()
        (programs / "mformer").symlink_to(Path(mformer.BINARY).resolve())
        self.assertTrue(script.startswith("#!/usr/bin/env bash\n"))
        self.assertNotIn(recorded, script, "a copy of this workspace must not work in this one")
        self.assertNotIn(str(work.path.resolve()), script)
        (self.temporary / "again.sh").write_text(script)

        def run_script(*arguments):
            return subprocess.run(["bash", self.temporary / "again.sh", *arguments], text=True, capture_output=True, check=False, cwd=work.path,
                                  env=mformer.environment(PATH=f"{programs}:{os.environ['PATH']}"))

        before = work.run("log", "--json").json
        self.assertIn("name the folder in which to do it again", run_script().stderr)
        self.assertEqual(work.run("log", "--json").json, before)
        done = run_script(copy)
        self.assertEqual(done.returncode, 0, done)
        again = mformer.Folder(self, copy)
        self.assertEqual(*(sorted(folder.modules("base@2").values()) for folder in (work, again)), "the same weights, bit for bit")
        self.assertEqual(again.run("tag", "--json").json["tags"][0]["name"], "first")
        self.assertEqual(json.loads(work.run("log", "--script", "--json").out)["script"], work.run("log", "--script").out)

    def test_operations_of_a_program_that_kept_no_command_line_are_listed_by_name(self):
        work = self.workspace()
        with sqlite3.connect(work / ".mformer" / "registry.db") as registry:
            registry.execute("UPDATE operations SET command_line = '', folder = '', threads = 0")
        self.assertRegex(work.run("log").out, r"done +base@1 -> base@2 +train english")
        self.assertIn("# operation 2, train: an older program did not keep how it was typed", work.run("log", "--script").out)
        self.assertIsNone(self.operation(work, 2)["command_line"])
        work.run("fsck", "--repair", "--reseal")


if __name__ == "__main__":
    unittest.main()
