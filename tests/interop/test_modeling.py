"""What the modelling file does beyond plain models: unequal counts, int8 modules, domains and their posterior, saving."""

import json
import math
import unittest

import interop
import native
import torch
from safetensors.torch import load_file

IDS = torch.randint(0, 250, (2, 24), generator=torch.Generator().manual_seed(7))
REFERENCE = interop.REFERENCE / "mlp_gate_k2"


def read(folder):
    return json.loads((folder / "config.json").read_text()), load_file(folder / "model.safetensors")


def keep(config, tensors, chosen):
    """The model with the modules `chosen(layer, kind)` alone, in that order."""
    kept = {name: value for name, value in tensors.items() if not any(f".{kind}.{i}." in name for kind in ("att", "mlp")
                                                                      for i in range(64))}
    config = dict(config)
    for kind in ("att", "mlp"):
        counts = []
        for layer in range(config["n_layer"]):
            numbers = chosen(layer, kind)
            counts.append(len(numbers))
            for place, number in enumerate(numbers):
                for part in ("in", "out", "row"):
                    kept[f"h.{layer}.{kind}.{place}.{part}"] = tensors[f"h.{layer}.{kind}.{number}.{part}"]
        config[f"n_{kind}_experts"], config[f"n_{kind}_experts_per_layer"] = max(counts), counts
    return config, kept


class ModelingTest(interop.InteropTest):
    def plain(self, source=REFERENCE):
        return native.convert(source, self.folder() / "plain")

    def test_layers_with_unequal_counts_are_the_masked_model(self):
        """Removing modules is the same as giving them no probability: checked on the gates that are left."""
        config, tensors = read(self.plain())
        chosen = {(0, "att"): [5, 1, 2], (1, "att"): [0, 4], (2, "att"): [3, 4], (0, "mlp"): [2, 3], (1, "mlp"): [6, 5, 0, 1],
                  (2, "mlp"): [7, 2]}
        pruned = self.load(native.write(self.folder() / "pruned", *keep(config, tensors, lambda *bank: chosen[bank])))
        with torch.no_grad():
            logits = pruned(IDS).logits
            whole = self.load(native.write(self.folder() / "whole", config, tensors))
            for layer, block in enumerate(whole.h):
                for kind in ("att", "mlp"):
                    getattr(block, kind).numbers = chosen[layer, kind]
            self.assertAgrees(whole(IDS).logits, logits)
        self.assertEqual(len(pruned.h[1].mlp.seen()), 4)

    def test_int8_modules_are_their_codes_times_their_scales(self):
        for source in (REFERENCE, interop.FAMILIES / "olmoe"):
            with self.subTest(source.name), torch.no_grad():
                config, tensors = read(self.plain(source))
                ids = IDS % config["vocab_size"]
                codes, rounded = dict(tensors), dict(tensors)
                for name in [name for name in tensors if name.endswith((".in", ".out")) and "shared" not in name]:
                    scale = tensors[name].abs().amax(0) / 127
                    codes[name] = (tensors[name] / scale).round().to(torch.int8)
                    codes[name + "_scale"], rounded[name] = scale, codes[name] * scale
                int8 = {**config, "quantization_config": {"quant_method": "mformer_int8", "weight_dtype": "int8",
                                                          "scale": "per output channel"}}
                model = self.load(native.write(self.folder() / "int8", int8, codes))
                same = self.load(native.write(self.folder() / "rounded", config, rounded))
                self.assertAgrees(model(ids).logits, same(ids).logits)
                narrow = self.load(native.write(self.folder() / "bf16", int8, codes), dtype=torch.bfloat16)
                module = narrow.h[0].mlp.seen()[0]
                self.assertEqual((narrow.wte.dtype, getattr(module, "in").dtype, module.in_scale.dtype),
                                 (torch.bfloat16, torch.int8, torch.float32))
                self.assertTrue(narrow(ids).logits.isfinite().all())
                again = self.folder() / "again"
                model.save_pretrained(again)
                self.assertEqual(read(again)[0]["quantization_config"], int8["quantization_config"])
                self.assertAgrees(self.load(again)(ids).logits, same(ids).logits)

    def test_a_saved_model_is_the_same_folder_again(self):
        for name in ("jetmoe", "qwen3_moe", "llama"):
            folder, again = self.plain(interop.FAMILIES / name), self.folder() / "again"
            self.load(folder).save_pretrained(again)
            before, after = load_file(folder / "model.safetensors"), load_file(again / "model.safetensors")
            self.assertEqual(set(before), set(after))
            self.assertTrue(all(value.equal(after[key]) for key, value in before.items()))
            config, saved = read(folder)[0], read(again)[0]
            self.assertEqual({**config, **saved, "transformers_version": 0}, {**saved, **config, "transformers_version": 0,
                             "torch_dtype": "float32"})
            self.assertTrue((again / "modeling_mformer.py").exists())

    def test_one_accumulated_batch_has_the_gradients_of_a_whole_one(self):
        model = self.load(self.plain())
        labels = IDS.masked_fill(torch.arange(24) < 6, -100)
        model(IDS, labels=labels).loss.backward()
        whole, model.wte.grad = model.wte.grad, None
        for row in range(2):
            model(IDS[row:row + 1], labels=labels[row:row + 1], num_items_in_batch=36).loss.backward()
        self.assertAgrees(model.wte.grad, whole)

    def test_beams_follow_their_own_cache(self):
        model = self.load(self.plain(interop.FAMILIES / "jetmoe"))
        how = {"max_new_tokens": 10, "num_beams": 3, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
        with torch.no_grad():
            self.assertEqual(model.generate(IDS[:1, :6] % 96, **how).tolist(),
                             model.generate(IDS[:1, :6] % 96, use_cache=False, **how).tolist())

    @torch.no_grad()
    def test_a_tuple_has_loss_and_logits_first_and_logits_can_be_those_of_the_last_tokens(self):
        model = self.load(self.plain())
        whole = model(IDS, labels=IDS)
        loss, logits = model(IDS, labels=IDS, return_dict=False)[:2]
        self.assertEqual((loss, True), (whole.loss, logits.equal(whole.logits)))
        self.assertAgrees(model(IDS, logits_to_keep=3).logits, whole.logits[:, -3:])
        self.assertAgrees(model(IDS, labels=IDS, logits_to_keep=torch.tensor([0, 5])).logits, whole.logits[:, [0, 5]])

    def test_a_mask_of_another_length_is_refused(self):
        model = self.load(self.plain())
        with self.assertRaisesRegex(ValueError, "attention_mask must be .batch, tokens so far. = .2, 24."):
            model(IDS, attention_mask=torch.ones(2, 23))


class DomainsTest(interop.InteropTest):
    """A model of two domains, made here: `german` has copies and private parts, `alone` sees nothing of the base."""

    BASE = {"att": 6, "mlp": 8}
    COUNTS = {"att": [9, 10, 9], "mlp": [11, 11, 12]}
    GERMAN = {"att": [[6], [6, 7], [6]], "mlp": [[8], [8], [8, 9]], "hidden_att": [[3], [0, 5], [1]],
              "hidden_mlp": [[7], [2], [0, 4]]}
    ALONE = {"att": [[7, 8], [8, 9], [7, 8]], "mlp": [[9, 10], [9, 10], [10, 11]], "hidden_att": [[], [], []],
             "hidden_mlp": [[], [], []]}

    def setUp(self):
        random = torch.Generator().manual_seed(3)
        self.config, self.tensors = read(native.convert(REFERENCE, self.folder() / "plain"))
        self.parts = {}
        for kind, counts in self.COUNTS.items():
            for layer, count in enumerate(counts):
                for number in range(self.BASE[kind], count):
                    for part in ("in", "out", "row"):
                        like = self.tensors[f"h.{layer}.{kind}.{number - self.BASE[kind]}.{part}"]
                        noise = torch.randn(like.shape, generator=random) * like.std()
                        self.tensors[f"h.{layer}.{kind}.{number}.{part}"] = like + 0.5 * noise
            self.config[f"n_{kind}_experts"], self.config[f"n_{kind}_experts_per_layer"] = max(counts), counts
        private = ["ln_f.weight", "h.0.ln_1.bias", "h.1.k_proj.weight", "h.2.mlp.router.weight", "h.0.att.router.bias"]
        for domain in ("german", "alone"):
            for name in private:
                like = self.tensors[name]
                self.parts[f"{domain}/{name}"] = like + 0.3 * torch.randn(like.shape, generator=random)
        width = self.tensors["h.1.att.0.row"].shape[0]
        self.parts["german/h.1.att.rows"] = torch.randn((4, width), generator=random)
        for table in ("wte", "lm_head"):
            rows = torch.tensor([2, 3, 11, 40, 200])
            self.parts[f"german/{table}.rows_replaced"] = rows
            self.parts[f"german/{table}"] = self.tensors[table][rows] + 0.3 * torch.randn((5, 32), generator=random)
        self.config["mformer_domains"] = [{"name": "german", "alone": False, **self.GERMAN},
                                          {"name": "alone", "alone": True, **self.ALONE}]
        self.model = self.load(native.write(self.folder() / "domains", self.config, self.tensors, self.parts))

    def hypothesis(self, name):
        """The same as a plain model, put together from the description in docs/domains.md."""
        entry = next((one for one in self.config["mformer_domains"] if one["name"] == name), None)
        tensors, numbers = dict(self.tensors), {}
        for kind in ("att", "mlp"):
            for layer in range(3):
                base = [] if entry and entry["alone"] else list(range(self.BASE[kind]))
                hidden = entry["hidden_" + kind][layer] if entry else []
                numbers[layer, kind] = [one for one in base if one not in hidden] + (entry[kind][layer] if entry else [])
        for key, value in self.parts.items():
            domain, part = key.split("/")
            if domain != name or part.endswith("rows_replaced"):
                continue
            if part.endswith(".rows"):
                layer, kind = int(part.split(".")[1]), part.split(".")[2]
                for number, row in zip(numbers[layer, kind], value):
                    tensors[f"h.{layer}.{kind}.{number}.row"] = row
            elif f"{key}.rows_replaced" in self.parts:
                tensors[part] = tensors[part].index_copy(0, self.parts[f"{key}.rows_replaced"], value)
            else:
                tensors[part] = value
        config = {key: value for key, value in self.config.items() if key != "mformer_domains"}
        return self.load(native.write(self.folder() / name, *keep(config, tensors, lambda *bank: numbers[bank])))

    def mixed(self, ids):
        """[tokens, vocab] log-probabilities of the mixture for one row, by the formulas of docs/domains.md, number by
        number."""
        given = [self.hypothesis(name)(ids).logits[0].double().log_softmax(-1) for name in ("base", "german", "alone")]
        weights, alpha = [1 / 2, 1 / 4, 1 / 4], 1 / 2048
        rates = [alpha / 2, alpha / 2, alpha / 6]
        result = []
        for t in range(ids.shape[1]):
            result.append(sum(w * one[t].exp() for w, one in zip(weights, given)).log())
            if t + 1 < ids.shape[1]:
                seen = [w * math.exp(one[t, ids[0, t + 1]]) for w, one in zip(weights, given)]
                weights = [(1 - sum(rates)) * one / sum(seen) + rate for one, rate in zip(seen, rates)]
        return torch.stack(result)

    @torch.no_grad()
    def test_a_hypothesis_is_the_plain_model_of_its_modules_and_parts(self):
        logits = {name: self.model(IDS, domain=name).logits for name in ("base", "german", "alone")}
        for name, ours in logits.items():
            self.assertAgrees(ours, self.hypothesis(name)(IDS).logits, name)
        self.assertGreater(interop.relative_error(logits["german"], logits["base"]), 0.1)

    @torch.no_grad()
    def test_the_mixture_follows_the_fixed_share_rule(self):
        output = self.model(IDS, labels=IDS)
        for row in range(2):
            self.assertAgrees(output.logits[row], self.mixed(IDS[row:row + 1]), row)
        self.assertLess(output.weights.sum(-1).sub(1).abs().max().item(), 1e-12)
        chosen = output.logits[:, :-1].gather(-1, IDS[:, 1:, None])
        self.assertAlmostEqual(output.loss.item(), -chosen.mean().item(), delta=1e-5)

    @torch.no_grad()
    def test_padded_tokens_are_no_evidence(self):
        alone = self.model(IDS[1:, :17]).logits[0]
        for side, shift in (("right", 0), ("left", 7)):
            mask, batch = torch.ones_like(IDS), IDS.clone()
            mask[1, 17:] = 0
            mask[1], batch[1] = mask[1].roll(shift), IDS[1].roll(shift)
            logits = self.model(batch, attention_mask=mask).logits
            self.assertAgrees(logits[1][mask[1].bool()], alone, side)
            self.assertAgrees(logits[0], self.model(IDS[:1]).logits[0], side)

    @torch.no_grad()
    def test_steps_through_the_cache_move_the_posterior_as_one_pass_does(self):
        whole = self.model(IDS).logits
        mask = torch.ones_like(IDS)
        output = self.model(IDS[:, :9], attention_mask=mask[:, :9])
        parts = [output.logits]
        for first, last in ((9, 10), (10, 16), (16, 17), (17, 24)):
            output = self.model(IDS[:, first:last], attention_mask=mask[:, :last], cache=output[interop.CACHE])
            parts.append(output.logits)
        self.assertAgrees(torch.cat(parts, 1), whole)

    @torch.no_grad()
    def test_generate_agrees_with_and_without_a_cache_alone_in_a_batch_and_in_beams(self):
        how = {"max_new_tokens": 12, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
        one = self.model.generate(IDS[:1, :9], **how)
        self.assertEqual(one.tolist(), self.model.generate(IDS[:1, :9], use_cache=False, **how).tolist())
        padded = torch.cat([torch.zeros(1, 4, dtype=torch.long), IDS[:1, :9]], 1)
        batch = torch.cat([IDS[1:, :13], padded])
        mask = torch.ones_like(batch)
        mask[1, :4] = 0
        self.assertEqual(self.model.generate(batch, attention_mask=mask, **how)[1, 4:].tolist(), one[0].tolist())
        beams = [self.model.generate(IDS[:1, :9], num_beams=3, use_cache=cached, **how).tolist() for cached in (True, False)]
        self.assertEqual(*beams)
        german = self.model.generate(IDS[:1, :9], domain="german", **how)
        self.assertEqual(german.tolist(), self.hypothesis("german").generate(IDS[:1, :9], **how).tolist())

    @torch.no_grad()
    def test_moved_to_another_dtype_and_back_all_hypotheses_go_with_it(self):
        before = self.model(IDS).logits
        self.assertEqual(self.model.double()(IDS).logits.dtype, torch.float64)
        self.assertAgrees(self.model.double()(IDS).logits, before)
        self.assertAgrees(self.model.float()(IDS).logits, before)

    @torch.no_grad()
    def test_saved_and_loaded_again_they_are_all_there(self):
        again = self.folder() / "again"
        self.model.save_pretrained(again)
        self.assertEqual(set(load_file(again / "mformer_domains.safetensors")), set(self.parts))
        self.assertAgrees(self.load(again)(IDS).logits, self.model(IDS).logits)

    def test_an_unknown_domain_is_refused_with_the_names_there_are(self):
        with self.assertRaisesRegex(ValueError, "no domain 'french': it has base, german, alone"):
            self.model(IDS, domain="french")

    def test_training_reaches_private_parts(self):
        self.model.train()
        self.model(IDS, labels=IDS).loss.backward()
        for name, parameter in self.model.domains.named_parameters():
            self.assertIsNotNone(parameter.grad, name)


if __name__ == "__main__":
    unittest.main()
