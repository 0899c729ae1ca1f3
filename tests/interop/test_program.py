"""The program and transformers: what `mformer export` writes of every family, and after every operation, is loaded there
and computes what `mformer probe` and `mformer generate` do."""

import json
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

import interop
import mformer
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

VOCABULARY = 400
IDS = torch.randint(0, VOCABULARY, (2, 24), generator=torch.Generator().manual_seed(11))
COMMON = {"vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 24, "num_hidden_layers": 2,
          "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64, "bos_token_id": 0,
          "eos_token_id": 0, "initializer_range": 0.2}
EXPERTS = {"num_experts": 6, "num_experts_per_tok": 2}
LOCAL = {"num_local_experts": 6, "num_experts_per_tok": 2}
FAMILIES = {
    "jetmoe": {**LOCAL, "kv_channels": 8},
    "mixtral": LOCAL,
    "granitemoe": {**LOCAL, "residual_multiplier": 0.5, "embedding_multiplier": 2.0, "logits_scaling": 2.0},
    "granitemoeshared": {**LOCAL, "shared_intermediate_size": 16},
    "olmoe": EXPERTS,
    "qwen2_moe": {**EXPERTS, "moe_intermediate_size": 16, "shared_expert_intermediate_size": 16},
    "qwen3_moe": {**EXPERTS, "moe_intermediate_size": 16, "head_dim": 16},
    "llama": {},
}
ROUTED = [name for name in FAMILIES if name != "llama"]
QUICK = ("--steps", "4", *mformer.QUICK)


class ProgramTest(mformer.EndToEndTest, interop.InteropTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        interop.InteropTest.setUpClass()

    def started(self, family, name=None, **changes):
        """A workspace whose model `base` is a checkpoint that transformers wrote."""
        work = self.workspace(name or family)  # for its corpora and tokenizer
        torch.manual_seed(len(family))
        config = transformers.AutoConfig.for_model(family, **{**COMMON, **FAMILIES[family], **changes})
        AutoModelForCausalLM.from_config(config).eval().save_pretrained(work / "published")
        work.run("import", "published", "--name", family, "--tokenizer", "tokenizer.json")
        work.run("use", family)
        save_file({"input_ids": IDS}, work / "ids.safetensors")
        return work

    def probed(self, work, *arguments):
        work.run("probe", "--input", "ids.safetensors", "--out", "probe.safetensors", *arguments)
        return load_file(work / "probe.safetensors")

    def exported(self, work, name, *arguments):
        made = work.run("export", name, *arguments, "--json").json
        self.assertTrue(made["loadable_by_transformers"])
        return work / name

    def check_export(self, work, name, *arguments, probe=()):
        """The family's own class, or our file with --for, computes what probe does. Returns the model."""
        folder = self.exported(work, name, *arguments)
        if "--for" in arguments:
            model = self.load(folder)
        else:
            self.assertFalse((folder / "modeling_mformer.py").exists())
            model, notes = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
            self.assertEqual([bool(notes[key]) for key in ("missing_keys", "unexpected_keys", "mismatched_keys")], [False] * 3)
            self.assertEqual(type(model).__module__.split(".")[0], "transformers")
        with torch.no_grad():
            self.assertAgrees(model.eval()(IDS).logits, self.probed(work, *probe)["logits"], name)
        return model

    def check_generate(self, work, folder, model, *arguments):
        """The text is that of mformer generate, token for token, and the prompt's tokens are."""
        said = work.run("generate", "--prompt", "The old house", "--max-tokens", "12", "--temperature", "0", "--json",
                        *arguments).json
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
        prompt = tokenizer("The old house", return_tensors="pt")
        self.assertEqual(prompt["input_ids"].shape[1], said["prompt_tokens"])
        written = model.generate(**prompt, max_new_tokens=12, do_sample=False)[0, prompt["input_ids"].shape[1]:]
        self.assertEqual(tokenizer.decode(written, skip_special_tokens=True), said["text"])

    def test_an_import_is_exported_as_it_was(self):
        for family in FAMILIES:
            with self.subTest(family):
                work = self.started(family)
                model = self.check_export(work, "out")
                before, after = (load_file(work / folder / "model.safetensors") for folder in ("published", "out"))
                self.assertEqual(set(before), set(after))
                self.assertTrue(all(value.equal(after[name]) for name, value in before.items()))
                self.check_generate(work, work / "out", model)
                self.check_generate(work, work / "ours", self.check_export(work, "ours", "--for", "transformers"))

    def test_a_snapshot_in_the_hubs_cache_is_found_by_its_name(self):
        work, hub = self.workspace("named"), self.temporary / "hub"
        work.run("export", "me/tiny", "--hub-cache", "--for", "transformers", env={"HF_HUB_CACHE": str(hub)})
        work.run("export", "plain", "--for", "transformers")
        by_name, by_path = (AutoModelForCausalLM.from_pretrained(place, trust_remote_code=True, local_files_only=True, cache_dir=hub).eval()
                            for place in ("me/tiny", work / "plain"))
        self.assertTrue(by_name(IDS).logits.equal(by_path(IDS).logits))
        tokenizer = AutoTokenizer.from_pretrained("me/tiny", trust_remote_code=True, local_files_only=True, cache_dir=hub)
        self.assertEqual(tokenizer.decode(tokenizer("The old house")["input_ids"]), "The old house")

    def test_a_pruned_model_of_equal_counts_is_the_familys_own(self):
        for family in ROUTED:
            with self.subTest(family):
                work = self.started(family)
                work.run("prune", "--task", "english", "--keep", "0.5", "--scope", "layer", "--tune-steps", "2",
                         "--stat-tokens", "2000", *mformer.QUICK)
                if family == "olmoe":  # its norm of all queries has the model's width, so that its heads can't be fewer
                    work.refuses("export", "out", code=1, says="the norm of its queries", hint="--for transformers")
                    self.check_export(work, "ours", "--for", "transformers")
                    continue
                self.check_export(work, "out")
                self.assertIn("3 a layer", (work / "out" / "README.md").read_text())

    def test_as_many_modules_dropped_in_every_layer_leave_the_familys_own(self):
        for family in [name for name in ROUTED if name != "jetmoe"]:  # there both kinds have one count
            with self.subTest(family):
                work = self.started(family)
                work.run("drop", "kind=mlp,index=1-2")
                self.check_export(work, "out")

    def test_unequal_counts_are_refused_with_the_layers_and_run_by_our_file(self):
        for family in ROUTED:
            with self.subTest(family):
                work = self.started(family)
                work.run("drop", "kind=mlp,layer=1,index=0-1")
                work.refuses("export", "out", code=1, says="layer", hint="--for transformers")
                self.check_generate(work, work / "ours", self.check_export(work, "ours", "--for", "transformers"))

    def test_int8_modules_run_by_our_file(self):
        for family in FAMILIES:
            with self.subTest(family):
                work = self.started(family)
                self.exported(work, "int8", "--for", "transformers", "--quantize", "int8", "--dtype", "float32", "--no-eval")
                work.run("import", "int8", "--name", "int8", "--tokenizer", "tokenizer.json")
                with torch.no_grad():
                    self.assertAgrees(self.load(work / "int8")(IDS).logits, self.probed(work, "--model", "int8")["logits"])

    def test_domains_and_their_posterior_run_by_our_file_and_each_alone(self):
        for family in FAMILIES:
            with self.subTest(family):
                work = self.started(family)
                work.run("extend", "--data", "german", "--steps", "8", "--lr", "0.01", *mformer.QUICK)
                work.run("extend", "--data", "qa", "--steps", "8", "--lr", "0.01", *mformer.QUICK)
                model = self.check_export(work, "ours", "--for", "transformers")
                with torch.no_grad():
                    output = model(IDS)
                self.assertAgrees(output.weights, self.probed(work)["weights"].double())
                self.check_generate(work, work / "ours", model)
                for domain in ("base", "german", "qa"):
                    with torch.no_grad():
                        self.assertAgrees(model(IDS, domain=domain).logits, self.probed(work, "--domain", domain)["logits"])

    def test_padding_is_no_evidence_for_a_domain_here_as_there(self):
        work = self.started("qwen3_moe")
        work.run("extend", "--data", "german", "--steps", "8", "--lr", "0.01", *mformer.QUICK)
        mask = torch.ones_like(IDS)
        mask[0, :5], mask[1, -7:] = 0, 0
        model = self.load(self.exported(work, "ours", "--for", "transformers"))
        with torch.no_grad():
            theirs = model(IDS, attention_mask=mask)
        save_file({"input_ids": IDS, "attention_mask": mask}, work / "ids.safetensors")
        ours, real = self.probed(work), mask.bool()
        self.assertAgrees(theirs.weights[real], ours["weights"][real].double())
        self.assertAgrees(theirs.logits[real], ours["logits"][real])

    def test_one_domain_of_equal_counts_is_the_familys_own(self):
        for family in FAMILIES:
            with self.subTest(family):
                work = self.started(family)
                work.run("extend", "--data", "german", "--experts", "2", *QUICK)
                self.check_export(work, "out", "--domain", "german", probe=("--domain", "german"))
                self.check_export(work, "base", "--domain", "base", probe=("--domain", "base"))

    def test_a_grafted_model_runs_by_our_file_and_its_hypotheses_as_the_familys_own(self):
        for family in ("mixtral", "qwen3_moe", "jetmoe", "llama"):
            with self.subTest(family):
                work = self.started(family)
                work.run("prune", "--task", "german", "--data", "german", "--keep", "0.5", "--equal", "--tune-steps", "4",
                         "--stat-tokens", "2000", "--into", "small", *mformer.QUICK)
                work.run("graft", "small", "--onto", family, "--eval-tokens", "600")
                self.check_export(work, "ours", "--for", "transformers")
                self.check_export(work, "base", "--domain", "base", probe=("--domain", "base"))
                self.check_export(work, "written", "--domain", "german", probe=("--domain", "german"))
                small = self.probed(work, "--model", "small")["logits"]
                with torch.no_grad():
                    self.assertAgrees(AutoModelForCausalLM.from_pretrained(work / "written")(IDS).logits, small, "as it was")

    def test_merged_and_dropped_models_run_by_our_file_and_what_is_plain_as_the_familys_own(self):
        for family in ("mixtral", "jetmoe", "llama"):
            with self.subTest(family):
                work = self.started(family)
                work.run("extend", "--data", "german", "--into", "de", *QUICK)
                work.run("extend", "--data", "qa", "--into", "qa", *QUICK)
                work.run("merge", "de", "qa", "--into", "both", "--eval-tokens", "600")
                self.check_export(work, "both", "--model", "both", "--for", "transformers", probe=("--model", "both"))
                work.run("drop", "domain=german", "--model", "both", "--eval-tokens", "600")
                self.check_export(work, "one", "--model", "both", "--for", "transformers", probe=("--model", "both"))
                work.run("drop", "domain=qa", "--model", "both", "--eval-tokens", "600")
                self.check_export(work, "none", "--model", "both", probe=("--model", "both"))

    def test_a_llama_whose_heads_do_not_divide_its_width_runs_by_our_file_alone(self):
        work = self.started("llama")
        work.run("extend", "--data", "german", "--single-mask", "--rehearse", "0", "--experts", "1", "--heads", "1", *QUICK)
        work.refuses("export", "out", code=1, says="no multiple of its 6 attention heads", hint="--for transformers")
        self.check_export(work, "ours", "--for", "transformers")

    def test_a_model_merged_of_modules_for_everybody_is_the_familys_own(self):
        for family in ("mixtral", "jetmoe", "llama"):
            with self.subTest(family):
                work = self.started(family)
                heads = "2" if family == "jetmoe" else "1"  # whose config has one number for modules of both kinds
                for data in ("german", "qa"):
                    work.run("extend", "--data", data, "--single-mask", "--rehearse", "0", "--experts", "2", "--heads", heads, "--into",
                             data[:2], *QUICK)
                work.run("merge", "ge", "qa", "--into", "both", "--eval-tokens", "600")
                self.check_export(work, "both", "--model", "both", probe=("--model", "both"))

    def test_an_upcycled_model_is_a_mixture_of_transformers_with_the_logits_of_the_dense_one(self):
        for name, flags in (("copies", ("--experts", "3", "--k", "2")), ("all", ("--slices", "4", "--k", "4")),
                            ("fewer", ("--slices", "4", "--k", "2", "--task", "english", *QUICK))):
            with self.subTest(name):
                work = self.started("llama", name, intermediate_size=32)  # its grouped products want rows of 16 bytes
                dense = self.probed(work)["logits"]
                work.run("upcycle", *flags)
                if name != "fewer":
                    self.assertAgrees(self.probed(work)["logits"], dense)
                model = self.check_export(work, "out")
                self.assertEqual(model.config.model_type, "mixtral")
                self.check_generate(work, work / "out", model)
                self.check_generate(work, work / "ours", self.check_export(work, "ours", "--for", "transformers"))

    def test_an_upcycled_model_that_no_published_family_holds_runs_by_our_file(self):
        work = self.started("llama", attention_bias=True)
        dense = self.probed(work)["logits"]
        work.run("upcycle", "--experts", "3", "--k", "2")
        work.refuses("export", "out", code=1, says="have routers", hint="--for transformers")
        self.check_export(work, "ours", "--for", "transformers")
        self.assertAgrees(self.probed(work)["logits"], dense)

    def test_what_transformers_saves_of_it_is_imported_again(self):
        work = self.started("qwen3_moe")
        work.run("extend", "--data", "german", *QUICK)
        model = self.check_export(work, "ours", "--for", "transformers")
        model.save_pretrained(work / "saved")
        work.run("import", "saved", "--name", "again", "--tokenizer", "tokenizer.json")
        self.assertAgrees(self.probed(work, "--model", "again")["logits"], self.probed(work)["logits"], tolerance=1e-9)

    def test_a_moduleformer_runs_by_our_file_with_every_router(self):
        for source in sorted(interop.REFERENCE.iterdir()):
            with self.subTest(source.name):
                work = self.folder(source.name)
                work.run("init", "--from", source)
                vocabulary = json.loads((source / "config.json").read_text())["vocab_size"]
                save_file({"input_ids": IDS % vocabulary}, work / "ids.safetensors")
                model = self.load(self.exported(work, "ours", "--for", "transformers"))
                with torch.no_grad():
                    self.assertAgrees(model(IDS % vocabulary).logits, self.probed(work)["logits"])


if __name__ == "__main__":
    unittest.main()
