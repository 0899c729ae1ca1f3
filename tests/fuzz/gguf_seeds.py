"""GGUF files of some kilobytes: https://github.com/ggml-org/ggml, docs/gguf.md. For seeds.py."""
import struct

U32, F32, BOOL, TEXT, LIST, U64 = 4, 6, 7, 8, 9, 10
# Elements and bytes of a block by the number of its type.
BLOCKS = {0: (1, 4), 1: (1, 2), 30: (1, 2), 8: (32, 34), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 12: (256, 144), 13: (256, 176),
          14: (256, 210)}


def text(value):
    return struct.pack("<Q", len(value.encode())) + value.encode()


def value(kind, content):
    if kind == TEXT:
        return text(content)
    if kind == LIST:
        item, items = content
        return struct.pack("<IQ", item, len(items)) + b"".join(value(item, each) for each in items)
    return struct.pack({U32: "<I", F32: "<f", BOOL: "<?", U64: "<Q", 5: "<i"}[kind], content)


def gguf(keys, tensors):
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    for name, (kind, content) in keys.items():
        head += text(name) + struct.pack("<I", kind) + value(kind, content)
    data = b""
    for name, shape, kind in tensors:
        data += bytes(-len(data) % 32)
        head += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, len(data))
        elements, size = BLOCKS[kind]
        count = 1
        for each in shape:
            count *= each
        data += bytes(count // elements * size)
    return head + bytes(-len(head) % 32) + data if tensors else head


def llama_keys():
    sizes = {"block_count": 1, "context_length": 64, "embedding_length": 32, "feed_forward_length": 32, "attention.head_count": 2,
             "attention.head_count_kv": 1}
    keys = {"general.architecture": (TEXT, "llama"), "general.name": (TEXT, "tiny"), "general.alignment": (U32, 32)}
    keys.update({f"llama.{name}": (U32, number) for name, number in sizes.items()})
    keys["llama.attention.layer_norm_rms_epsilon"] = (F32, 1e-5)
    keys["llama.rope.freq_base"] = (F32, 10000.0)
    keys["llama.rope.dimension_count"] = (U32, 16)
    return keys


def byte_tokens():
    tokens = ["<|end|>", "a", "b", "c", "Ġ", "ab", "Ġa", "<|start|>"]
    return {"tokenizer.ggml.model": (TEXT, "gpt2"), "tokenizer.ggml.pre": (TEXT, "gpt-2"), "tokenizer.ggml.tokens": (LIST, (TEXT, tokens)),
            "tokenizer.ggml.token_type": (LIST, (5, [3, 1, 1, 1, 1, 1, 1, 3])), "tokenizer.ggml.merges": (LIST, (TEXT, ["a b", "Ġ a"])),
            "tokenizer.ggml.bos_token_id": (U32, 7), "tokenizer.ggml.eos_token_id": (U32, 0), "tokenizer.ggml.add_bos_token": (BOOL, True)}


def piece_tokens():
    tokens = ["<unk>", "<s>", "</s>", "<0x0A>", "<0xC3>", "▁", "a", "b", "▁a", "ab"]
    return {"tokenizer.ggml.model": (TEXT, "llama"), "tokenizer.ggml.tokens": (LIST, (TEXT, tokens)),
            "tokenizer.ggml.scores": (LIST, (F32, [0.0, 0.0, 0.0, 0.0, 0.0, -1.0, -2.0, -3.0, -4.0, -5.0])),
            "tokenizer.ggml.token_type": (LIST, (5, [2, 3, 3, 6, 6, 1, 1, 1, 1, 1])), "tokenizer.ggml.bos_token_id": (U32, 1),
            "tokenizer.ggml.eos_token_id": (U32, 2), "tokenizer.ggml.unknown_token_id": (U32, 0),
            "tokenizer.chat_template": (TEXT, "{{ messages }}")}


def llama_tensors(kind):
    block = {"attn_norm": [32], "ffn_norm": [32], "attn_q": [32, 32], "attn_k": [32, 16], "attn_v": [32, 16], "attn_output": [32, 32],
             "ffn_gate": [32, 32], "ffn_up": [32, 32], "ffn_down": [32, 32]}
    tensors = [("token_embd.weight", [32, 8], kind)]
    tensors += [(f"blk.0.{name}.weight", shape, 0 if len(shape) == 1 else kind) for name, shape in block.items()]
    return [*tensors, ("output_norm.weight", [32], 0)]


def gguf_files():
    yield "read_llama", gguf({**llama_keys(), **byte_tokens()}, llama_tensors(8))
    yield "read_pieces", gguf({**llama_keys(), **piece_tokens()}, llama_tensors(2))
    for kind in BLOCKS:
        yield f"type_{kind}", gguf({"general.architecture": (TEXT, "llama")}, [("x", [256, 2], kind), ("y", [32], 0)])
    yield "tokenizer", gguf(byte_tokens(), [])
