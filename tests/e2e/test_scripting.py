"""What scripts and people of habit expect: tables for other programs, help and version as words, defaults from files."""

import csv
import io
import os
import subprocess
import unittest
from pathlib import Path

import mformer

TABLES = (("models",), ("log",), ("tasks",), ("tag",), ("inspect", "modules"), ("inspect", "lineage"), ("eval", "--max-tokens", "100"),
          ("eval", "--matrix", "--max-tokens", "100"), ("diff", "base@1", "base@2"))


class FormatTest(mformer.EndToEndTest):
    def test_tables_are_given_as_csv_markdown_and_latex(self):
        work = self.workspace()
        work.run("tag", "first", "base@1")
        for line in TABLES[:7]:
            with self.subTest(command=line):
                rows = list(csv.reader(io.StringIO(work.run(*line, "--format", "csv").out.split("\n\n")[0])))
                self.assertEqual(len({len(row) for row in rows}), 1, rows)
                self.assertGreater(len(rows), 1)
                self.assertTrue(all(row.startswith("| ") or row.startswith("|--") or row == "" for row in
                                    work.run(*line, "--format", "md").out.splitlines()))
                tex = work.run(*line, "--format", "tex").out
                self.assertEqual(tex.count("\\begin{tabular}"), tex.count("\\end{tabular}"))
        self.assertIn("english", work.run("tasks", "--format", "csv").out)

    def test_what_can_not_be_given_is_refused(self):
        work = self.workspace()
        work.refuses("models", "--format", "xml", code=2, says="xml", hint="csv, md or tex")
        work.refuses("models", "--format", "csv", "--json", code=2, says="--json")
        work.refuses("use", "base", "--dry-run", "--format", "csv", code=2, says="no table", hint="--json")

    def test_tables_fit_a_terminal_of_eighty_columns(self):
        work = self.workspace()
        work.run("tag", "first", "base@1")
        plain = mformer.environment(TERM="vt100", NO_COLOR="1", LANG="C")
        for line in TABLES:
            with self.subTest(command=line):
                for row in work.on_terminal(*line, environment=plain).splitlines():
                    self.assertLessEqual(len(row.rstrip("\r")), 80, row)


class WordsTest(mformer.EndToEndTest):
    def words(self, *arguments, code=0):
        done = subprocess.run([Path(mformer.BINARY).resolve(), *arguments], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, code, done)
        return done.stdout + done.stderr

    def test_help_and_version_are_words_too(self):
        self.assertEqual(self.words("help"), self.words("--help"))
        self.assertEqual(self.words("help", "extend"), self.words("extend", "--help"))
        self.assertEqual(self.words("help", "inspect", "routing"), self.words("inspect", "routing", "--help"))
        for line in (("version",), ("-V",)):
            self.assertEqual(self.words(*line), self.words("--version"))
        self.assertIn("did you mean 'extend'", self.words("help", "extnd", code=2))
        self.assertIn("no model or version 'help'", self.workspace().run("use", "help", code=2).err)

    def test_options_for_experts_are_shown_when_asked_for(self):
        common, all_of_them = self.words("extend", "--help"), self.words("extend", "--help-all")
        for option in ("--penalty", "--review-steps", "--weight-decay"):
            self.assertNotIn(option, common)
            self.assertIn(option, all_of_them)
        for option in ("--data", "--steps", "--experts", "--single-mask"):
            self.assertIn(option, common)
        self.assertIn("more options, for experts: --help-all", common)
        self.assertNotIn("more options", all_of_them)
        self.assertNotIn("--help-all", self.words("models", "--help"))


class ConfigTest(mformer.EndToEndTest):
    def run_with(self, work, user, workspace, *arguments, code=0):
        folder = self.temporary / "user" / "mformer"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config").write_text(user)
        (work / ".mformer" / "config").write_text(workspace)
        done = subprocess.run(mformer.command_line(arguments), cwd=work.path, capture_output=True, check=False,
                              env=mformer.environment(XDG_CONFIG_HOME=str(folder.parent)))
        result = mformer.Result(done)
        self.assertEqual(result.code, code, result)
        return result

    def test_files_set_defaults_and_the_command_line_wins(self):
        work = self.workspace()
        user, here = "# mine\nlog.limit = 1\nseed = 7\n", "log.limit = 2\n\ntrain.steps=3 \n"
        work.run("tag", "first", "base@1")
        self.assertEqual(len(self.run_with(work, user, "", "log", "--json").json["operations"]), 1)
        self.assertEqual(len(self.run_with(work, user, here, "log", "--json").json["operations"]), 2)
        self.assertEqual(len(self.run_with(work, user, here, "log", "-n", "3", "--json").json["operations"]), 3)
        self.assertIn("default: 3", self.run_with(work, user, here, "train", "--help").out)
        self.run_with(work, user, here, "train", "--data", "english", *mformer.QUICK)
        newest = self.run_with(work, "", "", "log", "-n", "1", "--json").json["operations"][0]
        self.assertEqual((newest["seed"], newest["arguments"]["steps"]), (7, 3))
        self.assertEqual(len(self.run_with(work, "quiet = true\n", "", "models").err), 0)

    def test_flags_and_what_must_be_given_can_be_set_too(self):
        work = self.workspace()
        keep = self.run_with(work, "", "prune.keep = 0.5\nprune.task = english\n", "prune", "--dry-run", "--json").json
        self.assertEqual(keep["command"], "prune")
        for value in ("true", "false"):
            self.assertEqual("script" in self.run_with(work, "", f"log.script = {value}", "log", "--json").json, value == "true")
        work.check_refusal(self.run_with(work, "", "eval.fast = maybe", "models", code=2), says="'maybe' is no value")
        self.run_with(work, "", "", "models")

    def test_a_bad_line_is_named_with_its_file(self):
        work = self.workspace()
        for text, says in (("\nsteps", "line 2: a line without '='"), ("stpes = 2", "there is no option 'stpes'"), ("trian.steps = 2", "'trian'"),
                           ("train.stpes = 2", "'train.stpes'"), ("train.steps = many", "'many' is no value of --steps"),
                           ("json = true", "--json can't be set"), ("workspace = /x", "--workspace can't be set"), ("= 2", "no option"),
                           (". = 2", "no option"), ("help = true", "--help can't be set"), ("inspect x.y = 1", "'x'")):
            with self.subTest(line=text):
                work.check_refusal(self.run_with(work, "", text, "models", code=2), says=says)
                of_user = self.run_with(work, text, "", "models", code=2).err
                self.assertIn("config, line", of_user)
                self.assertNotRegex(of_user.splitlines()[-1], "workspace|json", "what no file may set is no hint")

    def test_what_is_no_file_of_defaults_stops_no_command_for_good(self):
        work = self.workspace()
        file = work / ".mformer" / "config"
        refusal = {"code": 2, "says": "config is no file of defaults", "hint": "move it away"}
        os.mkfifo(file)
        work.refuses("models", **refusal)
        file.unlink()
        file.mkdir()
        work.refuses("models", **refusal)
        file.rmdir()
        with open(file, "wb") as large:
            large.truncate(1 << 32)
        work.refuses("models", **refusal)
        file.unlink()
        work.run("models")


if __name__ == "__main__":
    unittest.main()
