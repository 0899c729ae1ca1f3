"""Named pipes where a file is expected: refused, or waited for until one signal comes."""

import os
import shutil
import signal
import subprocess
import threading
import time
import unittest

import mformer


def has_open(process, path):
    """Whether the program has the file open."""
    folder = f"/proc/{process.pid}/fd"
    try:
        return any(os.path.realpath(f"{folder}/{name}") == str(path) for name in os.listdir(folder))
    except OSError:
        return False


class PipesTest(mformer.EndToEndTest):
    def ends_by_one_signal(self, work, pipe, *arguments, which=signal.SIGINT):
        """Nobody ever writes the pipe, which the command reads."""
        process = work.start(*arguments)
        deadline = time.monotonic() + mformer.TIMEOUT_S
        while process.poll() is None and not has_open(process, pipe) and time.monotonic() < deadline:
            time.sleep(0.005)
        self.assertIsNone(process.poll(), arguments)
        process.send_signal(which)
        began = time.monotonic()
        _, err = process.communicate(timeout=mformer.TIMEOUT_S)
        self.assertEqual(process.returncode, 128 + which, err)
        self.assertRegex(err.decode(), r"^interrupted: reading .* was stopped\nhint: .*\n$")
        self.assertLess(time.monotonic() - began, 20, "it must not wait for a second signal")

    def test_one_signal_ends_the_wait_for_a_pipe_that_nobody_writes(self):
        work = self.workspace()
        pipe = work / "pipe"
        os.mkfifo(pipe)
        (work / "template").write_text("{{ messages[0].content }}")
        before = work.state()
        for arguments in (("init", "--name", "other", "--config", "pipe", "--no-tokenizer"),
                          ("init", "--name", "other", "--preset", "tiny", "--tokenizer", "pipe"),
                          ("tokenizer", "chat", "--chat-template", "template", "--messages", "pipe"), ("tokenizer", "encode", "--tokenizer", "pipe", "--text", "a"),
                          ("generate", "--chat", "--messages", "pipe")):
            for which in (signal.SIGINT, signal.SIGTERM):
                with self.subTest(arguments=arguments, signal=which):
                    self.ends_by_one_signal(work, pipe, *arguments, which=which)
        self.assertEqual(work.state(), before)

    def test_one_signal_ends_the_wait_for_standard_input(self):
        work = self.workspace()
        for arguments in (("tokenizer", "encode"), ("tokenizer", "decode")):
            with self.subTest(arguments=arguments):
                process = subprocess.Popen(mformer.command_line(arguments), cwd=work.path, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                           stderr=subprocess.PIPE, env=mformer.environment())
                time.sleep(0.3)  # most likely it waits by then; before, the signal ends it too
                process.send_signal(signal.SIGINT)
                self.assertEqual(process.wait(mformer.TIMEOUT_S), 130)  # standard input stays open
                self.assertIn(b"interrupted: ", process.stderr.read())
                for stream in (process.stdin, process.stdout, process.stderr):
                    stream.close()

    def test_what_must_be_a_file_is_refused_where_it_is_a_pipe(self):
        work = self.workspace()
        os.mkfifo(work / "pipe")
        for name, file in (("weights", "model.safetensors"), ("config", "config.json"), ("template", "chat_template.jinja")):
            shutil.copytree(work / "checkpoint", work / name)
            (work / name / file).unlink(missing_ok=True)
            os.mkfifo(work / name / file)
        for arguments in (("task", "add", "other", "--data", "pipe"), ("train", "--data", "pipe"), ("tokenizer", "train", "--data", "pipe"),
                          ("eval", "--tasks", "pipe"), ("eval", "--data", "pipe"), ("import", "pipe"), ("pull", "pipe"), ("import", "weights"), ("import", "config"),
                          ("probe", "--input", "pipe", "--out", "out"), ("report", "--out", "r.html", "--keep-curve", "pipe"),
                          ("export", "pipe"), ("fsck", "--repair", "--from", "pipe"), ("merge", "base", "--from", "pipe"),
                          ("bundle", "pipe"), ("push", "pipe")):
            with self.subTest(arguments=arguments):
                result = work.run(*arguments, code=None, timeout=60)
                self.assertIn(result.code, (1, 2), result)
                self.assertEqual([line.split(":")[0] for line in mformer.lines_of_error(result.err)], ["error", "hint"], result)

    def test_what_a_command_writes_through_a_pipe_is_read_whole(self):
        work = self.workspace()
        os.mkfifo(work / "pipe")

        def write_slowly():
            text = (work / "tokenizer.json").read_bytes()
            with open(work / "pipe", "wb", buffering=0) as pipe:
                for begin in range(0, len(text), 20_000):
                    time.sleep(0.02)
                    pipe.write(text[begin:begin + 20_000])

        writer = threading.Thread(target=write_slowly)
        writer.start()
        piped = work.run("tokenizer", "encode", "--tokenizer", "pipe", "--text", "what comes slowly")
        writer.join()
        self.assertEqual(piped.out, work.run("tokenizer", "encode", "--text", "what comes slowly").out)

    def test_pipes_in_a_workspace_keep_no_command_waiting(self):
        work = self.workspace()
        whole = work / ".mformer"
        for name in ("running/0123456789ab", "cache/pipe", "runs/0123456789ab/session.json", "runs/0123456789ab/metrics.jsonl"):
            (whole / name).parent.mkdir(parents=True, exist_ok=True)
            os.mkfifo(whole / name)
        for arguments in (("log",), ("log", "1"), ("models",), ("gc", "--grace", "0"), ("use", "base"), ("fsck",), ("report", "--out", "r.html")):
            work.run(*arguments, timeout=60)
        for name in ("changes", "registry.db-wal", "registry.db"):
            kept = whole / "kept"
            has = (whole / name).exists()
            if has:
                (whole / name).rename(kept)
            os.mkfifo(whole / name)
            for arguments in (("models",), ("use", "base"), ("fsck",), ("gc",)):
                with self.subTest(pipe=name, arguments=arguments):
                    self.assertIn(work.run(*arguments, code=None, timeout=60).code, (0, 1, 2))
            (whole / name).unlink(missing_ok=True)
            if has:
                kept.rename(whole / name)


if __name__ == "__main__":
    unittest.main()
