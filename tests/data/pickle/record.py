"""Writes the fixtures of this folder with PyTorch's own torch.save (recorded with 2.11.0): python record.py"""

import os
from collections import OrderedDict

import torch


class Malicious:
    """Unpickling it would run a command."""

    def __reduce__(self):
        return os.system, ("touch this-must-not-exist",)


def state_dict() -> dict:
    """With tensors that share a storage and one that is not contiguous."""
    whole = torch.arange(12, dtype=torch.float32)
    return dict(
        weight=whole.view(3, 4),
        shared=whole[4:8],
        transposed=torch.arange(6, dtype=torch.float32).view(2, 3).t(),
        half=torch.tensor([0.5, -2.0], dtype=torch.float16),
        bfloat=torch.tensor([1.0, 3.0], dtype=torch.bfloat16),
    )


torch.save(state_dict(), "state_dict.bin")
torch.save(OrderedDict(state_dict()), "ordered.bin")
torch.save({"weight": torch.zeros(2), "extra": Malicious()}, "malicious.bin")
torch.save(state_dict(), "legacy.bin", _use_new_zipfile_serialization=False)
torch.save(torch.nn.Linear(2, 2), "module.bin")
