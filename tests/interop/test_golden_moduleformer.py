"""Golden checkpoints of the ModuleFormer reference through the modelling file: all gate types, stick-breaking attention."""

import unittest

import interop
import torch


class GoldenModuleFormerTest(interop.InteropTest):
    def each(self):
        for source in sorted(interop.REFERENCE.iterdir()):
            with self.subTest(source.name), torch.no_grad():
                yield source.name, self.converted(source), interop.expected_of(source)

    def test_hidden_states_logits_and_losses_are_the_recorded_ones(self):
        for name, model, expected in self.each():
            ids = expected["input_ids"]
            output = model(ids, attention_mask=expected.get("attention_mask"), labels=ids, output_hidden_states=True,
                           output_router_logits=True)
            self.assertAgrees(output.logits, expected["logits"], name)
            for i, state in enumerate(output.hidden_states):
                self.assertAgrees(state, expected[f"hidden.{i}"], f"{name} hidden.{i}")
            self.assertAgrees(output.aux_loss, expected["aux_loss"][0], name)
            self.assertAgrees(output.loss, expected["loss"][0], name)

    def test_gradients_are_the_recorded_ones(self):
        for name, model, expected in self.each():
            ids = expected["input_ids"]
            with torch.enable_grad():
                model(ids, attention_mask=expected.get("attention_mask"), labels=ids, output_router_logits=True).loss.backward()
            self.assertAgrees(model.wte.grad, expected["grad.transformer.wte.weight"], name)
            routers = torch.stack([module.row.grad for module in model.h[0].mlp.seen()])
            rows = {"mlp": "w_gate.3.weight", "linear": "w_gate.0.weight", "gmm": "expert_centroids"}[model.config.gate_type]
            self.assertAgrees(routers, expected[f"grad.transformer.h.0.mlpf.gate.{rows}"], name)

    def test_steps_through_the_cache_give_what_the_reference_gave(self):
        for name, model, expected in self.each():
            if "cache.logits" not in expected:
                continue
            ids, first = expected["input_ids"], int(expected["cache.prefill"])
            output = model(ids[:, :first])
            steps = [output.logits[:, -1]]
            for t in range(first, first + 12):
                output = model(ids[:, t : t + 1], cache=output[interop.CACHE])
                steps.append(output.logits[:, -1])
            self.assertAgrees(torch.stack(steps, 1), expected["cache.logits"], name)

    def test_rows_padded_on_the_left_or_right_have_the_logits_that_they_have_alone(self):
        for name, model, expected in self.each():
            ids = expected["input_ids"][:2, :20]
            alone = [model(ids[:1]).logits[0], model(ids[1:, :13]).logits[0]]
            for side in ("left", "right"):
                mask = torch.ones_like(ids)
                mask[1, 13:] = 0
                batch = ids.clone()
                if side == "left":
                    mask[1], batch[1] = mask[1].roll(7), ids[1].roll(7)
                logits = model(batch, attention_mask=mask).logits
                for row in range(2):
                    self.assertAgrees(logits[row][mask[row].bool()], alone[row], f"{name} {side}")


if __name__ == "__main__":
    unittest.main()
