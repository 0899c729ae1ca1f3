"""The module `mformer` with the program as it is built."""

import os
import signal
import subprocess
import sys
import threading
import time
import types
import unittest
from unittest import mock

import installed

sys.path.insert(0, str(installed.ROOT / "python"))
sys.path.insert(0, str(installed.ROOT / "tests" / "e2e"))
import mformer as endtoend  # noqa: E402  the helper of the end-to-end tests has the same name

del sys.modules["mformer"]
sys.path.remove(str(installed.ROOT / "tests" / "e2e"))
import mformer  # noqa: E402
from mformer.workspace import options_of  # noqa: E402

QUICK = {"steps": 2, "batch": 2, "context": 32, "eval_tokens": 600}


class PythonModuleTest(endtoend.EndToEndTest):
    def opened(self, **settings):
        folder = self.workspace()
        return folder, mformer.Workspace(folder.path, threads=1, **settings)

    def test_commands_return_what_json_prints(self):
        folder, workspace = self.opened()
        self.assertEqual(workspace.models(), folder.run("models", "--json").json)
        report = workspace.extend(data=folder / "german", **QUICK)
        self.assertEqual((report["command"], report["dry_run"]), ("extend", False))
        self.assertEqual(workspace.diff("base@2", "base@3")["nothing_old_changed"], True)
        self.assertEqual(workspace.inspect.modules("born=extend:german")["command"], "inspect modules")
        self.assertEqual(workspace.eval(task=["english", "german"], max_tokens=100)["command"], "eval")
        self.assertEqual(workspace.log()["operations"], folder.run("log", "--json").json["operations"])

    def test_a_version_that_does_not_hold_is_an_answer_and_no_error(self):
        folder, workspace = self.opened()
        workspace.train(data=folder / "english", lr=1.0, **QUICK)
        self.assertIs(workspace.verify("base@3", against="base@2")["holds"], False)
        self.assertIs(workspace.verify("base@2", against="base@2")["holds"], True)
        with self.assertRaises(mformer.UsageError):
            workspace.verify("nothing", against="base@2")

    def test_each_call_runs_the_program_once(self):
        _, workspace = self.opened()
        before = len(workspace.log()["operations"])
        workspace.freeze("layer=0")
        self.assertEqual(len(workspace.log()["operations"]), before + 1)

    def test_refusals_are_exceptions_with_sentence_hint_and_exit_code(self):
        _, workspace = self.opened()
        with self.assertRaises(mformer.UsageError) as caught:
            workspace.eval(task="qu")
        self.assertIn("no task 'qu'", caught.exception.message)
        self.assertIn("english", caught.exception.hint)
        self.assertEqual(caught.exception.exit_code, 2)
        with self.assertRaises(mformer.UsageError):
            workspace.exend(data="german")
        with self.assertRaises(mformer.UsageError):
            workspace.extend(dta="german")
        with self.assertRaises(mformer.Error) as caught:
            mformer.Workspace(self.temporary).models()
        self.assertEqual((caught.exception.exit_code, isinstance(caught.exception, mformer.UsageError)), (1, False))
        with mock.patch.dict(os.environ, {"MFORMER_BIN": ""}), mock.patch("shutil.which", return_value=None), self.assertRaises(mformer.Error) as caught:
            workspace.models()
        self.assertIn("pip", caught.exception.hint)

    def test_tab_finds_commands_and_a_home_folder_is_found(self):
        _, workspace = self.opened()
        self.assertLessEqual({"extend", "import_", "man_pages", "path", "run"}, set(dir(workspace)))
        with mock.patch.dict(os.environ, {"MFORMER_BIN": "/nothing/there"}):
            self.assertIn("run", dir(workspace))
        self.assertEqual(mformer.Workspace("~/x").path, os.path.expanduser("~/x"))

    def test_options_stand_as_on_a_command_line(self):
        self.assertEqual(options_of({"steps": 3, "lr": 1e-3, "dry_run": True, "equal": False, "into": None, "from_": "x", "stop": ["a", "[b]"]}),
                         ["--steps=3", "--lr=0.001", "--dry-run", "--from=x", "--stop=a", "--stop=[b]"])

    def test_text_goes_in_and_comes_out_whatever_it_is(self):
        _, workspace = self.opened()
        text = "-- [x] 'quoted' äöü 漢字 --json"
        ids = workspace.tokenizer.encode(text=text)["answer"]
        self.assertEqual(ids, workspace.tokenizer.encode(stdin=text)["answer"])
        self.assertEqual(workspace.tokenizer.decode(stdin=" ".join(map(str, ids)))["text"], text)
        with self.assertRaises(mformer.UsageError):
            workspace.use("--help")

    def test_an_interrupt_is_passed_on_and_the_work_is_saved(self):
        folder, workspace = self.opened()
        before = set((folder / ".mformer" / "runs").glob("*/metrics.jsonl"))

        def interrupt():
            while not set((folder / ".mformer" / "runs").glob("*/metrics.jsonl")) - before:
                time.sleep(0.02)
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt, daemon=True).start()
        with self.assertRaises(mformer.Interrupted) as caught:
            workspace.train(data=folder / "english", **{**QUICK, "steps": 1000000})
        self.assertEqual(caught.exception.exit_code, 130)
        self.assertIn("is saved", caught.exception.message)

    def test_the_work_ends_with_who_asked_for_it(self):
        folder, _ = self.opened()
        options = {**QUICK, "steps": 1000000}
        program = f"import mformer; mformer.Workspace({str(folder.path)!r}).train(data={str(folder / 'english')!r}, **{options!r})"
        before = set((folder / ".mformer" / "runs").glob("*/metrics.jsonl"))
        caller = subprocess.Popen([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
        deadline = time.monotonic() + 60
        while not (begun := set((folder / ".mformer" / "runs").glob("*/metrics.jsonl")) - before) and time.monotonic() < deadline:
            time.sleep(0.02)
        caller.kill()
        caller.wait()
        run = begun.pop().parent
        while not (run / "snapshot.safetensors").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertTrue((run / "snapshot.safetensors").exists(), "it was told to stop, and saved")
        operations = mformer.Workspace(folder.path).log(limit=1)["operations"]
        while operations[0]["outcome"] == "running" and time.monotonic() < deadline:
            time.sleep(0.05)
            operations = mformer.Workspace(folder.path).log(limit=1)["operations"]
        self.assertEqual(operations[0]["outcome"], "interrupted")

    def test_frames_have_a_row_for_each_object(self):
        _, workspace = self.opened()
        made = types.SimpleNamespace(json_normalize=lambda rows: ("frame", rows))
        with mock.patch.dict(sys.modules, {"pandas": made}):
            result = workspace.models()
            self.assertEqual(result.frame(), ("frame", result["models"]))
            self.assertEqual(result.frame("models"), ("frame", result["models"]))
            for field in ("version", "nothing"):
                with self.assertRaises(mformer.UsageError) as caught:
                    result.frame(field)
                self.assertIn("models", caught.exception.hint)
        with mock.patch.dict(sys.modules, {"pandas": None}), self.assertRaises(mformer.Error) as caught:
            workspace.models().frame()
        self.assertEqual(caught.exception.hint, "pip install pandas")

    def test_progress_is_shown_where_it_is_wanted(self):
        folder, workspace = self.opened(progress=True)
        with mock.patch("sys.stderr") as shown:
            workspace.train(data=folder / "english", **QUICK)
        self.assertIn("validation loss", "".join(call.args[0] for call in shown.write.call_args_list))


if __name__ == "__main__":
    unittest.main()
