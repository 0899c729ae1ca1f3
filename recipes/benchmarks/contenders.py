"""Starts the processes that are timed, one measurement each, and reads the JSON line they print."""

import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent

# What made the reference fastest on the machine of README.md: glibc keeps what is freed and asks for huge pages.
# Sleeping OpenMP threads (OMP_WAIT_POLICY=passive) and mimalloc were tried and were slower.
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40), "MALLOC_TOP_PAD_": str(64 << 20),
               "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


class Failed(Exception):
    """A process that did not measure anything; the text says why."""


@dataclasses.dataclass(frozen=True)
class Command:
    """One measurement: `program` is "mformer" or "peer"."""

    label: str
    program: str
    arguments: tuple
    keep_memory: bool = True  # of peers only: mformer looks after itself
    busy: bool = False        # beside a process that keeps a core busy

    def same_run(self, other):
        """Whether both are the same but for the label: then one process serves both."""
        return dataclasses.replace(self, label=other.label) == other


@dataclasses.dataclass(frozen=True)
class Programs:
    """Where things lie; None = not given, so not compared with."""

    mformer: str
    python: str = None
    clone: str = None

    def has(self, command):
        if command.program == "mformer":
            return True
        return self.python is not None and (self.clone is not None or command.arguments[0] != "reference")

    def line(self, command):
        if command.program == "mformer":
            return [self.mformer, *command.arguments]
        clone = ["--clone", self.clone] if command.arguments[0] == "reference" else []
        return [self.python, str(HERE / "peers.py"), *command.arguments, *clone]


def environment_of(command):
    """The caller's, without what changes allocation or threads; a peer gets the settings that suit it best."""
    ours = {name: value for name, value in os.environ.items()
            if not name.startswith(("MALLOC_", "OMP_", "KMP_", "GOMP_", "LD_PRELOAD", "GLIBC_TUNABLES"))}
    return ours | KEEP_MEMORY if command.program == "peer" and command.keep_memory else ours


@contextlib.contextmanager
def busy_core():
    """A process that computes without end on the last core; it ends by itself should this one be killed."""
    core = max(os.sched_getaffinity(0))
    endless = (f"import os\nos.sched_setaffinity(0, {{{core}}})\nx = 1.0\nwhile os.getppid() == {os.getpid()}:\n"
               "    for _ in range(1_000_000):\n        x = x * 0.999 + 1.0\n")
    process = subprocess.Popen([sys.executable, "-c", endless])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def measure(programs, command):
    """The fields of the JSON line that the process printed last. Throws Failed."""
    with busy_core() if command.busy else contextlib.nullcontext():
        done = subprocess.run(programs.line(command), capture_output=True, text=True, env=environment_of(command))
    if done.returncode != 0:
        last = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise Failed(f"{command.label} ({' '.join(command.arguments)}): {last}")
    return json.loads(done.stdout.strip().splitlines()[-1])
