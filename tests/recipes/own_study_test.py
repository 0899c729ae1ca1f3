"""recipes/study/study.py: what its file may say, and example.json as it is run: stopped, resumed, and with its tables."""

import csv
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "recipes/study"), str(ROOT / "tests/e2e")]

import mformer  # noqa: E402
import study_file  # noqa: E402
import study_report  # noqa: E402

PROGRAM = os.environ.get("MFORMER_BIN", ROOT / "build/release/bin/mformer")
EXAMPLE = ROOT / "recipes/study/example.json"
TIMEOUT_S = 240


class Scratch(unittest.TestCase):

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mformer-study-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.example = json.loads(EXAMPLE.read_text())

    def write(self, said, name="study.json"):
        file = self.folder / name
        file.write_text(said if isinstance(said, str) else json.dumps(said))
        return file


class TheFile(Scratch):

    def setUp(self):
        super().setUp()
        for name in ("english", "german", "code"):
            (self.folder / f"{name}.jsonl").write_text('{"text": "word"}\n')

    def read(self, **changes):
        return study_file.read(self.write({**self.example, **changes}))

    def refuse(self, says, hint="", **changes):
        with self.assertRaises(study_file.Refused) as caught:
            self.read(**changes)
        self.assertIn(says, str(caught.exception))
        self.assertIn(hint, caught.exception.hint)
        self.assertTrue(caught.exception.hint)
        self.assertNotIn("\n", str(caught.exception))

    def test_the_example_is_read_with_its_paths_from_its_own_folder(self):
        study = self.read()
        self.assertEqual([task.name for task in study.learned], ["german", "code"])
        self.assertEqual(study.tasks[1].data, (self.folder / "german.jsonl").resolve())
        self.assertEqual(study.seeds, (0, 1, 2))
        self.assertEqual(study.settings[2].options,
                         ("--steps=10", "--batch=4", "--context=64", "--lr=0.003", "--eval-every=5", "--keep-best"))

    def test_the_page_shows_the_example_as_it_is(self):
        self.assertIn(f"```json\n{EXAMPLE.read_text()}```", (ROOT / "recipes/study/README.md").read_text())

    def test_the_base_is_learned_first_wherever_it_is_in_the_list(self):
        study = self.read(base={"task": "code"})
        self.assertEqual([task.name for task in study.tasks], ["code", "english", "german"])

    def test_what_is_off_or_a_text_becomes_words_of_a_command_line(self):
        options = {"single-mask": False, "layers": "0-1", "single_mask": True, "lr": 1e-3}
        study = self.read(settings={"a": {"command": "extend", "options": options}})
        self.assertEqual(study.settings[0].options, ("--layers=0-1", "--single-mask", "--lr=0.001"))

    def test_every_mistake_is_one_sentence_with_a_hint(self):
        task = self.example["tasks"][0]
        setting = {"command": "extend"}
        for says, hint, changes in (
            ("no field 'sedes'", "'seeds'", {"sedes": 3}),
            ("'tasks' must be a list", "", {"tasks": {}}),
            ("task 1 lacks the field 'data'", "", {"tasks": [{"name": "x"}]}),
            ("there is nothing at", "folder of the study file", {"tasks": [{**task, "data": "nowhere"}]}),
            ("two tasks are called 'english'", "", {"tasks": [task, task]}),
            ("can't be 'begin'", "", {"tasks": [{**task, "name": "begin"}]}),
            ("not made of letters", "", {"tasks": [{**task, "name": "../english"}]}),
            ("which is not among 'tasks'", "english", {"base": {"task": "french"}}),
            ("nothing that a setting could learn", "", {"tasks": [task]}),
            ("needs one of 'preset'", "", {"model": {"preset": "tiny", "from": ".", "vocabulary": 400}}),
            ("need a 'tokenizer'", "vocabulary", {"model": {"preset": "tiny"}}),
            ("both 'tokenizer' and 'vocabulary'", "", {"model": {"preset": "tiny", "tokenizer": ".", "vocabulary": 4}}),
            ("the command 'extnd'", "extend", {"settings": {"a": {"command": "extnd"}}}),
            ("'settings' must be an object", "", {"settings": {}}),
            ("can't be 'base'", "", {"settings": {"base": setting}}),
            ("differ only by capitals", "", {"settings": {"a": setting, "A": setting}}),
            ("option 'seed', which the study says itself", "", {"settings": {"a": {**setting, "options": {"seed": 1}}}}),
            ("must be a number, a text", "0.3,0.5", {"settings": {"a": {**setting, "options": {"x": [1]}}}}),
            ("says how many", "", {"seeds": 0}),
            ("must be a number of seeds", "", {"seeds": []}),
            ("a seed is there twice", "", {"seeds": [1, 1]}),
            ("'eval_tokens' must be", "", {"eval_tokens": -1}),
            ("'title' must be", "", {"title": "two\nlines"}),
        ):
            with self.subTest(says=says):
                self.refuse(says, hint, **changes)

    def test_what_is_no_json_is_refused(self):
        for text in ("", "{", "[" * 100000, '{"model": NaN}', '{"model": 1, "model": 2}', "[]"):
            with self.subTest(text=text[:20]), self.assertRaises(study_file.Refused):
                study_file.read(self.write(text))
        with self.assertRaises(study_file.Refused):
            study_file.read(self.folder / "nowhere.json")


class Tables(Scratch):

    def test_latex_escapes_what_it_would_read_as_its_own(self):
        self.assertEqual(study_report.latex(["a_b", "x"], [["50 % & more", "1.0 ± 0.1"]]).splitlines()[2:5],
                         [r"a\_b & x \\", r"\midrule", r"50 \% \& more & 1.0 $\pm$ 0.1 \\"])


class TheExample(Scratch):

    def setUp(self):
        super().setUp()
        for name in ("english", "german", "code"):
            mformer.write_corpus(self.folder / name, mformer.SAMPLE / name)
            (self.folder / name / "text.jsonl").rename(self.folder / f"{name}.jsonl")
        shutil.copy(EXAMPLE, self.folder)

    def command(self, *arguments, file="example.json"):
        return [sys.executable, "-B", ROOT / "recipes/study/study.py", file, "--program", PROGRAM, *arguments]

    def run_study(self, *arguments, code=0, file="example.json"):
        done = subprocess.run(self.command(*arguments, file=file), cwd=self.folder, capture_output=True, text=True, timeout=TIMEOUT_S,
                              env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def small(self, name, **changes):
        """The example with one seed and one setting."""
        settings = {"a domain": self.example["settings"]["a domain"]}
        return self.write({**self.example, "settings": settings, "seeds": 1, **changes}, name).name

    def rows(self, name):
        with open(self.folder / name, newline="") as file:
            return list(csv.DictReader(file))

    def test_gives_tables_plots_and_numbers_that_agree(self):
        shown = self.run_study().stdout
        results = self.folder / "example-results"
        self.assertIn((results / "table.md").read_text(), shown)
        losses, summary = self.rows("example-results/losses.csv"), self.rows("example-results/summary.csv")
        self.assertEqual(len(losses), 3 * 3 * 3 * 3)  # seeds, settings, measurements, tasks
        for setting in self.example["settings"]:
            for task in ("english", "german", "code"):
                ends = [float(row["loss"]) for row in losses
                        if (row["setting"], row["task"], row["learned"]) == (setting, task, "code")]
                told = next(row for row in summary if (row["setting"], row["measure"]) == (setting, task))
                self.assertEqual(float(told["mean"]), statistics.fmean(ends))
                self.assertEqual(float(told["sd"]), statistics.stdev(ends))
                self.assertIn(f"{statistics.fmean(ends):.4f} ± {statistics.stdev(ends):.4f}", (results / "table.md").read_text())
        begin = {(row["seed"], row["task"], row["loss"]) for row in losses if row["learned"] == ""}
        self.assertEqual(len(begin), 3 * 3, "each seed has one base, which all settings begin with")
        for task in ("english", "german", "code"):
            xml.etree.ElementTree.parse(results / f"loss-{task}.svg")
        self.assertIn(r"\begin{tabular}", (results / "table.tex").read_text())
        before = (results / "losses.csv").read_bytes()
        self.assertNotIn(" s\n", self.run_study().stdout, "a second time nothing is run")
        self.assertEqual((results / "losses.csv").read_bytes(), before)

    def test_stopped_and_started_again_it_gives_the_same_numbers(self):
        file = self.small("small.json")
        self.run_study("--results", "whole", file=file)
        process = subprocess.Popen(self.command("--results", "cut", file=file), cwd=self.folder, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"})
        deadline = time.monotonic() + TIMEOUT_S
        while not list(self.folder.glob("cut/results/seed0/base/losses-*.json")) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        self.assertIn(b"goes on from here", process.communicate(timeout=TIMEOUT_S)[1])
        self.assertEqual(process.returncode, 130)
        self.run_study("--results", "cut", file=file)
        self.assertEqual((self.folder / "cut/losses.csv").read_bytes(), (self.folder / "whole/losses.csv").read_bytes())

    def test_other_data_under_the_same_name_is_another_study(self):
        file = self.small("small.json", tasks=self.example["tasks"][:2])
        self.run_study(file=file)
        before = self.rows("small-results/losses.csv")
        shutil.copy(self.folder / "code.jsonl", self.folder / "german.jsonl")
        self.run_study(file=file)
        self.assertNotEqual(self.rows("small-results/losses.csv"), before)

    def test_an_option_that_the_program_refuses_is_told_before_anything_is_run(self):
        for options, says in (({"stepz": 3}, "setting 'a': unknown option '--stepz'"), ({"steps": 0}, "setting 'a': --steps")):
            file = self.small("bad.json", settings={"a": {"command": "extend", "options": options}})
            refused = self.run_study(file=file, code=2)
            self.assertEqual([line.split(":")[0] for line in refused.stderr.splitlines()], ["error", "hint"])
            self.assertIn(says, refused.stderr)
            self.assertFalse((self.folder / "bad-results").exists())
        self.assertIn("3 settings with 3 seeds", self.run_study("--dry-run").stdout)
        missing = self.run_study("--program", "nowhere", code=2)
        self.assertIn("there is no program at", missing.stderr)
        self.assertIn("nothing was measured yet", self.run_study("--report", code=1).stderr)


if __name__ == "__main__":
    unittest.main()
