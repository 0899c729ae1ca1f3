"""The recipes of the studies as they are run, on the sample text: stopped, resumed, and with their pages at the end."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("MFORMER_BIN", ROOT / "build/release/bin/mformer")
TIMEOUT_S = 240


def command(recipe, results, *arguments):
    return [
        sys.executable, "-B", ROOT / "recipes" / recipe / "run.py", "--quick", "--seeds", "1", "--program", PROGRAM,
        "--results", results, *arguments
    ]


def environment():
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def losses(results):
    """{step: losses of every task}, of all steps that train."""
    found = {}
    for file in sorted((results / "results").rglob("*.json")):
        record = json.loads(file.read_text())
        tasks = record["result"].get("tasks", []) if isinstance(record["result"], dict) else []
        found[f"{record['chain']}/{record['step']}"] = [{**task, "seconds": None} for task in tasks]
    return found


class Recipe(unittest.TestCase):

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mformer-study-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def run_whole(self, recipe, results, *arguments):
        done = subprocess.run(command(recipe, results, *arguments), capture_output=True, text=True, timeout=TIMEOUT_S,
                              env=environment(), check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout


class Continual(Recipe):
    BASELINES = ("--only", "naive,dense-active,joint")

    def test_killed_or_interrupted_it_goes_on_and_gives_the_same_losses(self):
        whole, cut = self.folder / "whole", self.folder / "cut"
        self.run_whole("continual", whole, *self.BASELINES)
        for number, wanted, code in ((signal.SIGKILL, "seed0/base/english.json", -9), (signal.SIGINT,
                                                                                       "seed0/naive/german.json", 130)):
            process = subprocess.Popen(command("continual", cut, *self.BASELINES), stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL, env=environment())
            while not (cut / "results" / wanted).exists() and process.poll() is None:
                time.sleep(0.005)
            process.send_signal(number)
            self.assertEqual(process.wait(TIMEOUT_S), code)
        self.assertNotIn("base/english:", self.run_whole("continual", cut, *self.BASELINES))
        self.assertEqual(losses(cut), losses(whole))
        self.assertNotIn("s]  seed0", self.run_whole("continual", cut, *self.BASELINES))

    def test_its_page_has_the_measured_losses_and_its_plots(self):
        results = self.folder / "study"
        self.run_whole("continual", results, *self.BASELINES)
        page = (results / "docs/continual.md").read_text(encoding="utf-8")
        naive = losses(results)["seed0/naive/code"]
        cells = " | ".join(f"{task['after']:.3f}" for task in naive)
        self.assertIn(f"| all parameters tuned (naive) | {cells} |", page)
        self.assertTrue((results / "docs/continual-forgetting.svg").exists())

    def test_every_method_and_every_table_is_there(self):
        results = self.folder / "study"
        self.run_whole("continual", results)
        page = (results / "docs/continual.md").read_text(encoding="utf-8")
        for line in page.splitlines():
            if line.startswith("| extend, posterior"):
                self.assertNotIn(" - |", line)
        goals = page[page.index("<!-- goals -->"):page.index("<!-- /goals -->")].splitlines()[3:]
        self.assertEqual([line for line in goals if line.endswith("| 0 | - |")], [])
        exact = [line for line in goals if "`--domain base`" in line]
        self.assertEqual([line.endswith("| yes |") for line in exact], [True, True])

    def test_an_unknown_method_is_wrong_usage(self):
        done = subprocess.run(command("continual", self.folder, "--only", "magic"), capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("unknown magic", done.stderr)


class Specialise(Recipe):

    def test_every_variant_and_every_table_is_there_and_the_base_is_shared(self):
        results = self.folder / "study"
        self.run_whole("continual", results, "--only", "naive")
        said = self.run_whole("specialise", results, "--only", "german,qa,speed")
        self.assertNotIn("seed0/base/english:", said)
        page = (results / "docs/specialisation.md").read_text(encoding="utf-8")
        variants = page[page.index("<!-- variants -->"):page.index("<!-- /variants -->")].splitlines()[3:]
        self.assertEqual(len(variants), 9)
        self.assertEqual([line for line in variants if " - |" in line], [])
        goals = page[page.index("<!-- goals -->"):page.index("<!-- /goals -->")].splitlines()[3:]
        self.assertEqual([line for line in goals if line.endswith("| 0 | - |")], [])


if __name__ == "__main__":
    unittest.main()
