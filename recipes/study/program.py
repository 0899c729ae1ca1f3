"""One call of the program: JSON in, time taken, and an end that loses nothing when the recipe is interrupted."""

import ctypes
import hashlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path


class Failed(Exception):
    """A call that did not end well; the text is for the user."""


class Interrupted(Exception):
    """Ctrl-C or SIGTERM; the call under way has saved what it can, and what it had done to its end is recorded."""


def _die_with_parent():
    set_death_signal = 1
    ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL, 0, 0, 0)


class _Stops:
    """While it lasts, SIGINT and SIGTERM are handed to the child, so that it can save, instead of ending us."""

    def __init__(self, child):
        self.child, self.number, self.before = child, None, {}

    def _stop(self, number, _):
        self.number = number
        self.child.send_signal(number)

    def __enter__(self):
        self.before = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_):
        for number, handler in self.before.items():
            signal.signal(number, handler)


def _sha_of(file):
    with open(file, "rb") as data:
        sha = hashlib.sha256()
        while block := data.read(1 << 20):
            sha.update(block)
    return sha.hexdigest()


class Program:
    """The mformer program, called in one folder, so that relative paths of data mean the same in every step."""

    def __init__(self, path, folder):
        self.path, self.folder, self.stopped = str(path), folder, False
        self.version = subprocess.run([self.path, "--version"], check=True, capture_output=True,
                                      text=True).stdout.strip()
        # A version number stays while the program changes: results belong to the bytes that gave them.
        parts = [Path(path), *sorted(Path(path).resolve().parent.parent.glob("libexec/mformer/*"))]
        self.identity = [self.version, *(_sha_of(part) for part in parts if part.is_file())]

    def go_on(self):
        """Raises Interrupted if we were told to stop."""
        if self.stopped:
            raise Interrupted()

    def call(self, *arguments, stdin=None):
        """(the JSON that the command printed, seconds); `--json` is added, progress is shown on a terminal only. A command
        that was done when we were told to stop has its result returned, or it would be done twice; the next call raises."""
        self.go_on()
        quiet = [] if sys.stderr.isatty() else ["--quiet"]
        command = [self.path, *map(str, arguments), "--json", *quiet]
        started = time.monotonic()
        # A session of its own: Ctrl-C reaches the recipe alone, which hands it on once.
        child = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=None if sys.stderr.isatty() else subprocess.PIPE, start_new_session=True,
                                 preexec_fn=_die_with_parent)
        with _Stops(child) as stops:
            out, err = child.communicate(stdin or b"")
        seconds = time.monotonic() - started
        self.stopped = self.stopped or stops.number is not None
        if child.returncode != 0:
            self.go_on()
            raise Failed(f"mformer {' '.join(map(str, arguments))}\nexit code {child.returncode}\n" +
                         (err or b"").decode("utf-8", "replace").strip())
        return json.loads(out), seconds
