"""cmake --install: the folder can be moved, needs nothing of the build, and other projects build on it."""

import os
import shutil
import unittest
from pathlib import Path

import installed
from installed import BUILD, run


class CmakeInstallTest(installed.InstallTest):
    def test_what_is_installed_runs_wherever_it_is_moved(self):
        run("cmake", "--install", BUILD, "--prefix", self.temporary / "first", "--component", "program")
        shutil.move(self.temporary / "first", self.temporary / "moved")
        prefix = self.temporary / "moved"
        libraries = installed.resolved_libraries(installed.computing_program(prefix))
        for name in ("libtorch_cpu.so", "libc10.so", "libgomp.so.1"):
            self.assertTrue(Path(libraries[name]).resolve().is_relative_to(prefix), f"{name}: {libraries[name]}")
        self.assertNotIn("not found", libraries.values())
        self.assertFalse((prefix / "include").exists(), "the program alone was asked for")
        for file in ("share/man/man1/mformer.1", "share/man/man1/mformer-extend.1", "share/bash-completion/completions/mformer",
                     "share/zsh/site-functions/_mformer", "share/fish/vendor_completions.d/mformer.fish", "share/doc/mformer/copyright"):
            self.assertTrue((prefix / file).is_file(), file)
        self.try_program(prefix / "bin" / "mformer")
        self.try_study("python3", prefix / "share" / "mformer" / "study" / "study.py")

    def test_another_project_finds_it_and_builds_on_its_libraries(self):
        prefix = self.temporary / "prefix"
        run("cmake", "--install", BUILD, "--prefix", prefix, "--component", "development")
        text = "".join(file.read_text() for file in (prefix / "lib" / "cmake" / "mformer").iterdir())
        self.assertNotIn(str(installed.ROOT), text, "the installed folder must not point into the sources")
        build = self.temporary / "consumer"
        run("cmake", "-S", installed.ROOT / "tests" / "install" / "consumer", "-B", build, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}",
            "-DCMAKE_BUILD_TYPE=Debug", environment=os.environ)
        run("cmake", "--build", build, environment=os.environ)
        self.assertEqual(run(build / "consumer", self.temporary / "ws").stdout, "0 models in a new workspace\nrms_norm: 1 1\n")
        other = run("cmake", "-S", installed.ROOT / "tests" / "install" / "consumer", "-B", self.temporary / "other", "-G", "Ninja", "-DWANTED=99",
                    f"-DCMAKE_PREFIX_PATH={prefix}", check=False, environment=os.environ)
        self.assertNotEqual(other.returncode, 0, "another version was asked for")
        self.assertIn("99", other.stderr)



if __name__ == "__main__":
    unittest.main()
