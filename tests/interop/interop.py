"""What the tests share: golden data, models loaded as users load them, and one measure of agreement."""

import atexit
import logging
import os
import shutil
import tempfile
import unittest
from pathlib import Path

# The code of a checkpoint is copied to where transformers keeps such code: here, for as long as the tests run.
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="mformer-interop-home-")
os.environ["HF_HUB_OFFLINE"] = "1"
atexit.register(shutil.rmtree, os.environ["HF_HOME"], ignore_errors=True)

import native
import torch
import transformers
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM
from transformers.modeling_outputs import MoeCausalLMOutputWithPast

DATA = native.ROOT / "tests" / "data"
FAMILIES = DATA / "golden-families"
REFERENCE = DATA / "golden"
# ‖ours − theirs‖ / ‖theirs‖. The recordings are float64 rounded once, ours is float32: up to 6e-7 was seen.
TOLERANCE = 1e-5
# What outputs of this version of transformers call the key/value cache.
CACHE = "cache" if "cache" in MoeCausalLMOutputWithPast.__dataclass_fields__ else "past_key_values"


def relative_error(ours, theirs):
    ours, theirs = ours.detach().double(), theirs.detach().double()
    return ((ours - theirs).norm() / theirs.norm()).item()


class InteropTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        torch.manual_seed(0)
        torch.set_num_threads(1)
        transformers.utils.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        logging.disable(logging.WARNING)

    def folder(self):
        held = tempfile.TemporaryDirectory(prefix="mformer-interop-")
        self.addCleanup(held.cleanup)
        return Path(held.name)

    def load(self, folder, **how):
        """The model in `folder`, which must have every tensor that the model wants and no other."""
        model, notes = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True, output_loading_info=True, **how)
        for name in ("missing_keys", "unexpected_keys", "mismatched_keys"):
            self.assertFalse(notes[name], f"{folder}: {name}")
        return model.eval()

    def converted(self, source):
        return self.load(native.convert(source, self.folder() / "native"))

    def assertAgrees(self, ours, theirs, what="", tolerance=TOLERANCE):
        self.assertEqual(tuple(ours.shape), tuple(theirs.shape), what)
        self.assertLess(relative_error(ours, theirs), tolerance, what)


def expected_of(folder):
    return load_file(folder / "expected.safetensors")
