"""inspect posterior: which domain read which document and token, held against what probe says of the same tokens."""

import os
import unittest

import mformer
import tensors

CONTEXT = 64  # of the preset tiny


class InspectPosterior(mformer.EndToEndTest):
    def extended(self):
        work = self.workspace()
        work.run("extend", "--data", "german", "--steps", "20", "--lr", "0.01", *mformer.QUICK)
        return work

    def probed(self, work, ids):
        """Of each token but the first: (log-probability, weights)."""
        tensors.write(work / "ids.safetensors", {"input_ids": tensors.Tensor([1, len(ids)], ids)})
        work.run("probe", "--input", "ids.safetensors", "--out", "out.safetensors")
        found = tensors.read(work / "out.safetensors")
        vocabulary = found["logits"].shape[2]
        return [(found["logits"].values[t * vocabulary + ids[t + 1]], found["weights"].values[2 * t:2 * t + 2])
                for t in range(len(ids) - 1)]

    def check(self, work, document, ids):
        expected = []
        for begin in range(0, len(ids) - 1, CONTEXT):
            expected += self.probed(work, ids[begin:begin + CONTEXT + 1][:CONTEXT + 1])
        self.assertEqual(document["tokens"], len(expected))
        self.assertEqual(len(document["predicted"]), len(expected))
        for token, (log_prob, weights) in zip(document["predicted"], expected):
            self.assertAlmostEqual(token["log_prob"], log_prob, delta=1e-4)
            for ours, theirs in zip(token["weights"].values(), weights, strict=True):
                self.assertAlmostEqual(ours, theirs, delta=1e-4)
        if not expected:
            self.assertEqual((document["loss"], document["shares"]), (None, {}))
            return
        self.assertAlmostEqual(document["loss"], -sum(p for p, _ in expected) / len(expected), delta=1e-4)
        for h, share in enumerate(document["shares"].values()):
            self.assertAlmostEqual(share, sum(weights[h] for _, weights in expected) / len(expected), delta=1e-4)
        self.assertAlmostEqual(sum(document["shares"].values()), 1)

    def test_a_text_is_told_token_by_token_as_probe_computes_it(self):
        work = self.extended()
        for text in ("In the beginning God created the heaven and the earth.", "Die Kunst ist lang, das Leben kurz. " * 12, "a"):
            with self.subTest(text=text):
                ids = [int(id) for id in work.run("tokenizer", "encode", stdin=text.encode()).out.split()]
                made = work.run("inspect", "posterior", "--text", text, "--tokens", "--json").json
                document, = made["documents"]
                self.assertEqual(document["text"], text)
                self.check(work, document, ids)

    def test_documents_are_those_of_the_tasks_held_out_split(self):
        work = self.extended()
        made = work.run("inspect", "posterior", "--task", "german", "--max-documents", "0", "--json").json
        self.assertEqual(len(made["documents"]), made["all_documents"])
        few = work.run("inspect", "posterior", "--task", "german", "--max-documents", "2", "--json").json
        self.assertEqual([one["document"] for one in few["documents"]], [0, made["all_documents"] // 2])
        self.assertEqual(few["documents"][1], made["documents"][made["all_documents"] // 2])
        mean = {task: sum(one["tokens"] * one["shares"]["german"] for one in documents) / sum(one["tokens"] for one in documents)
                for task in ("german", "english")
                for documents in [work.run("inspect", "posterior", "--task", task, "--json").json["documents"]]}
        self.assertGreater(mean["german"], mean["english"])

    def test_without_colours_the_name_of_a_domain_stands_before_its_text(self):
        work = self.extended()
        out = work.run("inspect", "posterior", "--task", "german", "--max-documents", "3", "--tokens").out
        self.assertIn("[german] ", out)
        self.assertIn("by german", out)
        shown = work.on_terminal("inspect", "posterior", "--task", "german", "--max-documents", "1", "--tokens",
                                 environment={**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8"})
        self.assertIn("\x1b[38;5;", shown)
        self.assertNotIn("[german]", shown)

    def test_hostile_text_can_not_speak_to_the_terminal(self):
        work = self.extended()
        text = "\x1b]0;owned\x07\x1b[2J\u202e\u009b31m"
        for more in ((), ("--tokens",)):
            result = work.run("inspect", "posterior", "--text", text, *more)
            for bad in ("\x1b", "\x07", "\u202e", "\u009b"):
                self.assertNotIn(bad, result.out)
        empty, = work.run("inspect", "posterior", "--text", "", "--json").json["documents"]
        self.assertEqual((empty["tokens"], empty["loss"], empty["shares"]), (0, None, {}))

    def test_what_can_not_be_shown_is_refused(self):
        work = self.workspace()
        work.refuses("inspect", "posterior", "--task", "english", code=1, says="no domains", hint="mformer extend")
        work.run("extend", "--data", "german", "--steps", "2", *mformer.QUICK)
        work.refuses("inspect", "posterior", code=2, says="not said what is to be read", hint="--task")
        work.refuses("inspect", "posterior", "--task", "none", code=2, says="none")
        work.refuses("inspect", "posterior", "--task", "german", "--text", "x", code=2, says="--text")


if __name__ == "__main__":
    unittest.main()
