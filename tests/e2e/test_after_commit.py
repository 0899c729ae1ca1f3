"""What is committed is said to be committed: by the exit code, the message and the log."""

import contextlib
import json
import os
import signal
import sqlite3
import time
import unittest

import mformer

TRAIN = ("--steps", "2", *mformer.QUICK)
# Every command that changes a workspace, in an order in which each finds what it needs, and what it says when it has.
LINES = (
    (("train", "--task", "english", *TRAIN), "made base@3"),
    (("extend", "--data", "german", "--into", "grown", *TRAIN), "made grown@1"),
    (("extend", "--data", "qa", "--into", "branch", *TRAIN), "made branch@1"),
    (("merge", "grown", "branch", "--into", "both", "--eval-tokens", "100"), "made both@1"),
    (("drop", "--born", "extend:qa", "--model", "both", "--eval-tokens", "100"), "made both@2"),
    (("prune", "--task", "english", "--keep", "0.5", "--into", "small", "--eval-tokens", "600"), "made small@1"),
    (("graft", "small", "--onto", "base", "--eval-tokens", "600"), "made base@4"),
    (("finetune", "--task", "english", "--model", "base@3", "--into", "fine", *TRAIN), "made fine@1"),
    (("freeze", "layer=0"), "made base@5"), (("unfreeze", "layer=0"), "made base@6"),
    (("undo",), "undid unfreeze"), (("redo",), "redid unfreeze"), (("use", "base@2"), "looking at base@2"),
    (("use", "base"), "using base at base@6"), (("move", "base", "base@2"), "moved base from base@6 to base@2"), (("branch", "twig"), "made the model twig"),
    (("import", "checkpoint", "--name", "other"), "made other@1"),
    (("task", "add", "again", "--data", "qa"), "task add: added task 'again'"),
    (("task", "rename", "again", "more"), "renamed task 'again' to 'more'"),
    (("task", "remove", "more"), "removed task 'more'"), (("tag", "first", "base@1"), "made the tag first"),
    (("model", "rename", "other", "another"), "renamed model 'other' to 'another'"),
    (("model", "remove", "another"), "removed model 'another'"),
    (("export", "out"), "wrote base@2 to out"), (("gc",), "removed"),
    (("--workspace", "new", "init", "--preset", "tiny", "--no-tokenizer"), "made base@1"))


class FullDisk(mformer.EndToEndTest):
    def test_a_command_whose_report_can_t_be_written_has_done_its_work_and_says_so(self):
        work = self.workspace()
        for line, says in LINES:
            with self.subTest(command=line), open("/dev/full", "w") as full:
                result = work.run(*line, stdout=full)
                self.assertRegex(result.err, f"(?m)^note: {says}.*; its report was cut off: .*No space left")
                self.assertNotIn("error:", result.err)
        self.assertEqual({row["outcome"] for row in work.run("log", "--json").json["operations"]}, {"done"})

    def test_a_dry_run_whose_report_can_t_be_written_has_failed(self):
        work = self.workspace()
        with open("/dev/full", "w") as full:
            result = work.run("freeze", "layer=0", "--dry-run", stdout=full, code=1)
        self.assertIn("error: cannot write", result.err)

    def test_closed_streams_harm_no_file(self):
        work = self.workspace()

        def close_all():
            for stream in (0, 1, 2):
                os.close(stream)

        work.run("train", "--task", "english", *TRAIN, prepare=close_all)
        self.assertEqual(work.versions(), ["base@3"])
        work.run("freeze", "layer=0", "--dry-run", prepare=close_all, code=1)
        for file in (work / ".mformer").rglob("metrics.jsonl"):
            for line in file.read_text().splitlines():
                json.loads(line)

    def test_a_reader_that_is_gone_is_no_failure(self):
        work = self.workspace()
        process = work.start("freeze", "layer=0")
        process.stdout.close()
        _, err = process.communicate(timeout=mformer.TIMEOUT_S)
        self.assertEqual((process.returncode, err), (0, b""))
        self.assertEqual(work.versions(), ["base@3"])


class Signals(mformer.EndToEndTest):
    def versions_made(self, work):
        with contextlib.closing(sqlite3.connect(work / ".mformer" / "registry.db", timeout=60)) as registry:
            return registry.execute("SELECT count(*) FROM versions").fetchone()[0]

    def stopped_when_made(self, work, number, *arguments):
        """The command's result after the signal, sent as soon as its version is there."""
        before = self.versions_made(work)
        process = work.start(*arguments)
        while process.poll() is None and self.versions_made(work) == before:
            time.sleep(0.002)
        process.send_signal(number)
        out, err = process.communicate(timeout=mformer.TIMEOUT_S)
        return process.returncode, out.decode(), err.decode()

    def test_after_the_commit_a_signal_ends_the_report_and_not_the_command(self):
        cut_off = 0
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            work = self.workspace(f"work-{number}")
            work.run("task", "add", "german", "--data", "german")
            line = ("train", "--task", "english", "--steps", "2", "--batch", "2", "--context", "32", "--eval-tokens", "0")
            code, out, err = self.stopped_when_made(work, number, *line, "--json")
            self.assertEqual(code, 0, err)
            made = json.loads(out)
            self.assertEqual(made["model"], "base@3")
            cut_off += made["cut_off"] == "it was interrupted"
            self.assertNotIn("interrupted:", err)
            self.assertEqual(work.run("log", "--json").json["operations"][0]["outcome"], "done")
            self.assertEqual(list((work / ".mformer" / "runs").glob("*/snapshot.safetensors")), [])
        self.assertGreater(cut_off, 0, "every signal came too late to test anything")

    def test_the_sentence_names_a_command_that_measures(self):
        work = self.workspace()
        work.run("task", "add", "german", "--data", "german")
        for _ in range(5):
            code, out, err = self.stopped_when_made(work, signal.SIGINT, "prune", "--task", "english", "--keep", "0.5",
                                                    "--eval-tokens", "0")
            self.assertEqual(code, 0, err)
            if "cut off" in out:
                break
            work.run("undo")
        self.assertRegex(out, r"(?m)^made (base@\d); its report was cut off: it was interrupted\n"
                              r"mformer eval --model \1 measures it$")
        work.run("eval", "--model", "base", "--max-tokens", "100")

    def test_a_hang_up_stops_a_training_as_ctrl_c_does(self):
        work = self.workspace()
        mformer.remove_folder(work / ".mformer" / "runs")
        process = work.start("train", "--data", "english", "--steps", "500", *mformer.QUICK)
        work.wait_for_steps(process, 2)
        process.send_signal(signal.SIGHUP)
        _, err = process.communicate(timeout=mformer.TIMEOUT_S)
        self.assertEqual(process.returncode, 128 + signal.SIGHUP)
        self.assertRegex(err.decode(), r"(?m)^interrupted: step \d+ is saved")

    def test_nohup_is_obeyed(self):
        work = self.workspace()
        mformer.remove_folder(work / ".mformer" / "runs")
        process = work.start("train", "--data", "english", "--steps", "40", *mformer.QUICK,
                             prepare=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        work.wait_for_steps(process, 2)
        process.send_signal(signal.SIGHUP)
        process.communicate(timeout=mformer.TIMEOUT_S)
        self.assertEqual(process.returncode, 0)


if __name__ == "__main__":
    unittest.main()
