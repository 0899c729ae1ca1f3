"""Writes small checkpoint folders with the standard library: config, weights in either format, tokenizer."""

import collections
import json
import random
import struct
import zipfile

import mformer

END = "<|endoftext|>"
CONFIG = {
    "model_type": "moduleformer", "vocab_size": 257, "block_size": 16, "history_length": 16, "n_embd": 4, "n_layer": 1,
    "n_head": 1, "att_hidden": 4, "ffd_hidden": 4, "n_att_experts": 2, "n_mlp_experts": 2, "k_att": 1, "k_mlp": 1,
    "gate_type": "linear", "gating_size": 4, "torch_dtype": "float32", "bos_token_id": None, "eos_token_id": 0
}
Tensor = collections.namedtuple("Tensor", "shape values")


def weights(seed=0, **changed):
    """name → Tensor of the config above; `changed` by the last part of a name, as a function of the tensor's values."""
    shapes = {
        "transformer.wte.weight": [257, 4], "transformer.h.0.ln_1.weight": [4], "transformer.h.0.ln_1.bias": [4],
        "transformer.h.0.attn.q_proj.experts.weight": [2, 4, 4],
        "transformer.h.0.attn.q_proj.output_experts.weight": [2, 4, 4],
        "transformer.h.0.attn.q_proj.gate.w_gate.0.weight": [2, 4], "transformer.h.0.ln_2.weight": [4],
        "transformer.h.0.ln_2.bias": [4], "transformer.h.0.mlpf.experts.weight": [2, 4, 4],
        "transformer.h.0.mlpf.output_experts.weight": [2, 4, 4],
        "transformer.h.0.mlpf.gate.w_gate.0.weight": [2, 4], "transformer.ln_f.weight": [4],
        "transformer.ln_f.bias": [4], "lm_head.weight": [257, 4]
    }
    numbers = random.Random(seed)
    result = {}
    for name, shape in shapes.items():
        count = 1
        for size in shape:
            count *= size
        result[name] = Tensor(shape, [numbers.gauss(0, 0.1) for _ in range(count)])
    for name, values in changed.items():
        whole = next(one for one in result if one.replace(".", "_").endswith(name))
        result[whole] = Tensor(result[whole].shape, values(result[whole].values))
    return result


def always(token):
    """Changes for weights(): the model answers `token` whatever it reads."""
    return {
        "ln_f_weight": lambda values: [0.0] * len(values),
        "ln_f_bias": lambda values: [1.0] * len(values),
        "lm_head_weight": lambda values: [1.0 if i // 4 == token else 0.0 for i in range(len(values))]
    }


def write_config(folder, **changed):
    folder.mkdir(exist_ok=True)
    config = {name: value for name, value in {**CONFIG, **changed}.items() if value is not ...}
    (folder / "config.json").write_text(json.dumps(config))


def write_tokenizer(folder, end=END):
    """All 256 bytes, each a token, after the one that ends a text."""
    own = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    letters = {byte: chr(byte) if byte in own else chr(next(others)) for byte in range(256)}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    added = {"id": 0, "content": end, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
             "special": True}
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
             "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
             "vocab": {end: 0, **{letters[byte]: byte + 1 for byte in range(256)}}, "merges": []}
    (folder / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [added], "normalizer": None,
        "pre_tokenizer": level, "post_processor": None, "decoder": level, "model": model}))


def write_safetensors(file, tensors, **metadata):
    header, body = {"__metadata__": {"format": "pt", **metadata}}, b""
    for name, tensor in tensors.items():
        data = struct.pack(f"<{len(tensor.values)}f", *tensor.values)
        header[name] = {"dtype": "F32", "shape": tensor.shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    mformer.write_safetensors(file, header, body)


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def whole(value):
    return b"\x8a\x08" + struct.pack("<q", value)


def row(items):
    return b"(" + b"".join(items) + b"t"


def write_pickle(file, tensors, **lies):
    """As torch.save(model.state_dict()) does; `lies` about the head: offset, stored, strides, bytes."""
    empty = b"ccollections\nOrderedDict\n)R"
    program, storages = b"\x80\x02" + empty + b"(", []
    for key, (name, tensor) in enumerate(tensors.items()):
        strides = [1]
        for size in reversed(tensor.shape):
            strides.insert(0, strides[0] * size)
        data = struct.pack(f"<{len(tensor.values)}f", *tensor.values)
        told = {"offset": 0, "stored": strides.pop(0), "strides": strides, "bytes": len(data)}
        if name == "lm_head.weight":
            told.update(lies)
        storages.append(data[:told["bytes"]])
        storage = row([text("storage"), b"ctorch\nFloatStorage\n", text(str(key)), text("cpu"), whole(told["stored"])])
        program += text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n" + row([
            storage + b"Q", whole(told["offset"]), row(map(whole, tensor.shape)), row(map(whole, told["strides"])),
            b"\x89", empty
        ]) + b"R"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", program + b"u.")
        for key, data in enumerate(storages):
            archive.writestr(f"archive/data/{key}", data)
        archive.writestr("archive/version", "3\n")


def write_checkpoint(folder, tensors=None, end=END, **config):
    write_config(folder, **config)
    write_tokenizer(folder, end)
    write_safetensors(folder / "model.safetensors", tensors or weights())
