import json
import unittest

import mformer
import tensors

EXTEND = ("extend", "--data", "german", "--steps", "6", *mformer.QUICK)
LEARNED = ("extend", "--data", "german", "--steps", "60", "--lr", "0.02", "--batch", "4", "--context", "64", "--eval-tokens",
           "600")
IDS = {"input_ids": tensors.Tensor([2, 24], [7 * i % 200 for i in range(48)])}


class DomainsTest(mformer.EndToEndTest):
    def extended(self):
        work = self.workspace()
        self.made = work.run(*EXTEND, "--json").json
        tensors.write(work / "ids.safetensors", IDS)
        return work

    def logits(self, work, *arguments):
        work.run("probe", "--input", "ids.safetensors", "--out", "out.safetensors", *arguments)
        return tensors.read(work / "out.safetensors")["logits"]

    def test_extend_makes_a_domain_and_prints_the_bound_of_every_rise(self):
        work = self.extended()
        self.assertEqual(self.made["domain"], "german")
        for task in self.made["tasks"]:
            self.assertLessEqual(task["change"], task["bound"], task["task"])
        shown = work.run("eval", "--task", "english", "--max-tokens", "600").out
        self.assertIn("by base", shown)
        self.assertIn("by german", shown)

    def hostile_texts(self, work):
        """Folders of documents that speak for one hypothesis where they begin, and go on as another's."""
        words = {name: " ".join(json.loads(line)["text"] for line in (work / name / "text.jsonl").read_text().splitlines())
                 .split() for name in ("english", "german")}

        def piece(name, number, length):
            first = number * length % (len(words[name]) - length)
            return " ".join(words[name][first:first + length])

        texts = {"openings": [], "lines": [], "short": [], "prompts": []}
        for i in range(160):  # about one in twenty is held out
            texts["openings"].append({"text": " ".join(
                piece("german", 7 * i + j, 4) + " " + piece("english", 7 * i + j, 16) for j in range(7))})
            texts["lines"].append({"text": "\n".join(
                piece(("english", "german")[j % 2], 8 * i + j, 8) for j in range(8))})
            texts["short"].append({"text": piece(("english", "german")[i % 2], i, 5)})
            texts["prompts"].append({"prompt": piece("german", i, 10), "completion": " " + piece("english", i, 10)})
        for name, documents in texts.items():
            (work / name).mkdir()
            (work / name / "text.jsonl").write_text("".join(json.dumps(one) + "\n" for one in documents))
        return list(texts)

    def test_no_hostile_text_rises_by_more_than_what_is_printed(self):
        work = self.workspace()
        work.run(*LEARNED)
        fast_rises = []
        for folder in self.hostile_texts(work):
            evaluate = ("eval", "--data", folder, "--context", "64")
            row = work.run(*evaluate, "--json").json["tasks"][0]
            before = work.run(*evaluate, "--model", "base@2", "--json").json["tasks"][0]["loss"]
            self.assertLessEqual(row["loss"], before + row["bound"], folder)
            self.assertAlmostEqual(row["base_loss"], before, delta=1e-9, msg=folder)
            self.assertAlmostEqual(row["rise"], row["loss"] - row["base_loss"], delta=1e-9)
            shown = work.run(*evaluate).out.splitlines()[3].split()
            self.assertLessEqual(float(shown[4]), float(shown[5]), shown)
            fast = work.run(*evaluate, "--fast", "--json").json
            self.assertEqual((fast["mode"], fast["tasks"][0]["bound"]), ("fast", None))
            if folder != "prompts":  # there a hypothesis that rests may be one that the answers lose by
                self.assertGreaterEqual(fast["tasks"][0]["loss"], row["loss"] - 1e-5)
            fast_rises.append(fast["tasks"][0]["loss"] - row["loss"])
        self.assertGreater(max(fast_rises), 1e-4, "no hypothesis rested: the texts are not hostile")

    def test_the_fast_mode_says_that_it_has_no_bound_and_is_refused_where_nothing_can_rest(self):
        work = self.extended()
        shown = work.run("eval", "--task", "english", "--max-tokens", "600", "--fast").out
        self.assertIn("no bound against the base", shown)
        self.assertNotIn("at most", shown)
        work.refuses("eval", "--fast", "--domain", "base", code=2, says="--domain")
        work.refuses("eval", "--fast", "--model", "base@2", code=2, says="only one model", hint="--fast")
        work.refuses("eval", "--fast", "--matrix", code=2, says="--fast", hint="leave")
        exact = work.run("eval", "--task", "english", "--max-tokens", "600", "--exact", "--json").json
        self.assertEqual(exact, work.run("eval", "--task", "english", "--max-tokens", "600", "--json").json)

    def test_generate_says_how_far_it_can_be_from_all_hypotheses(self):
        work = self.workspace()
        work.run(*LEARNED)
        made = work.run("generate", "--prompt", "And the LORD said unto them, Go ye into the city", "--max-tokens", "10")
        self.assertRegex(made.err, r"of 2 hypotheses ran to the end: .* at most 0\.\d{4} nats")
        made = work.run("generate", "--prompt", "And the LORD said unto them", "--max-tokens", "10", "--json").json
        self.assertEqual(made["mode"], "fast")
        self.assertTrue(0 <= made["bound"] < 0.01, made["bound"])
        plain = work.run("generate", "--model", "base@2", "--max-tokens", "3", "--json").json
        self.assertNotIn("bound", plain)

    def test_the_base_is_the_parent_bit_for_bit(self):
        work = self.extended()
        parent = self.logits(work, "--model", "base@2")
        self.assertEqual(self.logits(work, "--domain", "base").values, parent.values)
        self.assertEqual(self.logits(work, "--as-of", "base@2").values, parent.values)
        self.assertNotEqual(self.logits(work, "--domain", "german").values, parent.values)
        evaluate = ("eval", "--task", "english", "--max-tokens", "600", "--json")
        old = work.run(*evaluate, "--model", "base@2").json["tasks"]
        self.assertEqual(work.run(*evaluate, "--domain", "base").json["tasks"], old)
        self.assertEqual(work.run(*evaluate, "--as-of", "base@2").json["tasks"], old)

    def test_probe_writes_the_mixture_and_its_weights(self):
        work = self.extended()
        work.run("probe", "--input", "ids.safetensors", "--out", "out.safetensors")
        weights = tensors.read(work / "out.safetensors")["weights"]
        self.assertEqual(list(weights.shape), [2, 24, 2])
        work.refuses("probe", "--input", "ids.safetensors", "--out", "out.safetensors", "--gradients", code=2,
                     says="mixture", hint="--domain")

    def test_padding_is_no_evidence_for_a_domain_on_either_side(self):
        work = self.extended()
        tokens, padding = 20, 4
        rows = [[(7 * i + 50 * row) % 300 + 1 for i in range(tokens)] for row in range(2)]
        mask = [0] * padding + [1] * tokens, [1] * tokens + [0] * padding
        padded = [5] * padding + rows[0], rows[1] + [5] * padding
        tensors.write(work / "plain.safetensors", {"input_ids": tensors.Tensor([2, tokens], sum(rows, []))})
        shape = [2, tokens + padding]
        tensors.write(work / "padded.safetensors", {"input_ids": tensors.Tensor(shape, sum(padded, [])),
                                                    "attention_mask": tensors.Tensor(shape, sum(mask, []))})
        plain, there = (self.probed(work, name) for name in ("plain.safetensors", "padded.safetensors"))
        for name, width in (("weights", 2), ("logits", plain["logits"].shape[2])):
            for row, first in enumerate((padding, 0)):
                begin = (row * (tokens + padding) + first) * width
                theirs = there[name].values[begin:begin + tokens * width]
                ours = plain[name].values[row * tokens * width:(row + 1) * tokens * width]
                self.assertLess(max(abs(a - b) for a, b in zip(ours, theirs)), 1e-4, f"{name} {row}")
        self.assertAlmostEqual(plain["loss"].values[0], there["loss"].values[0], delta=1e-5)
        self.assertGreater(max(abs(w - 0.5) for w in plain["weights"].values), 0.01, "the text says something")

    def probed(self, work, file):
        work.run("probe", "--input", file, "--out", "out.safetensors")
        return tensors.read(work / "out.safetensors")

    def test_generate_decides_by_the_prompt_or_as_told(self):
        work = self.extended()
        made = work.run("generate", "--prompt", "Die Datei", "--max-tokens", "4", "--json").json
        self.assertEqual(set(made["weights"]), {"base", "german"})
        forced = ("generate", "--prompt", "Die", "--max-tokens", "8", "--temperature", "0", "--json")
        self.assertEqual(work.run(*forced, "--domain", "base").json["text"],
                         work.run(*forced, "--model", "base@2").json["text"])

    def test_export_and_import_keep_domains_and_one_domain_is_a_plain_model(self):
        work = self.extended()
        work.run("export", "whole")
        work.run("import", "whole", "--name", "again")
        for domain in ("base", "german"):
            self.assertEqual(self.logits(work, "--model", "again", "--domain", domain).values,
                             self.logits(work, "--model", "base", "--domain", domain).values, domain)
        work.run("export", "one", "--domain", "german")
        self.assertEqual(self.logits(work, "--from", "one").values, self.logits(work, "--domain", "german").values)

    def test_a_domain_in_8_bits_is_smaller_and_is_what_was_measured(self):
        work = self.workspace()
        small = work.run(*EXTEND, "--store", "int8", "--into", "small", "--json").json
        whole = work.run(*EXTEND, "--into", "whole", "--json").json
        self.assertLess(small["added_bytes"], 0.7 * whole["added_bytes"])
        self.assertTrue(small["old"]["unchanged"])
        told = {task["task"]: task["after"] for task in small["tasks"]}
        for task in work.run("eval", "--model", "small", "--max-tokens", "600", "--json").json["tasks"]:
            self.assertAlmostEqual(task["loss"], told[task["task"]], delta=1e-9, msg=task["task"])
        work.run("export", "out", "--model", "small")
        work.run("import", "out", "--name", "again")
        tensors.write(work / "ids.safetensors", IDS)
        self.assertEqual(self.logits(work, "--model", "again", "--domain", "german").values,
                         self.logits(work, "--model", "small", "--domain", "german").values)
        work.run("fsck")
        work.refuses(*EXTEND, "--store", "int9", code=2, says="int9", hint="leave it out")
        work.refuses(*EXTEND, "--store", "int8", "--single-mask", code=2, says="--single-mask", hint="export --quantize")

    def test_what_would_change_the_base_is_refused(self):
        work = self.extended()
        work.refuses("train", "--task", "english", "--steps", "2", *mformer.QUICK, code=1, says="has domains", hint="--model")
        work.refuses("extend", "--task", "german", "--single-mask", "--steps", "2", *mformer.QUICK, code=1, says="has domains")
        work.refuses(*EXTEND, "--replay", "0.1", code=2, says="--single-mask")
        work.refuses("eval", "--domain", "germn", code=2, says="germn", hint="german")

    def test_a_budget_decides_how_many_modules(self):
        work = self.workspace()
        small = work.run(*EXTEND, "--budget", "0.35", "--into", "small", "--json").json
        large = work.run(*EXTEND, "--budget", "0.7", "--into", "large", "--json").json
        self.assertLess(sum(small["new_modules"].values()), sum(large["new_modules"].values()))
        added = small["parameters"]["after"] / small["parameters"]["before"] - 1
        self.assertLessEqual(added, 0.35)


if __name__ == "__main__":
    unittest.main()
