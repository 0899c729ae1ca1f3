"""The Debian package: unpacked into a root that holds what it depends on and nothing else, it runs."""

import os
import re
import shutil
import subprocess
import unittest
from pathlib import Path

import installed
from installed import BUILD, run

MAY_CHANGE_ROOT = ["unshare", "-m", "chroot", "/", "true"]


def may_change_root():
    return all(map(shutil.which, ("unshare", "chroot", "dpkg-deb", "dpkg-shlibdeps"))) and \
        subprocess.run(MAY_CHANGE_ROOT, capture_output=True, check=False).returncode == 0


def names_of(depends):
    """Package names of a Depends field; of alternatives the first."""
    return {re.match(r"[a-z0-9.+-]+", part.strip()).group() for part in depends.split(",") if part.strip()}


def closure(names):
    """The packages and all that they depend on."""
    found, waiting = set(), set(names)
    while waiting:
        name = waiting.pop()
        found.add(name)
        fields = run("dpkg-query", "-W", "-f", "${Depends},${Pre-Depends}\n", name, check=False).stdout.splitlines()
        waiting |= names_of(fields[0] if fields else "") - found
    return found


def copy_package(name, root):
    """The files of a package of this machine, but its documents."""
    for line in run("dpkg", "-L", name, check=False).stdout.splitlines():
        if line.startswith(("/usr/share/", "/etc/")) or not os.path.lexists(line) or os.path.isdir(line):
            continue
        there = root / line.lstrip("/")
        there.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(there):
            shutil.copy2(line, there, follow_symlinks=False)


@unittest.skipUnless(may_change_root(), "needs dpkg-dev, and the right to change the root folder")
class DebianPackageTest(installed.InstallTest):
    def test_the_package_runs_where_only_what_it_depends_on_is_installed(self):
        run("cpack", "--config", BUILD / "CPackConfig.cmake", "-B", self.temporary / "made", cwd=self.temporary)
        package = next((self.temporary / "made").glob("mformer_*.deb"))
        shutil.rmtree(self.temporary / "made" / "_CPack_Packages")
        fields = run("dpkg-deb", "-f", package).stdout
        depends = re.search(r"^Depends: (.*)$", fields, re.MULTILINE).group(1)
        self.assertIn("libsqlite3-0", depends)
        self.assertNotIn("torch", depends)
        root = self.temporary / "root"
        for folder in ("bin", "lib", "lib64", "sbin"):  # as Debian has them since 12
            (root / "usr" / folder).mkdir(parents=True)
            (root / folder).symlink_to(f"usr/{folder}")
        for folder in ("tmp", "proc", "dev", "work"):
            (root / folder).mkdir()
        packages = closure(names_of(depends))
        self.assertLess(len(packages), 40, packages)
        for name in packages:
            copy_package(name, root)
        run("dpkg-deb", "-x", package, root)
        print(f"{package.name}: {package.stat().st_size / 1e6:.0f} MB; beside it in the root: {', '.join(sorted(packages))}")
        enter = ("unshare", "-m", "sh", "-c", 'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$0" /usr/bin/mformer --workspace /work "$@"', root)
        shutil.copytree(installed.SAMPLE / "english", root / "english")
        for line in installed.FIRST_LINES:
            run(*enter, *line, environment={"PATH": os.environ["PATH"]})
        self.assertTrue((root / "work" / ".mformer" / "registry.db").exists())


if __name__ == "__main__":
    unittest.main()
