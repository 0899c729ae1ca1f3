"""eval --tasks and EleutherAI's lm-evaluation-harness: the same questions of the same model, scored the same.

The harness lies in a Python of its own (recipes/interop/harness.sh), which is given what to ask and answers in JSON."""

import json
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

import interop
import mformer
import torch
import transformers
from transformers import AutoModelForCausalLM

HERE = Path(__file__).resolve().parent
HARNESS = subprocess.run([HERE.parents[1] / "recipes" / "interop" / "harness.sh", "--if-there"], capture_output=True, text=True)
# float32 on both sides, sums of some tens of log-probabilities in another order.
TOLERANCE = 1e-3
CONFIG = {"vocab_size": 400, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
          "num_key_value_heads": 2, "max_position_embeddings": 96, "bos_token_id": 0, "eos_token_id": 0,
          "initializer_range": 0.3, "tie_word_embeddings": True}
WORDS = "light of the void And evening earth waters In beginning day night good heaven firmament".split()


def questions(count, start):
    """Of words of the tokenizer's text, some with a prompt that ends in spaces or is longer than the context."""
    for i in range(start, start + count):
        word = lambda k: WORDS[(7 * i + 3 * k + i * k) % len(WORDS)]
        prompt = " ".join(word(k) for k in range(2 + i % 7)) + ("  " if i % 5 == 4 else "")
        if i % 6 == 5:
            prompt = (prompt + " ") * 30 + prompt.strip()
        yield {"prompt": prompt, "choices": [word(9), f"{word(10)} {word(11)}", f"{word(12)}, {word(8)} é"], "answer": i % 3}


@unittest.skipIf(HARNESS.returncode != 0, "there is no Python with lm_eval; ./recipes/interop/harness.sh makes one")
class HarnessTest(mformer.EndToEndTest, interop.InteropTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        interop.InteropTest.setUpClass()

    def started(self):
        work = self.workspace()
        torch.manual_seed(4)
        config = transformers.AutoConfig.for_model("llama", **CONFIG)
        AutoModelForCausalLM.from_config(config).eval().save_pretrained(work / "published")
        work.run("import", "published", "--name", "m", "--tokenizer", "tokenizer.json")
        work.run("use", "m")
        work.run("export", "out")
        return work

    def write(self, work, name, lines):
        (work / name).write_text("".join(json.dumps(line) + "\n" for line in lines))

    def ours(self, work, *arguments):
        result = work.run("eval", "--tasks", "questions.jsonl", "--log", "log.jsonl", "--json", *arguments).json
        return result, [json.loads(line) for line in (work / "log.jsonl").read_text().splitlines()]

    def theirs(self, work, **how):
        asked = {"model": "out", "questions": "questions.jsonl", **how}
        done = subprocess.run([HARNESS.stdout.strip(), "-B", HERE / "harness_answers.py", json.dumps(asked)], cwd=work.path,
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])
        return json.loads(done.stdout.splitlines()[-1])

    def check_choices(self, work, *arguments, **how):
        result, lines = self.ours(work, *arguments)
        theirs = self.theirs(work, kind="multiple_choice", **how)
        for line, sample in zip(lines, theirs["samples"], strict=True):
            for a, b in zip(line["log_probs"], sample, strict=True):
                self.assertAlmostEqual(a, b, delta=TOLERANCE)
        for ours, name in (("accuracy", "acc"), ("accuracy_normalised", "acc_norm")):
            self.assertAlmostEqual(result[ours]["mean"], theirs["results"][name], places=9)
            self.assertAlmostEqual(result[ours]["standard_error"], theirs["results"][name + "_stderr"], places=9)
        return result

    def test_choices_have_the_same_log_probabilities_accuracies_and_errors(self):
        work = self.started()
        self.write(work, "questions.jsonl", questions(60, 0))
        result = self.check_choices(work)
        self.assertGreater(result["cut"], 0)
        self.assertTrue(0 < result["accuracy"]["mean"] < 1)
        lines = [json.loads(line) for line in (work / "log.jsonl").read_text().splitlines()]
        self.assertTrue(any(line["chosen"] != line["chosen_normalised"] for line in lines))

    def test_so_they_have_after_examples(self):
        work = self.started()
        self.write(work, "questions.jsonl", questions(30, 100))
        self.write(work, "examples.jsonl", questions(5, 0))
        self.check_choices(work, "--shots", "3", "--shots-from", "examples.jsonl", shots=3, examples="examples.jsonl")

    def test_written_answers_are_the_same(self):
        work = self.started()
        self.write(work, "questions.jsonl", ({"prompt": one["prompt"], "answer": "x"} for one in questions(20, 0)))
        _, lines = self.ours(work, "--max-answer-tokens", "12")
        theirs = self.theirs(work, kind="generate_until", tokens=12)
        written = [line["answer"] for line in lines]
        self.assertEqual(written, [sample.strip() for sample in theirs["samples"]])
        self.assertTrue(any(written))
        self.write(work, "questions.jsonl", ({"prompt": one["prompt"], "answer": answer if i % 2 and answer else "another"}
                                             for i, (one, answer) in enumerate(zip(questions(20, 0), written))))
        result, _ = self.ours(work, "--max-answer-tokens", "12")
        theirs = self.theirs(work, kind="generate_until", tokens=12)["results"]
        self.assertAlmostEqual(result["exact_match"]["mean"], theirs["exact_match"], places=9)
        self.assertAlmostEqual(result["exact_match"]["standard_error"], theirs["exact_match_stderr"], places=9)


if __name__ == "__main__":
    unittest.main()
