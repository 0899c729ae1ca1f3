"""Runs the program as several processes, by the mpirun of Open MPI."""

import functools
import os
import shutil
import subprocess
import time
from pathlib import Path

import mformer

# On a busy machine a snapshot may take longer than the second that mpirun gives by itself.
SAME_MACHINE = ("--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "--mca", "odls_base_sigkill_timeout", "8")


@functools.cache
def why_not():
    """Why several processes can't be tried here; None where they can."""
    if shutil.which("mpirun") is None:
        return "there is no mpirun"
    plug_in = Path(mformer.BINARY).resolve().parents[1] / "libexec/mformer/mformer-mpi.so"
    return None if plug_in.exists() else "mformer was built without MPI"


def mpirun(count, arguments):
    return ["mpirun", *SAME_MACHINE, "-np", str(count), *mformer.command_line(arguments)]


def run(folder, count, *arguments, code=0, env=None):
    """What `count` processes print together. mpirun adds lines of its own to stderr where one fails."""
    done = subprocess.run(mpirun(count, arguments), cwd=folder.path, env=mformer.environment(**(env or {})), capture_output=True,
                          timeout=mformer.TIMEOUT_S, check=False)
    result = mformer.Result(done)
    if code is not None:
        folder.test.assertEqual(result.code, code, result)
    return result


def start(folder, count, *arguments, env=None):
    return subprocess.Popen(mpirun(count, arguments), cwd=folder.path, env=mformer.environment(**(env or {})), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def process_of(launcher, rank):
    """The process id of a rank that this mpirun started."""
    deadline = time.monotonic() + mformer.TIMEOUT_S
    while time.monotonic() < deadline:
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                parent = (folder / "stat").read_text().rsplit(")", 1)[1].split()[1]
                variables = (folder / "environ").read_bytes().split(b"\0")
            except OSError:
                continue  # it has ended meanwhile
            if parent == str(launcher.pid) and f"OMPI_COMM_WORLD_RANK={rank}".encode() in variables:
                return int(folder.name)
        time.sleep(0.01)
    raise AssertionError(f"there is no rank {rank}")


def copy_of_program(folder):
    """bin/ and libexec/ of their own, without the plug-in for MPI; returns the path of bin/mformer."""
    own = Path(mformer.BINARY).resolve().parents[1]
    for name in ("bin/mformer", "libexec/mformer/mformer-compute"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(own / name, folder / name)
    return folder / "bin/mformer"


def as_rank(rank, size):
    """What a launcher tells a process."""
    return {"OMPI_COMM_WORLD_RANK": str(rank), "OMPI_COMM_WORLD_SIZE": str(size), "OMPI_COMM_WORLD_LOCAL_SIZE": str(size)}


def environment_without_launcher():
    return {name: value for name, value in os.environ.items() if not name.startswith("OMPI_")}
