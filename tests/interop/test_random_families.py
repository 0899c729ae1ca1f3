"""What the program computes on random small checkpoints of every family, against the classes of transformers."""

import json
import os
import random
import subprocess
import unittest

import interop
import random_families
import reference
import torch
import transformers
from safetensors.torch import load_file, save_file

ROUNDS = 3


class RandomFamiliesTest(interop.InteropTest):
    def checkpoint(self, family, seed):
        drawn = random.Random(f"{family} {seed}")
        torch.manual_seed(seed)
        config = transformers.AutoConfig.for_model(family, **random_families.draw(family, drawn))
        model = transformers.AutoModelForCausalLM.from_config(config)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() == 1:  # norms and biases too are to matter
                    parameter.add_(torch.randn_like(parameter) * 0.3)
        folder = self.folder()
        model.save_pretrained(folder)
        if drawn.random() < 0.5:
            file = folder / "config.json"
            file.write_text(json.dumps(random_families.older_spelling(json.loads(file.read_text()))))
        return folder

    def run_program(self, *arguments):
        done = subprocess.run([os.environ["MFORMER_BIN"], *map(str, arguments)], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def probe(self, folder, inputs, *flags):
        save_file(inputs, folder / "input.safetensors")
        self.run_program("probe", "--from", folder, "--input", folder / "input.safetensors", "--out",
                         folder / "out.safetensors", *flags)
        return load_file(folder / "out.safetensors")

    def each(self):
        for family in random_families.FAMILIES:
            for seed in range(ROUNDS):
                with self.subTest(family=family, seed=seed):
                    yield self.checkpoint(family, seed), torch.Generator().manual_seed(seed)

    def test_every_number_and_gradient_is_theirs(self):
        for folder, generator in self.each():
            ids = torch.randint(3, 61, (2, 21), generator=generator)
            ours = self.probe(folder, {"input_ids": ids}, "--gradients", "--float64")
            theirs = reference.plain(folder, ids)
            for name in sorted(theirs.keys() - {"input_ids", "loss"}):
                # A gradient of zeros (of one expert's router, say) has no relative difference.
                if theirs[name].norm() > 1e-9:
                    self.assertAgrees(ours[name], theirs[name], name)

    def test_padded_rows_are_theirs(self):
        for folder, generator in self.each():
            theirs = reference.padded(folder, torch.randint(3, 61, (3, 14), generator=generator))
            mask = theirs["padded.attention_mask"]
            ours = self.probe(folder, {"input_ids": theirs["padded.input_ids"], "attention_mask": mask})
            self.assertAgrees(ours["logits"][mask.bool()], theirs["padded.logits"][mask.bool()])


if __name__ == "__main__":
    unittest.main()
