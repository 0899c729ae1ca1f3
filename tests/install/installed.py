"""What the tests of installations share: an installed program is tried as on a machine that has nothing of ours."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "tests" / "data" / "sample"
BUILD = Path(os.environ.get("MFORMER_BUILD", ROOT / "build" / "release")).resolve()
# The shortest way through reading text, computing and writing a version.
FIRST_LINES = (("tokenizer", "train", "--data", "english", "--vocab-size", "300"), ("init", "--preset", "tiny", "--tokenizer", "tokenizer.json"),
               ("train", "--data", "english", "--steps", "2", "--batch", "1", "--context", "16", "--eval-tokens", "100"), ("models",), ("doctor",))


def run(*command, check=True, environment=None, **options):
    """The finished command, its text captured; without any of our variables unless `environment` has them."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MFORMER_", "LD_", "PYTHON"))}
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, env=plain if environment is None else environment, timeout=500,
                          check=False, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done


def cached(name):
    """A variable of the build's CMake cache."""
    return re.search(rf"^{name}:[A-Z]+=(.*)$", (BUILD / "CMakeCache.txt").read_text(), re.MULTILINE).group(1)


def libtorch():
    """The folder `torch` that the build uses."""
    return Path(cached("TORCH_CPU_LIBRARY")).parents[1]


def computing_program(prefix):
    """The one of the installed programs that loads LibTorch."""
    apart = Path(prefix, "libexec", "mformer", "mformer-compute")
    return apart if apart.exists() else Path(prefix, "bin", "mformer")


def resolved_libraries(program):
    """name → file that the loader takes, for every library that the program needs."""
    listed = run("ldd", program, environment={"PATH": os.environ["PATH"]}).stdout
    return dict(re.findall(r"^\s*(\S+) => (.*?)(?: \(0x[0-9a-f]+\))?$", listed, re.MULTILINE))


class InstallTest(unittest.TestCase):
    def setUp(self):
        self.temporary = Path(tempfile.mkdtemp(prefix="mformer-install-"))
        self.addCleanup(shutil.rmtree, self.temporary, ignore_errors=True)

    def try_study(self, *study):
        """A study of one setting and one seed, of which the second call finds all done."""
        folder = self.temporary / "study"
        folder.mkdir()
        (folder / "text.jsonl").write_text("".join(json.dumps({"text": f"{number} bottles of beer on the wall. " * 4}) + "\n" for number in range(60)))
        options = {"steps": 1, "batch": 1, "context": 16}
        (folder / "mine.json").write_text(json.dumps({
            "title": "Bottles", "model": {"preset": "tiny", "vocabulary": 270}, "tasks": [{"name": "beer", "data": "text.jsonl"}],
            "settings": {"all weights": {"command": "train", "options": options}}, "seeds": 1, "eval_tokens": 100}))
        printed = run(*study, "mine.json", cwd=folder).stdout
        self.assertIn("all weights", printed)
        self.assertTrue((folder / "mine-results" / "losses.csv").exists())
        self.assertIn("all weights", run(*study, "mine.json", cwd=folder).stdout)
        refused = run(*study, "none.json", check=False, cwd=folder)
        self.assertEqual((refused.returncode, refused.stderr.splitlines()[0][:7]), (2, "error: "), refused)

    def try_program(self, *program, folder=None):
        """Runs it without any environment, through the first commands of a workspace. `program` may begin with chroot."""
        folder = folder or self.temporary / "work"
        shutil.copytree(SAMPLE / "english", folder / "english")
        for line in FIRST_LINES:
            run(*program, *line, cwd=folder, environment={})
