import unittest

import mformer
import tensors

EXTEND = ("extend", "--data", "german", "--steps", "6", *mformer.QUICK)
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
            self.assertLessEqual(task["change"], task["bound"] + 1e-5, task["task"])
        shown = work.run("eval", "--task", "english", "--max-tokens", "600").out
        self.assertIn("by base", shown)
        self.assertIn("by german", shown)

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
