"""What run.sh of a pack does once it has a Python: what the machine is, which parts there are, and their report (report.py)."""

import argparse
import hashlib
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from report import STOPPED_BY, Command, Interrupted, Part, Report, run, stop

PROBE = """
import os, torch
there = torch.cuda.is_available()
print(os.path.join(os.path.dirname(torch.__file__), "lib"))
print(torch.__version__)
print(torch.version.cuda or "none")
print(torch.cuda.get_device_name(0) if there else "")
print("%d.%d, %.1f GB" % (*torch.cuda.get_device_capability(0), torch.cuda.get_device_properties(0).total_memory / 1e9) if there else "")
"""


def fail(what, hint):
    sys.exit(f"error: {what}\nhint: {hint}")


class Torch:
    """The LibTorch of this Python, and the GPU that it sees."""

    def __init__(self, pack, limit):
        try:
            # In a folder without modules, as Python would take a random.py of the current one for its own.
            done = subprocess.run([sys.executable, "-c", PROBE], cwd=pack, capture_output=True, text=True, timeout=limit, check=False)
        except subprocess.TimeoutExpired:
            fail(f"torch did not answer within {limit:.0f} seconds", f"try it by hand: {sys.executable} -c 'import torch'")
        lines = done.stdout.splitlines()
        if done.returncode != 0 or len(lines) < 5:
            why = (done.stderr.strip().splitlines() or ["it prints nothing"])[-1]
            fail(f"{sys.executable} has no torch that works: {why}", "--python names a Python with torch 2.11 for CUDA")
        self.folder, self.version, self.cuda, self.gpu, self.gpu_facts = lines[:5]
        # That the driver is too old, for example.
        self.complaint = next((line.strip() for line in done.stderr.splitlines() if "CUDA initialization" in line), "")
        if not self.version.startswith("2.11."):
            fail(f"{sys.executable} has torch {self.version}, and these programs are linked for 2.11",
                 "--python names a Python with torch 2.11 for CUDA")


def processor():
    try:
        names = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        return f"{len(names)} × {names[0]}" if names else platform.machine()
    except OSError:
        return platform.machine()


def driver():
    try:
        return Path("/proc/driver/nvidia/version").read_text().splitlines()[0].partition(":")[2].strip()
    except (OSError, IndexError):
        return "none"


def facts_of(pack, torch):
    made = [line[2:] for line in (pack / "MANIFEST").read_text().splitlines() if line.startswith("# ")]
    return [("pack", "; ".join(made)), ("GPU", f"{torch.gpu}, compute capability {torch.gpu_facts}" if torch.gpu else
                                                f"none answers{': ' if torch.complaint else ''}{torch.complaint}"),
            ("driver", driver()), ("torch", f"{torch.version}, CUDA {torch.cuda}, Python {platform.python_version()}"),
            ("machine", f"{processor()}; {' '.join(platform.libc_ver())}; Linux {platform.release()}"),
            ("when", time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()))]


def damaged_files(pack):
    """Names of files that are not as they were packed."""
    for line in (pack / "MANIFEST").read_text().splitlines():
        digest, _, name = line.partition("  ")
        if not line.startswith("#"):
            file = pack / name
            if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != digest:
                yield name


def environment_of(torch, work):
    """For our programs: LibTorch's libraries are found, and temporary files lie where they go away."""
    libraries = [torch.folder]
    # Some of torch's wheels give their OpenMP another name than the one that it is asked for by.
    gomp = next(iter(sorted(Path(torch.folder).glob("libgomp-*.so*"))), None)
    if gomp and not Path(torch.folder, "libgomp.so.1").exists():
        (work / "lib").mkdir()
        (work / "lib" / "libgomp.so.1").symlink_to(gomp)
        libraries.append(str(work / "lib"))
    libraries += filter(None, [os.environ.get("LD_LIBRARY_PATH")])  # Some containers name the driver's folder so.
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(libraries), "TMPDIR": str(work), "HOME": str(work), "LC_ALL": "C.UTF-8"}


def unpacked(peers, work):
    """Wheels are archives of what is to lie on the path of Python: no package manager is needed."""
    folder, wheels = work / "peers", sorted(peers.glob("*.whl"))
    if not wheels:
        fail(f"no wheel is in '{peers}'", "--peers names a folder of .whl files; leave it out to measure mformer alone")
    for wheel in wheels:
        try:
            with zipfile.ZipFile(wheel) as archive:
                for entry in archive.infolist():
                    path = archive.extract(entry, folder)
                    if entry.external_attr >> 16 & 0o100 and not entry.is_dir():
                        os.chmod(path, 0o755)
        except (OSError, zipfile.BadZipFile) as error:
            fail(f"'{wheel}' is no wheel: {error}", "copy it again, or take it out of the folder")
    return folder


def compiler_of(peers, work):
    """What Triton is to compile its launchers with where there is no compiler: that of the wheel `ziglang`."""
    zig = peers / "ziglang/zig"
    if os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang") or not zig.is_file():
        return {}
    script = work / "cc"
    script.write_text(f'#!/bin/sh\nexec "{zig}" cc "$@"\n')
    script.chmod(0o755)
    return {"CC": str(script)}


# Of a test program's output: what passed, where a test was left out (the end lists them), and kernels that tests replace.
UNTOLD = re.compile(r"\[(       OK|  SKIPPED) \] .* \(\d+ ms\)$|\[ RUN      \]|\[-{10}\]|\[={10}\]|Note: |Running main|no GPU answers|\s*$"
                    r"|.*: Skipped$|\[W.*is replaced by LibTorch operations|\[WARNING\] .*Death tests use fork")


def gtest_lines(line):
    return UNTOLD.match(line.rstrip("\n")) is None


SHARDS = 4  # A crash takes the rest of its shard along, not of all tests.


def parts_of(pack, torch, peers, work):
    environment = environment_of(torch, work)
    device = "cuda" if torch.gpu else "cpu"
    recipe, program = pack / "recipes/gpu_check", pack / "bin/mformer"
    no_gpu = "" if torch.gpu else "no GPU answers"

    def command(*arguments, keeps=lambda line: True, more=None):
        return Command(arguments, {**environment, **(more or {})}, pack, keeps)

    def script(name, *arguments, more=None):
        return command(sys.executable, "-B", recipe / name, *arguments, more=more)

    tests = [command(pack / "bin/mformer_device_tests", keeps=gtest_lines,
                     more={"GTEST_TOTAL_SHARDS": str(SHARDS), "GTEST_SHARD_INDEX": str(shard), "OMP_WAIT_POLICY": "passive"})
             for shard in range(SHARDS)]
    parts = [Part("Kernels against the CPU (doctor)", 50, [command(program, "--device", device, "doctor")]),
             Part("Device tests" + ("" if torch.gpu else ", on the host"), 120, tests),
             Part("A small model's life, GPU beside CPU" if torch.gpu else "A small model's life, on the CPU", 60,
                  [script("end_to_end.py", program, device)]),
             Part("Speed", 80, [command(pack / "bin/mformer_gpu_bench")], no_gpu),
             Part("Memory: the plan and the peak", 80, [script("memory.py", program)], no_gpu)]
    if peers:
        folder = unpacked(peers, work)
        more = {"PYTHONPATH": f"{folder}:{os.environ.get('PYTHONPATH', '')}".rstrip(":"), **compiler_of(folder, work),
                "LD_LIBRARY_PATH": os.environ.get("LD_LIBRARY_PATH", "")}  # Python brings LibTorch by itself.
        parts.append(Part("Public Triton kernels", 80, [script("peers.py", more=more)], no_gpu))
    return parts


def check(arguments):
    started = time.monotonic()
    torch = Torch(arguments.pack, arguments.limit)
    if damaged := list(damaged_files(arguments.pack)):
        more = f" and {len(damaged) - 1} more files are" if damaged[1:] else " is"
        fail(f"this pack lost something on its way: {damaged[0]}{more} not as made", "copy it again, as a whole")
    with tempfile.TemporaryDirectory(prefix="mformer_gpu_check.") as work:
        report = Report(arguments.out.absolute(), f"mformer on {torch.gpu or 'a machine where no GPU answers'}",
                        facts_of(arguments.pack, torch), parts_of(arguments.pack, torch, arguments.peers, Path(work)))
        try:
            report.write()
        except OSError as error:
            fail(f"'{arguments.out}' can't be written: {error.strerror}", "--out names a file in a folder where you may write")
        code = run(report, arguments.limit, started)
    print(f"written: {arguments.out}", flush=True)
    if not torch.gpu:
        print("error: no GPU answers: the programs and the host's tests ran, but nothing was checked or measured on a GPU\n"
              "hint: run this where nvidia-smi lists a GPU, with --python naming a Python that has torch 2.11 for CUDA", file=sys.stderr)
    return code


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--pack", type=Path)
    options.add_argument("--out", type=Path)
    options.add_argument("--limit", type=float)
    options.add_argument("--peers", type=Path)
    for number in STOPPED_BY:
        signal.signal(number, stop)
    try:
        return check(options.parse_args())
    except Interrupted as asked:
        print("stopped by a signal: the report says what was found until then", file=sys.stderr)
        return 128 + asked.args[0]


if __name__ == "__main__":
    sys.exit(main())
