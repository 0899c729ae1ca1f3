import unittest

import mformer
import tensors

GOLDEN = mformer.DATA / "golden"
TOLERANCE = 1e-5  # float32 sums in another order; norm over norm
# The gradient of one number is a sum of terms of both signs some thirty times larger than itself.
TOLERANCE_OF_ONE_NUMBER = 3e-5
TOLERANCE_FLOAT64 = 1e-6  # what was recorded was rounded to float32
COMPARED = ("logits", "loss", "aux_loss", "hidden.", "routing.", "grad.")


class ProbeGoldenTest(mformer.EndToEndTest):
    def probe(self, name, *flags):
        """What the program computes, and what the reference recorded, by name."""
        work = self.folder(f"probe{len(flags)}-{name}")
        expected_file = GOLDEN / name / "expected.safetensors"
        work.run("probe", "--from", GOLDEN / name, "--input", expected_file, "--out", "out.safetensors", *flags)
        expected = {key: tensor for key, tensor in tensors.read(expected_file).items() if key.startswith(COMPARED)}
        return tensors.read(work / "out.safetensors"), expected

    def check(self, ours, expected, tolerance=None):
        for key, tensor in expected.items():
            self.assertEqual(ours[key].shape, tensor.shape, key)
            if key.endswith((".indices", "greedy.tokens")):
                self.assertEqual(ours[key].values, tensor.values, key)
            else:
                allowed = tolerance or (TOLERANCE_OF_ONE_NUMBER if key.endswith(".temperature") else TOLERANCE)
                self.assertLessEqual(tensors.relative_error(ours[key], tensor), allowed, key)

    def test_matches_the_reference_in_every_recorded_number(self):
        folders = sorted(path.name for path in GOLDEN.iterdir() if path.is_dir())
        self.assertTrue(folders)
        for name in folders:
            with self.subTest(folder=name):
                ours, expected = self.probe(name, "--gradients")
                self.assertTrue(any(key.startswith("grad.") for key in expected))
                self.check(ours, expected)

    def test_matches_transformers_in_every_recorded_number_of_every_family(self):
        families = mformer.DATA / "golden-families"
        folders = sorted(path.name for path in families.iterdir() if path.is_dir())
        self.assertGreaterEqual(len(folders), 7)
        for name in folders:
            with self.subTest(family=name):
                work = self.folder(name)
                recorded = families / name / "expected.safetensors"
                work.run("probe", "--from", families / name, "--input", recorded, "--out", "out.safetensors", "--gradients")
                ours, expected = tensors.read(work / "out.safetensors"), tensors.read(recorded)
                given = {"input_ids", "greedy.prompt", "padded.input_ids", "padded.attention_mask", "padded.labels"}
                # What stands at padded positions means nothing: tests/core/model/golden_families_test.cpp leaves them out.
                compared = {key: tensor for key, tensor in expected.items() if key not in given | {"padded.logits"}}
                self.assertIn("greedy.logits", compared)
                self.assertEqual(set(compared) - set(ours), set())
                self.check(ours, compared)

    def test_float64_agrees_to_the_rounding_of_the_recording(self):
        self.check(*self.probe("gmm_gate_cache", "--float64", "--gradients"), TOLERANCE_FLOAT64)

    def test_gradients_are_left_out_unasked(self):
        ours, _ = self.probe("mlp_gate_k2")
        self.assertFalse([key for key in ours if key.startswith("grad.")])

    def test_a_damaged_checkpoint_or_input_is_refused(self):
        work = self.folder()
        (work / "broken.safetensors").write_bytes(b"\xff" * 100)
        golden = GOLDEN / "mlp_gate_k2"
        options = ("--out", "out.safetensors")
        work.refuses("probe", "--from", golden, "--input", "broken.safetensors", *options, code=1, says="broken")
        work.refuses("probe", "--from", "nowhere", "--input", golden / "expected.safetensors", *options, code=1,
                     says="nowhere")
        tensors.write(work / "ids.safetensors", {"input_ids": tensors.Tensor([1, 3], [0, 1, 99999])})
        work.refuses("probe", "--from", golden, "--input", "ids.safetensors", *options, code=1, says="99999")
        self.assertFalse((work / "out.safetensors").exists())


if __name__ == "__main__":
    unittest.main()
