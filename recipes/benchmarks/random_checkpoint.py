#!/usr/bin/env python3
"""Writes a checkpoint of a GraniteMoE's geometry with random weights in bfloat16, from Python's standard library.

The defaults are granite-3.0-1b-a400m's: 1.33 billion parameters, 2.7 GB. Each matrix is a piece, at a place of its own, of one
block of normal numbers: no two modules are alike, and making it takes seconds."""
import argparse
import array
import json
import pathlib
import random
import struct

BLOCK = 1 << 21  # numbers


def normal_block(generator, deviation):
    numbers = array.array("f", (generator.gauss(0, deviation) for _ in range(BLOCK)))
    raw = numbers.tobytes()
    halves = bytearray(2 * BLOCK)
    halves[0::2], halves[1::2] = raw[2::4], raw[3::4]  # bfloat16: the upper half of a little-endian float32
    return bytes(halves)


def config_of(args):
    return {
        "architectures": ["GraniteMoeForCausalLM"], "model_type": "granitemoe", "attention_bias": False,
        "attention_multiplier": 1 / 64, "embedding_multiplier": 12.0, "logits_scaling": 6.0, "residual_multiplier": 0.22,
        "bos_token_id": 0, "eos_token_id": 0, "hidden_act": "silu", "hidden_size": args.width,
        "initializer_range": 0.02, "intermediate_size": args.hidden, "max_position_embeddings": 4096,
        "num_attention_heads": args.width // 64, "num_key_value_heads": args.width // 128, "num_experts_per_tok": 8,
        "num_hidden_layers": args.layers, "num_local_experts": args.experts, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
        "router_aux_loss_coef": 0.001, "tie_word_embeddings": True, "torch_dtype": "bfloat16", "vocab_size": args.vocabulary}


def shapes_of(args):
    width, keys = args.width, args.width // 2
    shapes = {"model.embed_tokens.weight": [args.vocabulary, width], "model.norm.weight": [width]}
    for layer in range(args.layers):
        name = f"model.layers.{layer}"
        shapes[f"{name}.input_layernorm.weight"] = shapes[f"{name}.post_attention_layernorm.weight"] = [width]
        for projection, rows in (("q", width), ("k", keys), ("v", keys), ("o", width)):
            shapes[f"{name}.self_attn.{projection}_proj.weight"] = [rows, width]
        moe = f"{name}.block_sparse_moe"
        shapes[f"{moe}.input_linear.weight"] = [args.experts, 2 * args.hidden, width]
        shapes[f"{moe}.output_linear.weight"] = [args.experts, width, args.hidden]
        shapes[f"{moe}.router.layer.weight"] = [args.experts, width]
    return shapes


def bytes_of(shape):
    count = 2
    for size in shape:
        count *= size
    return count


def write_weights(path, shapes, generator):
    header, position = {}, 0
    for name, shape in shapes.items():
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [position, position + bytes_of(shape)]}
        position += bytes_of(shape)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    block, ones = normal_block(generator, 0.02), struct.pack("<H", 0x3F80)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for shape in shapes.values():
            left = bytes_of(shape)
            if len(shape) == 1:
                file.write(ones * shape[0])
                continue
            while left > 0:
                at = 2 * generator.randrange(BLOCK // 2)
                piece = block[at:at + min(left, BLOCK)]
                file.write(piece)
                left -= len(piece)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    for name, default in (("layers", 24), ("width", 1024), ("experts", 32), ("hidden", 512), ("vocabulary", 49155)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    args.folder.mkdir(parents=True)
    (args.folder / "config.json").write_text(json.dumps(config_of(args), indent=2) + "\n")
    write_weights(args.folder / "model.safetensors", shapes_of(args), random.Random(1))


if __name__ == "__main__":
    main()
