"""recipes/study: steps that are done once, samples and tables, plots, texts, and documents that change domain."""

import array
import contextlib
import json
import math
import os
import pathlib
import struct
import sys
import tempfile
import unittest
import unittest.mock
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "recipes/study"))

import plots  # noqa: E402
import runner  # noqa: E402
import switching  # noqa: E402
import texts  # noqa: E402
from program import Failed, Interrupted, Program  # noqa: E402
from tables import Goal, Sample, fill, markdown, shown  # noqa: E402
from token_bytes import TokenBytes  # noqa: E402

PROGRAM = """#!/bin/sh
case $1 in --version) echo "fake ${FAKE_VERSION:-1}"; exit;; esac
case $3 in log) printf '{"operations": [{"id": %s, "outcome": "done"}]}' $(wc -l <"$2/history"); exit;; esac
echo "$@" >>calls
case $3 in fail) echo 'error: no' >&2; exit 1;; esac
mkdir -p "$2/.mformer"; echo "$3" >>"$2/history"
case $3 in stop) trap '' TERM; kill $PPID; sleep 0.1;; esac
printf '{"said": "%s"}' "$3"
"""


class Scratch(unittest.TestCase):

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)


class Steps(Scratch):

    def setUp(self):
        super().setUp()
        self.file = self.folder / "program"
        self.file.write_text(PROGRAM)
        self.file.chmod(0o755)

    def study(self):
        study = runner.Study(Program(self.file, self.folder), self.folder)
        study.say = lambda text: None
        return study

    def calls(self):
        return [line.split()[2] for line in (self.folder / "calls").read_text().splitlines()]

    @staticmethod
    def run_steps(*names):
        return lambda chain: [chain.step(name, name)["said"] for name in names]

    def test_a_step_is_run_once_and_then_read(self):
        self.assertEqual(self.study().chain("c", self.run_steps("a", "b")), ["a", "b"])
        self.assertEqual(self.study().chain("c", self.run_steps("a", "b")), ["a", "b"])
        self.assertEqual(self.calls(), ["a", "b"])

    def test_a_stopped_chain_goes_on_with_the_step_that_failed(self):
        with self.assertRaisesRegex(Failed, "error: no"):
            self.study().chain("c", self.run_steps("a", "fail"))
        self.study().chain("c", self.run_steps("a", "b"))
        self.assertEqual(self.calls(), ["a", "fail", "b"])
        self.assertEqual((self.folder / "workspaces/c/history").read_text(), "a\nb\n")

    def test_a_step_that_was_done_when_the_study_was_stopped_is_not_done_again(self):
        with self.assertRaises(Interrupted):
            self.study().chain("c", self.run_steps("a", "stop", "b"))
        self.assertEqual(self.study().chain("c", self.run_steps("a", "stop", "b")), ["a", "stop", "b"])
        self.assertEqual(self.calls(), ["a", "stop", "b"])

    def test_a_step_that_was_done_but_not_recorded_is_never_done_on_top_of_itself(self):
        for last in (("a",), ("a", "b")):  # the chain's first step, and a later one
            with self.subTest(last=last), unittest.mock.patch("runner.json.dumps", wraps=json.dumps) as dumps:
                dumps.side_effect = lambda *parts, **how: self.killed(last[-1], *parts) or json.JSONEncoder(**how).encode(*parts)
                with self.assertRaises(KeyboardInterrupt):
                    self.study().chain(last[-1], self.run_steps(*last))
            self.study().chain(last[-1], self.run_steps(*last))
            self.assertEqual((self.folder / "workspaces" / last[-1] / "history").read_text().split(), list(last))

    @staticmethod
    def killed(step, what):
        """Where the record of this step would be written."""
        if isinstance(what, dict) and what.get("step") == step:
            raise KeyboardInterrupt

    def test_a_folder_that_no_recipe_made_is_never_removed(self):
        own = self.folder / "workspaces/c/notes.txt"
        own.parent.mkdir(parents=True)
        own.write_text("mine")
        with self.assertRaisesRegex(Failed, "was made by no recipe"):
            self.study().chain("c", self.run_steps("a"))
        self.assertEqual(own.read_text(), "mine")

    def test_a_folder_whose_making_or_removal_was_stopped_is_still_the_studys_own(self):
        work = self.folder / "workspaces" / "chain"
        work.mkdir(parents=True)
        (work / "..state.tmp").write_text("beg")
        self.study().chain("chain", self.run_steps("one"))
        (work / "more").mkdir()
        (work / "more" / "kept").write_text("x")
        with unittest.mock.patch("shutil.rmtree", side_effect=KeyboardInterrupt), self.assertRaises(KeyboardInterrupt):
            runner.remove(work)
        self.assertTrue((work / ".state").exists(), "what is left is known as made here")
        runner.remove(work)
        self.assertFalse(work.exists())

    def test_another_command_line_makes_the_chain_anew(self):
        self.study().chain("c", self.run_steps("a", "b", "c"))
        self.study().chain("c", self.run_steps("a", "x", "c"))
        self.assertEqual(self.calls(), ["a", "b", "c", "a", "x", "c"])
        self.assertEqual((self.folder / "workspaces/c/history").read_text(), "a\nx\nc\n")

    def test_another_version_of_the_program_makes_everything_anew(self):
        self.study().chain("c", self.run_steps("a"))
        os.environ["FAKE_VERSION"] = "2"
        self.addCleanup(os.environ.pop, "FAKE_VERSION")
        self.study().chain("c", self.run_steps("a"))
        self.assertEqual(self.calls(), ["a", "a"])

    def test_other_bytes_of_the_program_make_everything_anew(self):
        self.study().chain("c", self.run_steps("a"))
        self.file.write_text(PROGRAM + "# built again\n")
        self.study().chain("c", self.run_steps("a"))
        self.assertEqual(self.calls(), ["a", "a"])

    def test_a_chain_begins_with_its_parents_workspace_and_leaves_it_alone(self):
        study = self.study()
        study.chain("parent", self.run_steps("a"))
        study.chain("child", self.run_steps("b"), parent="parent")
        self.assertEqual((self.folder / "workspaces/child/history").read_text(), "a\nb\n")
        self.assertEqual((self.folder / "workspaces/parent/history").read_text(), "a\n")

    def test_a_workspace_that_is_not_kept_is_made_again_when_a_step_is_added(self):
        self.study().chain("c", self.run_steps("a"), keep=False)
        self.assertFalse((self.folder / "workspaces/c").exists())
        self.study().chain("c", self.run_steps("a"), keep=False)
        self.assertEqual(self.calls(), ["a"])
        self.study().chain("c", self.run_steps("a", "b"))
        self.assertEqual((self.folder / "workspaces/c/history").read_text(), "a\nb\n")

    def test_two_recipes_at_once_are_refused(self):
        with self.study().alone(), self.assertRaisesRegex(Failed, "another recipe"):
            with self.study().alone():
                pass

    def test_records_tell_what_was_done(self):
        self.study().chain("seed0/c", self.run_steps("a"))
        record = runner.records(self.folder)["seed0/c"]["a"]
        self.assertEqual((record["arguments"], record["result"], record["program"]), (["a"], {"said": "a"}, "fake 1"))


class Tables(unittest.TestCase):

    def test_spread_is_the_standard_deviation_of_a_sample(self):
        sample = Sample.of([1.0, None, 2.0, 3.0])
        self.assertEqual((sample.mean, sample.spread, sample.most), (2.0, 1.0, 3.0))
        self.assertIsNone(Sample.of([None]))

    def test_what_was_not_measured_is_a_dash_and_one_seed_has_no_spread(self):
        self.assertEqual(shown(None), "-")
        self.assertEqual(shown(Sample.of([0.5])), "0.500")
        self.assertEqual(shown(Sample.of([0.1, 0.3]), "{:+.2f}"), "+0.20 ± 0.14")

    def test_a_goal_of_a_mean_and_a_goal_of_every_seed(self):
        self.assertTrue(Goal("", "≤", 0.2, Sample.of([0.1, 0.3])).met)
        self.assertFalse(Goal("", "≥", 0.21, Sample.of([0.1, 0.3])).met)
        self.assertFalse(Goal("", "=", 0, Sample.of([0.0, 1e-9])).met)
        self.assertIsNone(Goal("", "≤", 1, None).met)

    def test_only_what_stands_between_the_markers_is_replaced(self):
        page = "before\n<!-- a -->\nold\n<!-- /a -->\nafter"
        self.assertEqual(fill(fill(page, {"a": "x"}), {"a": r"new \1"}),
                         "before\n<!-- a -->\nnew \\1\n<!-- /a -->\nafter")
        with self.assertRaises(ValueError):
            fill(page, {"b": ""})

    def test_a_table_has_a_line_for_each_row(self):
        self.assertEqual(markdown(["a", "b"], [["x", 1]]), "| a | b |\n| --- | --- |\n| x | 1 |")


class Plots(unittest.TestCase):

    def test_are_well_formed_and_draw_every_value(self):
        row = [Sample.of([1.0, 1.2]), None, Sample.of([-0.5])]
        for plot in (plots.lines("a < b", "y", ["1", "2", "3"],
                                 {"s & t": row}), plots.bars("t", "y", ["1", "2", "3"], {"s": row})):
            xml.etree.ElementTree.fromstring(plot)
        self.assertEqual(plots.lines("t", "y", ["1", "2", "3"], {"s": row}).count("<circle"), 2)
        self.assertEqual(plots.bars("t", "y", ["1", "2", "3"], {"s": row}).count("<rect"), 1 + 2 + 1)

    def test_equal_values_can_be_drawn(self):
        xml.etree.ElementTree.fromstring(plots.lines("t", "y", ["1"], {"s": [Sample.of([2.0])]}))


class Texts(Scratch):

    def write(self, domain, sizes):
        (self.folder / domain).mkdir()
        for number, size in enumerate(sizes):
            (self.folder / domain / f"{number}.txt").write_bytes(bytes([97 + number % 26]) * size)

    def test_a_mixture_has_the_tokens_in_proportion_and_uses_no_domain_twice(self):
        quotas = texts.quotas({"a": 2, "b": 1}, tokens={"a": 1000, "b": 300}, sizes={"a": 4000, "b": 900})
        self.assertEqual(quotas, {"a": 2400.0, "b": 900.0})

    def test_documents_for_the_vocabulary_are_training_documents_only(self):
        self.write("a", [50 + i for i in range(300)])
        texts.vocabulary_text(self.folder, ["a"], self.folder / "vocabulary")
        taken = list((self.folder / "vocabulary").iterdir())
        self.assertGreater(len(taken), 200)
        self.assertTrue(all(texts.split_number(file.read_bytes()) >= 100 for file in taken))

    def test_the_sample_becomes_many_documents(self):
        texts.copy_sample(self.folder, ["english", "qa"])
        self.assertGreater(sum(1 for _ in (self.folder / "english").iterdir()), 100)
        self.assertTrue((self.folder / "qa/pairs.jsonl").exists())


class Switching(Scratch):

    def logits(self, name, rows):
        """A file as probe writes it; rows[document][position][token]."""
        shape = [len(rows), len(rows[0]), len(rows[0][0])]
        flat = array.array("f", [value for row in rows for position in row for value in position])
        header = json.dumps({"logits": {"dtype": "F32", "shape": shape, "data_offsets": [0, 4 * len(flat)]}}).encode()
        (self.folder / name).write_bytes(struct.pack("<Q", len(header)) + header + flat.tobytes())
        return self.folder / name

    def test_regret_is_the_mixtures_loss_less_that_of_each_half_under_its_own_domain(self):
        # Six tokens, the last ends the text; halves of three. Domain a is sure of token 0, b of token 1, each only
        # where it is asked: at the position before the token.
        document = {"ids": [0, 0, 0, 1, 1, 2], "first": "a", "second": "b"}
        nothing = [0.0, 0, 0]
        a, b = [[[2.0, 0, 0]] * 2 + [nothing] * 4], [[nothing] * 2 + [[0, 2.0, 0]] * 2 + [nothing] * 2]
        half = [[[1.0, 1.0, 0]] * 6]
        files = {"a": self.logits("a", a), "b": self.logits("b", b), None: self.logits("mixture", half)}
        result = switching.regret([document], ("a", "b"), lambda domain: contextlib.nullcontext(files[domain]))
        sure = -math.log(math.exp(2) / (math.exp(2) + 2))
        unsure = -math.log(math.e / (2 * math.e + 1))
        self.assertEqual(result["tokens"], 4)
        self.assertAlmostEqual(result["known"], sure, places=6)
        self.assertAlmostEqual(result["mixture"], unsure, places=6)
        self.assertAlmostEqual(result["regret"], unsure - sure, places=6)

    def test_ids_are_written_as_probe_reads_them(self):
        switching.write_ids(self.folder / "ids", [{"ids": [1, 2]}, {"ids": [3, 4]}])
        data = (self.folder / "ids").read_bytes()
        length = struct.unpack("<Q", data[:8])[0]
        self.assertEqual(json.loads(data[8:8 + length])["input_ids"]["shape"], [2, 2])
        self.assertEqual(list(array.array("q", data[8 + length:])), [1, 2, 3, 4])

    def test_tokens_are_bytes_again(self):
        vocabulary = {"<|endoftext|>": 0, "Ġa": 1, "Ã¼": 2, "Ċ": 3}
        file = self.folder / "tokenizer.json"
        file.write_text(
            json.dumps({"model": {"vocab": vocabulary}, "added_tokens": [{"id": 0, "content": "<|endoftext|>"}]}),
            encoding="utf-8")
        tokens = TokenBytes(file)
        self.assertEqual((tokens.end, tokens.decode([1, 2, 3])), (0, " aü\n".encode()))
        self.assertTrue(tokens.begins_word(1))
        self.assertFalse(tokens.begins_word(2))


if __name__ == "__main__":
    unittest.main()
