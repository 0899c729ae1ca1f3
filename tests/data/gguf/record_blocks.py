"""Records blocks.json: blocks of every GGUF type that mformer reads with the numbers that the Python package `gguf` makes
of them, and numbers with the blocks that it makes of those. Run with numpy 2 and gguf 0.19.0:

    python tests/data/gguf/record_blocks.py > tests/data/gguf/blocks.json
"""

import json

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, dequantize, quantize

READ = ["F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"]
WRITTEN = ["F16", "BF16", "Q8_0", "Q4_0", "Q4_1"]
# Where a block has half-precision numbers: all other bytes may be anything.
HALVES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}


def halves(rng):
    return np.float16(rng.choice([0.0123, -0.37, 6e-8, 1.5, -0.0]) * rng.uniform(0.5, 2)).tobytes()


def decoded(name, rng):
    kind = GGMLQuantizationType[name]
    elements, size = GGML_QUANT_SIZES[kind]
    blocks = []
    for _ in range(4 if elements > 1 else 24):
        block = bytearray(rng.integers(0, 256, size, dtype=np.uint8).tobytes())
        if elements == 1 and block[1] & 0x7C == 0x7C:
            block[1] ^= 0x40  # a number, not infinity
        for at in HALVES.get(name, []):
            block[at : at + 2] = halves(rng)
        blocks.append(bytes(block))
    stored = np.frombuffer(b"".join(blocks), dtype=np.uint8).reshape(1, -1)
    numbers = dequantize(stored.view(np.float16) if name == "F16" else stored, kind)
    return {"blocks": stored.tobytes().hex(), "numbers": numbers.astype(np.float32).tobytes().hex()}


def encoded(name, rng):
    kind = GGMLQuantizationType[name]
    rows = [rng.normal(0, 0.05, 32), rng.normal(0, 3, 32), np.zeros(32), rng.uniform(2, 3, 32), -rng.uniform(0, 1, 32)]
    rows.append(np.where(np.arange(32) == 7, 1e-9, 0))  # too small for half precision
    rows.append(np.tile([1.0, -1.0], 16))  # two of equal magnitude
    rows.append(np.float64(rng.integers(-254, 255, 32)) / 2)  # halves between codes
    numbers = np.stack(rows).astype(np.float32)
    blocks = quantize(numbers, kind)
    return {"numbers": numbers.tobytes().hex(), "blocks": blocks.tobytes().hex()}


def main():
    rng = np.random.default_rng(20261128)
    record = {
        "decoded": {name: decoded(name, rng) for name in READ},
        "encoded": {name: encoded(name, rng) for name in WRITTEN},
    }
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
