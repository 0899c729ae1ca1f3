"""Reads and writes safetensors files with the standard library, and compares what is in them."""

import array
import math

import mformer

CODES = {"F32": "f", "F64": "d", "I64": "q", "I32": "i"}


class Tensor:
    """A shape and its numbers, row by row."""

    def __init__(self, shape, values):
        self.shape = list(shape)
        self.values = values


def read(file):
    """name → Tensor. Only types that probe and the golden files use."""
    header, body = mformer.read_safetensors(file)
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        values = array.array(CODES[entry["dtype"]])
        values.frombytes(body[begin:end])
        tensors[name] = Tensor(entry["shape"], values)
    return tensors


def write(file, tensors):
    """Writes int64 tensors."""
    header, body = {}, b""
    for name, tensor in tensors.items():
        data = array.array("q", tensor.values).tobytes()
        header[name] = {"dtype": "I64", "shape": tensor.shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    mformer.write_safetensors(file, header, body)


def relative_error(ours, expected):
    """‖ours − expected‖ / ‖expected‖; infinite when a number is not finite."""
    distance = math.sqrt(sum((a - b) ** 2 for a, b in zip(ours.values, expected.values)))
    norm = math.sqrt(sum(b * b for b in expected.values))
    error = distance / norm if norm > 0 else distance
    return error if math.isfinite(error) else math.inf
