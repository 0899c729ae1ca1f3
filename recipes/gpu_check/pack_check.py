"""Whether a pack keeps its promise: it runs with glibc 2.34, the C++ library of GCC 11 and torch 2.11, and is small.

    pack_check.py FOLDER                  prints what the pack holds; exit code 1 and the reasons where it breaks the promise
    pack_check.py --libraries PROGRAM...  prints the paths of the libraries that a pack of these programs brings

What is read is what the linker wrote into the files (objdump -p): libraries by name, and the newest versions of symbols.
"""

import re
import subprocess
import sys
from pathlib import Path

MOST_BYTES = 60_000_000
# The newest that a machine with glibc 2.34 is sure to have: the compiler of such systems is GCC 11.
NEWEST = {"GLIBC": (2, 34), "GLIBCXX": (3, 4, 29), "CXXABI": (1, 3, 13), "GCC": (11,)}
# What torch brings, and what every system has that has a Python.
TORCH = {"libtorch_cpu.so", "libc10.so", "libgomp.so.1"}
SYSTEM = {"libc.so.6", "libm.so.6", "libdl.so.2", "librt.so.1", "libpthread.so.0", "libutil.so.1", "ld-linux-x86-64.so.2",
          "libgcc_s.so.1", "libstdc++.so.6"}
FROM = re.compile(r"^\s+required from (\S+):$")
VERSION = re.compile(r"^\s+0x\S+ 0x\S+ \S+ (\S+)$")


class Linked:
    """What one file asks of others."""

    def __init__(self, path):
        text = subprocess.run(["objdump", "-p", path], capture_output=True, text=True, check=True).stdout
        self.needs = set(re.findall(r"^\s+NEEDED\s+(\S+)$", text, re.MULTILINE))
        self.paths = re.findall(r"^\s+(RPATH|RUNPATH)[ \t]+(\S*)$", text, re.MULTILINE)
        self.versions, library = set(), None
        for line in text.partition("Version References:")[2].splitlines():
            if of := FROM.match(line):
                library = of.group(1)
            elif library in SYSTEM and (version := VERSION.match(line)):
                self.versions.add(version.group(1))

    def folders(self, path, kinds):
        """Where the loader looks for libraries of this file, by its own word."""
        return {Path(part.replace("$ORIGIN", str(path.parent))).resolve()
                for kind, paths in self.paths if kind in kinds for part in paths.split(":") if part}

    def too_new(self):
        return sorted(version for version in self.versions if not is_old(version))


def number_of(version):
    """(2, 34) of GLIBC_2.34; nothing of GLIBC_PRIVATE and the like."""
    number = version.partition("_")[2]
    return tuple(int(part) for part in number.split(".")) if re.fullmatch(r"\d+(\.\d+)*", number) else None


def is_old(version):
    newest, number = NEWEST.get(version.partition("_")[0]), number_of(version)
    return newest is not None and number is not None and number <= newest


def is_program_or_library(path):
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def symbols_of(path, version):
    """The names that have this version, for whoever must find another way."""
    listed = subprocess.run(["objdump", "-TC", path], capture_output=True, text=True, check=False).stdout
    return [line.split(f"({version})")[1].strip() for line in listed.splitlines() if "*UND*" in line and f"({version})" in line]


def problems_of(folder, linked):
    """Sentences about what breaks the promise."""
    inside = {path.name for path in (folder / "lib").glob("*.so*")}
    for path, one in linked.items():
        name = path.relative_to(folder)
        for version in one.too_new():
            yield f"{name} needs {version}, for {', '.join(symbols_of(path, version)[:5]) or 'no symbol'}"
        for library in sorted(one.needs - inside - TORCH - SYSTEM):
            yield f"{name} needs {library}, which is neither in lib nor in torch nor in every system"
        # RUNPATH would not hold for the libraries of libraries.
        if path.parent != folder / "lib" and one.needs & inside and (folder / "lib").resolve() not in one.folders(path, ("RPATH",)):
            yield f"{name} does not look for libraries in lib, by an RPATH relative to where it is"
        for outside in (part for _, paths in one.paths for part in paths.split(":") if not part.startswith("$ORIGIN/")):
            yield f"{name} looks for libraries in '{outside}', which is a folder of the machine where it was made"
    for path in folder.rglob("*"):
        if path.is_symlink():
            yield f"{path.relative_to(folder)} is a link: archives and hashes do not keep those alike"
    size = size_of(folder)
    if size > MOST_BYTES:
        yield f"it has {size / 1e6:.1f} MB, and {MOST_BYTES / 1e6:.0f} are the most"


def size_of(path):
    return path.stat().st_size if path.is_file() else sum(one.stat().st_size for one in path.rglob("*") if one.is_file())


def check(folder):
    linked = {path: Linked(path) for path in sorted(folder.rglob("*"))
              if path.is_file() and not path.is_symlink() and is_program_or_library(path)}
    if not linked:
        sys.exit(f"error: no program is in '{folder}'\nhint: name a folder that recipes/gpu_check/pack.sh made")
    for part in [*linked, *sorted(path for path in folder.iterdir() if path.name not in ("bin", "lib", "libexec"))]:
        print(f"{size_of(part) / 1e6:9.2f} MB  {part.relative_to(folder)}")
    print(f"{size_of(folder) / 1e6:9.2f} MB  in all, of at most {MOST_BYTES / 1e6:.0f}")
    newest = {}
    for one in linked.values():
        for version in one.versions:
            name = version.partition("_")[0]
            newest[name] = max(newest.get(name, version), version, key=lambda one: number_of(one) or ())
    print("newest versions needed: " + ", ".join(sorted(newest.values())))
    problems = list(problems_of(folder, linked))
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problems else 0


def libraries_of(programs):
    """Paths of all that these need and neither torch nor every system has, as the loader finds them here."""
    found = {}
    for program in programs:
        listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        found.update(re.findall(r"^\s+(\S+) => (\S+) \(", listed, re.MULTILINE))
    open_ones, known = set().union(*(Linked(program).needs for program in programs)), set()
    while open_ones:
        name = open_ones.pop()
        if name in known or name in TORCH | SYSTEM:
            continue
        if name not in found:
            sys.exit(f"error: {name} is not found here\nhint: ./recipes/setup.sh installs what a build needs")
        known.add(name)
        open_ones |= Linked(found[name]).needs
    return sorted(found[name] for name in known)


def main():
    if len(sys.argv) > 2 and sys.argv[1] == "--libraries":
        print("\n".join(libraries_of(sys.argv[2:])))
        return 0
    if len(sys.argv) != 2:
        sys.exit("error: what to check?\nhint: pack_check.py FOLDER")
    return check(Path(sys.argv[1]))


if __name__ == "__main__":
    sys.exit(main())
