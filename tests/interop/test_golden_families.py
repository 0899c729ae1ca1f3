"""Golden checkpoints of other families through the modelling file: what transformers' own classes gave."""

import unittest

import interop
import torch

NAMES = ("jetmoe", "granitemoe", "granitemoeshared", "olmoe", "qwen3_moe", "mixtral", "llama")


class GoldenFamiliesTest(interop.InteropTest):
    def each(self):
        for name in NAMES:
            with self.subTest(name), torch.no_grad():
                source = interop.FAMILIES / name
                yield name, self.converted(source), interop.expected_of(source)

    def test_hidden_states_logits_and_losses_are_the_recorded_ones(self):
        for name, model, expected in self.each():
            ids = expected["input_ids"]
            output = model(ids, labels=ids, output_hidden_states=True, output_router_logits=True)
            self.assertAgrees(output.logits, expected["logits"], name)
            for i, state in enumerate(output.hidden_states):
                self.assertAgrees(state, expected[f"hidden.{i}"], f"{name} hidden.{i}")
            self.assertAgrees(output.loss, expected["loss"][0], name)
            self.assertAgrees(model(ids, labels=ids).loss, expected["cross_entropy"][0], name)
            if "aux_loss" in expected:
                self.assertAgrees(output.aux_loss, expected["aux_loss"][0], name)

    def test_gradients_are_the_recorded_ones(self):
        """One of each kind is enough to see that nothing is detached: the embedding, which all others lead to."""
        for name, model, expected in self.each():
            ids = expected["input_ids"]
            with torch.enable_grad():
                model(ids, labels=ids, output_router_logits=True).loss.backward()
            self.assertAgrees(model.wte.grad, expected["grad.model.embed_tokens.weight"], name)

    def test_padding_on_either_side_changes_no_logit(self):
        for name, model, expected in self.each():
            mask = expected["padded.attention_mask"]
            output = model(expected["padded.input_ids"], attention_mask=mask, labels=expected["padded.labels"],
                           output_router_logits=True)
            self.assertAgrees(output.logits[mask.bool()], expected["padded.logits"][mask.bool()], name)
            self.assertAgrees(output.loss, expected["padded.loss"][0], name)

    def test_generate_writes_the_recorded_tokens_with_and_without_a_cache(self):
        for name, model, expected in self.each():
            for use_cache in (True, False):
                output = model.generate(expected["greedy.prompt"], max_new_tokens=16, do_sample=False, use_cache=use_cache,
                                        eos_token_id=None, pad_token_id=0, output_logits=True, return_dict_in_generate=True)
                self.assertEqual(output.sequences[0, 6:].tolist(), expected["greedy.tokens"][0].tolist(), name)
                self.assertAgrees(torch.stack(output.logits, 1), expected["greedy.logits"], name)


if __name__ == "__main__":
    unittest.main()
