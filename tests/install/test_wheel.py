"""pip install .: in a fresh Python, with the program that is built already and the LibTorch of this build as its `torch`."""

import re
import sys
import unittest
from pathlib import Path

import installed
from installed import BUILD, ROOT, run

# `torch` from the registry is 530 MB, and thrice that with what it depends on; its libtorch_cpu.so is the one that we build with.
MODULE = """
import mformer, sys
workspace = mformer.Workspace("other")
print(mformer.version(), mformer.program().startswith(sys.prefix), workspace.init(preset="tiny", no_tokenizer=True)["command"])
"""


class WheelTest(installed.InstallTest):
    def test_a_wheel_installs_into_a_fresh_python_and_runs(self):
        run(sys.executable, "-m", "venv", self.temporary / "venv")
        python = self.temporary / "venv" / "bin" / "python"
        pip = (python, "-m", "pip", "--disable-pip-version-check", "--no-cache-dir")
        run(*pip, "wheel", "--no-index", "--no-deps", ROOT, "-w", self.temporary, f"--config-settings=build={BUILD}")
        wheel, = self.temporary.glob("mformer-*.whl")
        print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB")
        refused = run(*pip, "install", "--no-index", wheel, check=False)
        self.assertIn("torch==2.11.0", refused.stderr + refused.stdout, "it depends on the LibTorch that it was built with")
        run(*pip, "install", "--no-index", "--no-deps", wheel)
        program = self.temporary / "venv" / "bin" / "mformer"
        alone = run(program, "models", check=False)
        self.assertEqual((alone.returncode, alone.stderr.splitlines()[:1]), (1, ["error: the package 'torch', with LibTorch in it, is not there"]))
        packages = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('platlib'))").stdout.strip())
        (packages / "torch").symlink_to(installed.libtorch())
        if (installed.libtorch().parent / "nvidia").exists():
            (packages / "nvidia").symlink_to(installed.libtorch().parent / "nvidia")
        libraries = installed.resolved_libraries(installed.computing_program(packages / "mformer"))
        self.assertIn(str(packages), libraries["libtorch_cpu.so"])
        self.try_program(program)
        self.assertEqual(run(python, "-m", "mformer", "--version").stdout, run(program, "--version").stdout)
        printed = run(python, "-c", MODULE, cwd=self.temporary / "work").stdout
        self.assertEqual(printed, f"{wheel.name.split('-')[1]} True init\n", "the versions of pyproject.toml and of the program are one")
        self.try_study(python, "-m", "mformer.study")

    def test_the_package_depends_on_the_libtorch_that_the_program_is_built_with(self):
        wanted = re.search(r'"torch==([\d.]+)"', (ROOT / "pyproject.toml").read_text()).group(1)
        self.assertIn(f"torch=={wanted} ", (ROOT / "cmake" / "libtorch.txt").read_text())

    def test_a_folder_that_is_no_build_is_refused(self):
        run(sys.executable, "-m", "venv", self.temporary / "venv")
        refused = run(self.temporary / "venv" / "bin" / "python", "-m", "pip", "wheel", "--no-index", "--no-deps", ROOT, "-w", self.temporary,
                      f"--config-settings=build={self.temporary}", check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("is no build of mformer", refused.stdout + refused.stderr)


if __name__ == "__main__":
    unittest.main()
