"""Runs the mformer program in temporary workspaces.

A test file needs two things from here:

    class TrainTest(mformer.EndToEndTest):
        def test_says_what_it_did(self):
            work = self.workspace()                      # a copy of one with a trained tiny model
            result = work.run("tasks", "--json").json    # fails the test unless the exit code is 0
            work.refuses("train", code=2, says="no task")  # one error, a hint, nothing changed

    if __name__ == "__main__":
        unittest.main()

The program is the one that the environment variable MFORMER_BIN names.
"""

import contextlib
import ctypes
import fcntl
import functools
import json
import os
import pty
import shutil
import sqlite3
import struct
import subprocess
import tempfile
import termios
import time
import unittest
from pathlib import Path

import schemas

BINARY = os.environ.get("MFORMER_BIN", "build/release/bin/mformer")
DATA = Path(__file__).resolve().parents[1] / "data"
SAMPLE = DATA / "sample"
TIMEOUT_S = 240
# Small enough for a busy machine; short sequences, since the documents are short.
QUICK = ("--batch", "2", "--context", "32", "--eval-tokens", "600")


# A small dense model, as a config.json for `init --config`.
DENSE = {"model_type": "llama", "hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 2,
         "intermediate_size": 48, "max_position_embeddings": 64, "initializer_range": 0.1, "tie_word_embeddings": True, "vocab_size": 1}


class Result:
    """What one run of the program printed, and its exit code."""

    def __init__(self, completed):
        self.code = completed.returncode
        self.stdout = completed.stdout or b""
        self.out = self.stdout.decode("utf-8", "replace")
        self.err = completed.stderr.decode("utf-8", "replace")

    @property
    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"exit code {self.code}\nstdout: {self.out[-2000:]}\nstderr: {self.err[-2000:]}"


def command_line(arguments):
    # One thread: the same bits on every machine, and no waiting for a busy second core.
    return [str(Path(BINARY).resolve()), "--threads", "1", *map(str, arguments)]


def environment(**changes):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MFORMER_")}
    return {**kept, "XDG_CONFIG_HOME": "/nowhere", **changes}  # no defaults of whoever runs the tests


class Folder:
    """A folder in which the program runs; a workspace once it was initialised."""

    def __init__(self, test, path):
        self.test = test
        self.path = Path(path)

    def __truediv__(self, name):
        return self.path / name

    def run(self, *arguments, code=0, stdin=b"", stdout=subprocess.PIPE, prepare=None, timeout=TIMEOUT_S,
            cwd=None, env=None):
        """The result; a failed test unless the program exits with `code` (None = any)."""
        result = Result(
            subprocess.run(command_line(arguments), cwd=cwd or self.path, input=stdin, stdout=stdout, stderr=subprocess.PIPE,
                           env=environment(**(env or {})), preexec_fn=prepare, timeout=timeout))
        if code is not None:
            self.test.assertEqual(result.code, code, f"mformer {' '.join(map(str, arguments))}\n{result}")
        if schemas.REWRITES and "--json" in arguments and result.out.startswith('{"version"'):
            schemas.check(result.json["command"], result.json)
        return result

    def start(self, *arguments, prepare=None):
        """The running program, for tests that stop it."""
        return subprocess.Popen(command_line(arguments), cwd=self.path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, env=environment(), preexec_fn=prepare)

    def on_terminal(self, *arguments, environment, columns=80, progress=False):
        """What a command prints where its output is a terminal of so many columns; `progress`: what it says on stderr."""
        ours, its = pty.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen(command_line(arguments), cwd=self.path, env=environment, stdin=its,
                                   stdout=subprocess.DEVNULL if progress else its, stderr=its if progress else subprocess.DEVNULL)
        os.close(its)
        printed = b""
        try:
            while piece := os.read(ours, 65536):
                printed += piece
        except OSError:
            pass  # the terminal's other end is closed
        os.close(ours)
        self.test.assertEqual(process.wait(TIMEOUT_S), 0, printed)
        return printed.decode()

    def refuses(self, *arguments, code, says, hint="", **options):
        """Checks the contract of errors: the exit code, one sentence, a hint, no result, and nothing changed."""
        before = self.state() if self.is_workspace() else None
        result = self.run(*arguments, code=code, **options)
        self.check_refusal(result, says, hint)
        self.test.assertEqual(result.out, "", result)
        if before is not None:
            self.test.assertEqual(self.state(), before)
        return result

    def check_refusal(self, result, says, hint=""):
        """Exactly one error and one hint, and no trace of where in the program it came from. Returns both lines."""
        check = self.test
        lines = lines_of_error(result.err)
        check.assertEqual([line.split(":")[0] for line in lines], ["error", "hint"], result)
        check.assertIn(says, lines[0], result)
        check.assertIn(hint, lines[1], result)
        check.assertNotRegex(result.err, r"terminate called|Exception raised from|frame #\d|\.cpp:\d+|what\(\)", result)
        return "\n".join(lines)

    def is_workspace(self):
        return (self / ".mformer" / "registry.db").exists()

    def state(self):
        """Every row that a failed command must leave alone: all but the log of operations, to which it belongs, scores,
        where it may have measured an old version before it failed, and the seals of both."""
        with contextlib.closing(sqlite3.connect(self / ".mformer" / "registry.db", timeout=60)) as registry:
            registry.text_factory = lambda data: data.decode("utf-8", "surrogateescape")  # paths may be anything
            names = registry.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
            return {name: registry.execute(f"SELECT * FROM {name}").fetchall()
                    for (name,) in names if not name.startswith(("operation", "scores", "seals", "sqlite_"))}

    def check_sound(self):
        self.run("fsck")

    def make_dense(self, **changes):
        """Adds the model `dense`, a small Llama with fresh weights."""
        (self / "dense.json").write_text(json.dumps({**DENSE, **changes}))
        self.run("init", "--config", "dense.json", "--tokenizer", "tokenizer.json", "--name", "dense")

    def versions(self):
        """The names of the models' current versions."""
        return [model["version"]["ref"] for model in self.run("models", "--json").json["models"]]

    def modules(self, model):
        """uid → hash of the weights, for each module of a version."""
        rows = self.run("inspect", "modules", "--model", model, "--json").json["modules"]
        return {row["uid"]: row["object"] for row in rows}

    def metrics(self):
        """The lines of the only run's metrics.jsonl, without what depends on the clock."""
        files = list((self / ".mformer" / "runs").rglob("metrics.jsonl"))
        self.test.assertEqual(len(files), 1, files)
        return [without_clock(json.loads(line)) for line in files[0].read_text().splitlines()]

    def wait_for_steps(self, process, steps):
        """Returns once the running training has written so many lines of metrics."""
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            if sum(file.read_text().count("\n") for file in (self / ".mformer").glob("runs/*/metrics.jsonl")) >= steps:
                return
            if process.poll() is not None:
                self.test.fail(f"the program ended early: {process.communicate()}")
            time.sleep(0.005)
        self.test.fail("no training step within the time")


def lines_of_error(text):
    """The error and the hint that a command printed; with --json they are in one object, the last line."""
    lines = text.splitlines()
    if not lines or not lines[-1].startswith("{"):
        return [line for line in lines if line.startswith(("error:", "hint:"))]
    error = json.loads(lines[-1])["error"]
    return [f"error: {error['message']}", f"hint: {error['hint']}"]


def writer_of(fifo, process):
    """The FIFO's writing end, once the running program has opened it for reading: it then waits for what is written."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            return os.fdopen(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK), "w")
        time.sleep(0.005)
    raise AssertionError(f"{fifo} was never read: {process.communicate()}")


def without_clock(step):
    return {name: value for name, value in step.items() if "second" not in name}


class EndToEndTest(unittest.TestCase):
    """A test with a temporary folder of its own, at whose end every workspace must be sound."""

    def setUp(self):
        self.temporary = Path(tempfile.mkdtemp(prefix="mformer-test-"))
        self.addCleanup(remove_folder, self.temporary)
        self.workspaces = []

    def tearDown(self):
        for workspace in self.workspaces:
            workspace.check_sound()

    def folder(self, name="work"):
        """An empty folder."""
        path = self.temporary / name
        path.mkdir()
        return Folder(self, path)

    def workspace(self, name="work"):
        """A copy of a workspace with a tiny model `base`, trained a little as base@2 on the task 'english'. Beside it
        lie the corpora english/, german/ and qa/, tokenizer.json, and checkpoint/, an export of base@2."""
        path = self.temporary / name
        shutil.copytree(trained_folder(), path)
        self.workspaces.append(Folder(self, path))
        return self.workspaces[-1]


@functools.cache
def trained_folder():
    """Made once for each test file. Its copies read the corpora that lie beside them."""
    path = Path(tempfile.mkdtemp(prefix="mformer-trained-"))
    unittest.addModuleCleanup(remove_folder, path)
    for name, source in (("english", SAMPLE / "english"), ("german", SAMPLE / "german")):
        write_corpus(path / name, source)
    shutil.copytree(SAMPLE / "qa", path / "qa")
    folder = Folder(unittest.TestCase(), path)
    folder.run("tokenizer", "train", "--data", "english", "--vocab-size", "400", "--quiet")
    folder.run("init", "--preset", "tiny", "--tokenizer", "tokenizer.json")
    folder.run("train", "--data", "english", "--steps", "12", *QUICK)
    folder.run("export", "checkpoint")
    return path


def write_corpus(folder, source, characters=400):
    """The source's text as many short documents, so that every split of the data has enough for quick commands."""
    folder.mkdir()
    text = "".join(sample_text(file) for file in sorted(source.iterdir()))
    with open(folder / "text.jsonl", "w") as out:
        for start in range(0, len(text), characters):
            out.write(json.dumps({"text": text[start:start + characters]}) + "\n")


def sample_text(file):
    """The texts of a .jsonl file, a blank line between them; any other file as it is."""
    text = file.read_text()
    if file.suffix != ".jsonl":
        return text
    return "\n\n".join(json.loads(line)["text"] for line in text.splitlines())


@functools.cache
def may_mount():
    """Whether this machine and user allow what run_mounted does."""
    trial = ["unshare", "-m", "sh", "-c", "mount -t tmpfs none /mnt"]
    return shutil.which("unshare") is not None and subprocess.run(trial, capture_output=True, check=False).returncode == 0


def run_mounted(script, *arguments):
    """Runs the shell script, in which "$@" is the program with its arguments, where mounts vanish at its end."""
    return Result(
        subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", *command_line(arguments)], capture_output=True,
                       env=environment(), timeout=TIMEOUT_S, check=False))


def obey_modes():
    """Called in the child before the program: takes root's right to read and write where modes forbid it."""
    drop_from_bounding_set, may_override_modes, may_read_all = 24, 1, 2
    for right in (may_override_modes, may_read_all):
        ctypes.CDLL(None).prctl(drop_from_bounding_set, right, 0, 0, 0)


def remove_folder(path):
    subprocess.run(["chmod", "-R", "u+w", str(path)], check=False, stderr=subprocess.DEVNULL)
    shutil.rmtree(path, ignore_errors=True)


def read_safetensors(file):
    """(header, bytes after it): for tests that damage checkpoints."""
    data = Path(file).read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8:8 + length]), data[8 + length:]


def write_safetensors(file, header, body):
    text = json.dumps(header).encode()
    Path(file).write_bytes(struct.pack("<Q", len(text)) + text + body)
