"""eval --tasks: questions with choices and without, held against log-probabilities of probe."""

import json
import math
import os
import resource
import signal
import unittest

import mformer
import tensors

CONTEXT = 64  # of the preset tiny
CHOICES = [
    {"question": "In the beginning", "choices": ["God created", "of the earth, which was without form", "light"], "answer": 0},
    {"prompt": "And God said, ", "choices": ["let there be", "xyzzy", "Let There Be", "no"], "answer": "B"},
    {"prompt": "A" * 150, "choices": ["longer than the context", "as it is"], "answer": "as it is"},
]
WRITTEN = [{"prompt": "And the evening and the", "answer": "morning"}, {"prompt": "x", "answer": "y"}]


def log_softmax(row):
    most = max(row)
    return [x - most - math.log(sum(math.exp(y - most) for y in row)) for x in row]


class Questions(mformer.EndToEndTest):
    def write(self, work, questions, name="questions.jsonl"):
        (work / name).write_text("".join(json.dumps(one) + "\n" for one in questions))
        return name

    def ids(self, work, text):
        return [int(id) for id in work.run("tokenizer", "encode", stdin=text.encode()).out.split()]

    def log_prob(self, work, prompt, answer):
        """By the definition: the tokens of the whole text after those of the prompt, by one pass over them."""
        stripped = prompt.rstrip()
        ids = self.ids(work, prompt + " " + answer)
        first = len(self.ids(work, stripped))
        dropped = max(0, len(ids) - CONTEXT - 1)
        ids, first = ids[dropped:], max(1, first - dropped)
        tensors.write(work / "ids.safetensors", {"input_ids": tensors.Tensor([1, len(ids)], ids)})
        work.run("probe", "--input", "ids.safetensors", "--out", "out.safetensors")
        logits = tensors.read(work / "out.safetensors")["logits"]
        vocabulary = logits.shape[2]
        rows = [log_softmax(logits.values[t * vocabulary:(t + 1) * vocabulary]) for t in range(len(ids))]
        return sum(rows[t - 1][ids[t]] for t in range(first, len(ids)))

    def log(self, work, *arguments):
        result = work.run("eval", "--tasks", "questions.jsonl", "--log", "log.jsonl", "--json", *arguments).json
        return result, [json.loads(line) for line in (work / "log.jsonl").read_text().splitlines()]

    def check(self, work):
        self.write(work, CHOICES)
        result, lines = self.log(work)
        right = normalised = 0
        for question, line in zip(CHOICES, lines, strict=True):
            prompt = question.get("prompt") or f"Question: {question['question']}\nAnswer:"
            expected = [self.log_prob(work, prompt, choice) for choice in question["choices"]]
            for ours, theirs in zip(line["log_probs"], expected, strict=True):
                self.assertAlmostEqual(ours, theirs, delta=1e-3)  # sums of up to 40 of them, float32
            correct = {"B": 1, "as it is": 1}.get(question["answer"], 0)
            by_length = [p / len(choice) for p, choice in zip(expected, question["choices"])]
            self.assertEqual((line["chosen"], line["chosen_normalised"]),
                             (expected.index(max(expected)), by_length.index(max(by_length))))
            self.assertEqual((line["right"], line["right_normalised"]),
                             (line["chosen"] == correct, line["chosen_normalised"] == correct))
            right, normalised = right + line["right"], normalised + line["right_normalised"]
        for name, hits in (("accuracy", right), ("accuracy_normalised", normalised)):
            mean = hits / 3
            self.assertAlmostEqual(result[name]["mean"], mean)
            self.assertAlmostEqual(result[name]["standard_error"], math.sqrt(mean * (1 - mean) / 2))
        self.assertIsNone(result["exact_match"])
        self.assertGreaterEqual(result["cut"], 2)

    def test_choices_are_scored_as_one_pass_over_each_text_scores_them(self):
        self.check(self.workspace())

    def test_of_a_model_with_domains_by_the_mixture(self):
        work = self.workspace()
        work.run("extend", "--data", "german", "--steps", "6", *mformer.QUICK)
        self.check(work)
        base, _ = self.log(work, "--domain", "base")
        plain, _ = self.log(work, "--model", "base@2")
        self.assertEqual(base["accuracy"], plain["accuracy"])

    def test_examples_stand_before_each_question_and_are_read_once(self):
        work = self.workspace()
        self.write(work, [{"prompt": "ab", "choices": ["c", "d"], "answer": 0}, {"prompt": "ef", "choices": ["g", "h"], "answer": 1}])
        _, shots = self.log(work, "--shots", "2", "--shots-from", "questions.jsonl")
        text = "ab c\n\nef h\n\n"
        self.write(work, [{"prompt": text + "ab", "choices": ["c", "d"], "answer": 0},
                          {"prompt": text + "ef", "choices": ["g", "h"], "answer": 1}])
        result, whole = self.log(work)
        for one, other in zip(shots, whole, strict=True):
            for a, b in zip(one["log_probs"], other["log_probs"], strict=True):
                self.assertAlmostEqual(a, b, delta=1e-4)
        self.assertLess(result["tokens_read"], result["tokens"] / 2)

    def test_an_answer_without_choices_is_written_and_compared(self):
        work = self.workspace()
        self.write(work, WRITTEN)
        result, lines = self.log(work, "--max-answer-tokens", "8")
        for line, question in zip(lines, WRITTEN, strict=True):
            generated = work.run("generate", "--prompt", question["prompt"], "--temperature", "0", "--max-tokens", "8", "--dtype",
                                 "float32", "--json").json["text"]
            self.assertEqual(line["answer"], generated.split("\n")[0].strip())
        self.write(work, [{**question, "answer": f"  {line['answer']} "} for question, line in zip(WRITTEN, lines)])
        result, _ = self.log(work, "--max-answer-tokens", "8")
        self.assertEqual(result["exact_match"]["mean"], 1)
        self.assertIsNone(result["accuracy"])

    def test_the_table_says_what_was_measured(self):
        work = self.workspace()
        self.write(work, CHOICES + WRITTEN)
        out = work.run("eval", "--tasks", "questions.jsonl", "--limit", "4").out
        for says in ("accuracy ", "accuracy by length", "exact match", "their beginning was left out"):
            self.assertIn(says, out)

    def test_bad_files_and_options_are_refused_and_nothing_is_replaced(self):
        work = self.workspace()
        self.write(work, CHOICES)
        (work / "own.txt").write_text("mine")
        run = ("eval", "--tasks", "questions.jsonl")
        for more, code, says in (
                (("--task", "english"), 2, "measures no text"), (("--max-tokens", "5"), 2, "measures no text"),
                (("--matrix",), 2, "measure different things"), (("--shots", "2"), 2, "belong together"),
                (("--shots-from", "questions.jsonl"), 2, "belong together"), (("--log", "no/where"), 2, "there is no folder"),
                (("--log", "own.txt"), 1, "nothing else is ever replaced"), (("--domain", "german"), 2, "german"),
                (("--shots", "9", "--shots-from", "questions.jsonl"), 2, "has 3 questions")):
            with self.subTest(more=more):
                work.refuses(*run, *more, code=code, says=says)
        self.assertEqual((work / "own.txt").read_text(), "mine")
        work.refuses("eval", "--shots", "1", code=2, says="belong to --tasks")
        work.refuses("eval", "--tasks", "none.jsonl", code=1, says="none.jsonl")
        (work / "questions.jsonl").write_text('{"prompt": "\x1b[31m", "answer": 3}\n')
        work.refuses(*run, code=1, says="line 1")
        (work / "log.jsonl").write_text('{"line":1,"answer":"old"}\n')
        self.write(work, WRITTEN[:1])
        work.run(*run, "--log", "log.jsonl")
        self.assertNotIn("old", (work / "log.jsonl").read_text())

    def test_a_log_that_can_not_be_written_takes_no_figures_with_it(self):
        work = self.workspace()
        self.write(work, CHOICES * 20)
        small = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        result = work.run("eval", "--tasks", "questions.jsonl", "--log", "log.jsonl", "--limit", "60", prepare=small, code=1)
        self.assertIn("accuracy", result.out)
        self.assertIn("log.jsonl", result.err)
        self.assertFalse((work / "log.jsonl").exists())

    def test_a_prompt_of_spaces_begins_a_document(self):
        work = self.workspace()
        self.write(work, [{"prompt": "  ", "choices": ["God", "zzz"], "answer": 0}])
        _, (line,) = self.log(work)
        self.assertTrue(all(p < 0 for p in line["log_probs"]), line)

    def test_ctrl_c_ends_it_without_a_log(self):
        work = self.workspace()
        self.write(work, CHOICES * 2000)
        process = work.start("eval", "--tasks", "questions.jsonl", "--log", "log.jsonl")
        while b"questions" not in os.read(process.stderr.fileno(), 4096):
            pass
        process.send_signal(signal.SIGINT)
        process.communicate()
        self.assertEqual(process.returncode, 130)
        self.assertFalse((work / "log.jsonl").exists())


if __name__ == "__main__":
    unittest.main()
