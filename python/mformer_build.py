"""Builds the Python package: the module `mformer` with the program in it (PEP 517).

CMake compiles the program, in build/python, or takes one that is compiled already: `pip install . -C build=build/release`, or
the variable MFORMER_BUILD. It is installed by the component `wheel` of cmake/Install.cmake, which makes it look for LibTorch in
the package `torch` that lies beside it. Only what Python itself has is needed here.
"""

import base64
import hashlib
import os
import re
import shutil
import subprocess
import sysconfig
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def project():
    """Name, version, ... of pyproject.toml. Python 3.9 and 3.10 have no reader of TOML: ours are plain lines."""
    text = (ROOT / "pyproject.toml").read_text().partition("\n[project]\n")[2].partition("\n[")[0]
    fields = dict(re.findall(r'^([a-z-]+) = "(.*)"$', text, re.MULTILINE))
    fields["dependencies"] = re.findall(r'"(.*?)"', re.search(r"^dependencies = \[(.*)\]$", text, re.MULTILINE).group(1))
    return fields


def metadata():
    fields = project()
    lines = ["Metadata-Version: 2.1", f"Name: {fields['name']}", f"Version: {fields['version']}", f"Summary: {fields['description']}",
             f"Requires-Python: {fields['requires-python']}", "License: Apache-2.0",
             *(f"Requires-Dist: {one}" for one in fields["dependencies"]), "Provides-Extra: frames", 'Requires-Dist: pandas; extra == "frames"']
    return "\n".join(lines) + "\n"


def tag():
    """The program runs on this system, in any Python 3."""
    return "py3-none-" + re.sub(r"[-.]", "_", sysconfig.get_platform())


def fail(what, hint):
    raise SystemExit(f"error: {what}\nhint: {hint}")


def run(*command):
    if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
        fail(f"this failed: {' '.join(map(str, command))}", "the lines above say why; ./recipes/setup.sh installs what a build needs")


def build_folder(settings):
    """Where the program is compiled, after it is."""
    given = (settings or {}).get("build") or os.environ.get("MFORMER_BUILD")
    if given:
        folder = (ROOT / given).resolve()
        if not (folder / "cmake_install.cmake").exists():
            fail(f"'{folder}' is no build of mformer", "name a folder that cmake built, build/release for example, or leave it out")
        return folder
    folder = ROOT / "build" / "python"
    run("cmake", "-S", ROOT, "-B", folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DMFORMER_TESTS=OFF")
    run("cmake", "--build", folder, "--target", "mformer")
    return folder


def prepare_metadata_for_build_wheel(folder, config_settings=None):
    fields = project()
    information = Path(folder, f"{fields['name']}-{fields['version']}.dist-info")
    information.mkdir()
    (information / "METADATA").write_text(metadata())
    return information.name


def build_wheel(folder, config_settings=None, metadata_directory=None):
    fields = project()
    stem = f"{fields['name']}-{fields['version']}"
    with tempfile.TemporaryDirectory() as work:
        run("cmake", "--install", build_folder(config_settings), "--component", "wheel", "--prefix", work)
        shutil.copytree(ROOT / "python" / "mformer", Path(work, "mformer"), dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        information = Path(work, f"{stem}.dist-info")
        information.mkdir()
        (information / "METADATA").write_text(metadata())
        (information / "WHEEL").write_text(f"Wheel-Version: 1.0\nGenerator: mformer_build\nRoot-Is-Purelib: false\nTag: {tag()}\n")
        (information / "entry_points.txt").write_text("[console_scripts]\nmformer = mformer._program:main\n")
        shutil.copy(ROOT / "LICENSE", information)
        name = f"{stem}-{tag()}.whl"
        write_wheel(Path(folder, name), Path(work), information)
    return name


def write_wheel(file, work, information):
    """All files below `work`, with modes, since one of them is a program, and a list of their hashes."""
    files = sorted(path for path in work.rglob("*") if path.is_file())
    record = []
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as wheel:
        for path in files:
            data, name = path.read_bytes(), path.relative_to(work).as_posix()
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (path.stat().st_mode & 0xFFFF) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            wheel.writestr(entry, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record.append(f"{name},sha256={digest},{len(data)}\n")
        list_name = f"{information.name}/RECORD"
        wheel.writestr(list_name, "".join(record) + f"{list_name},,\n")


def build_sdist(folder, config_settings=None):
    fields = project()
    stem = f"{fields['name']}-{fields['version']}"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False).stdout.decode().split("\0")[:-1]
    if not listed:
        fail("the sources are no clone, so which files belong to them is not known", "clone the repository, or build a wheel")
    with tarfile.open(Path(folder, f"{stem}.tar.gz"), "w:gz") as archive:
        for name in listed:
            archive.add(ROOT / name, f"{stem}/{name}")
        with tempfile.NamedTemporaryFile("w") as information:
            information.write(metadata())
            information.flush()
            archive.add(information.name, f"{stem}/PKG-INFO")
    return f"{stem}.tar.gz"
