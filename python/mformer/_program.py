"""Where the program is, and the command `mformer` that pip puts on the PATH."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from .errors import Error

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def program() -> str:
    """The path of the program: the one that MFORMER_BIN names, the one in this package, or else the one on the PATH."""
    named = os.environ.get("MFORMER_BIN")
    if named:
        return named
    ours = Path(__file__).resolve().parent / "bin" / "mformer"
    if ours.exists():
        if not (ours.parents[2] / "torch" / "lib" / "libtorch_cpu.so").exists():
            raise Error("the package 'torch', with LibTorch in it, is not there", "pip install torch==2.11.0")
        return str(ours)
    found = shutil.which("mformer")
    if found is None:
        raise Error("there is no program 'mformer'", "install the package with pip, or name the program: MFORMER_BIN=/path/to/mformer")
    return found


def end_with_caller() -> None:
    """Called in a process that is about to become the program: it is told to stop, and saves what it has, when the thread that
    began it is gone. A kernel that is killed would leave a training behind that nobody sees."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def version() -> str:
    """The program's version, "0.1.0"."""
    printed = subprocess.run([program(), "--version"], capture_output=True, text=True, check=True).stdout
    return printed.split()[1]


def main() -> None:
    """Becomes the program."""
    try:
        path = program()
    except Error as error:
        sys.exit(f"error: {error}")
    os.execv(path, ["mformer", *sys.argv[1:]])
