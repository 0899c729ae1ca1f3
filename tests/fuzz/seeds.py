#!/usr/bin/env python3
"""Makes the files that fuzzing begins with: FOLDER/READER/…, a few small ones for each reader.
"read_…" must be read; others are refused for one reason.

    seeds.py FOLDER
"""
import gzip
import hashlib
import json
import shutil
import struct
import sys
import zipfile
from pathlib import Path

from gguf_seeds import gguf_files

DATA = Path(__file__).resolve().parents[1] / "data"


def safetensors(tensors, metadata=None, pad=b""):
    header, data = {}, b""
    if metadata is not None:
        header["__metadata__"] = metadata
    for name, dtype, shape, content in tensors:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header, separators=(",", ":")).encode() + pad
    return struct.pack("<Q", len(text)) + text + data


def parcel():
    x, version, uid = hashlib.sha256(b"x").hexdigest(), "1" * 64, "0123456789ab"
    manifest = {"config": "{}", "tokenizer": x, "parts": [["wte", x]],
                "layers": [{"att_router": x, "att": [[uid, x, False]], "mlp_router": "", "mlp": []}]}
    operation = {"uid": uid, "command": "init", "arguments": "{}", "seed": -1, "code_version": "0.1.0", "started_ms": 1, "ended_ms": 2,
                 "outcome": "done", "message": "", "model": "base", "before": "", "after": version, "line": '["init"]', "folder": "/",
                 "threads": 2, "origin": uid, "data": [["train", "qa", "/data", "c"]]}
    return {"model": "base", "current": version, "operations": [operation], "modules": [[uid, "att", 0, uid, "init", "", "", 5]],
            "versions": [{"hash": version, "parent": "", "operation": uid, "model": "base", "number": 1, "created_ms": 3, "manifest": manifest}],
            "scores": [[version, "qa", "held_out", "loss", 1.5, 10, 0, -1]], "sizes": {x: 1},
            "statistics": [{"version": version, "task": "c", "rows": [[0, "att", uid, 4, 0.5, 0.25, 8]]}]}


def parcels():
    yield "read_one", json.dumps(parcel()).encode()


def bundles():
    index = {"models": [{"offer": {"model": "base", "current": "1" * 64, "versions": ["1" * 64]}, "parcel": parcel()}]}
    text = json.dumps(index).encode()
    yield "read_index", text
    whole = b"mformer bundle 1\ntext %d\n%sobject %s 1\nx" % (len(text), text, hashlib.sha256(b"x").hexdigest().encode())
    yield "read_whole", whole + b"end %s\n" % hashlib.sha256(whole).hexdigest().encode()


def safetensors_files():
    yield "read_two", safetensors([("a.weight", "F32", [2, 3], bytes(24)), ("b", "I8", [5], b"12345")], {"format": "pt"})
    yield "read_empty", safetensors([])
    yield "read_scalar", safetensors([("s", "F64", [], bytes(8)), ("none", "BF16", [0, 4], b""), ("h", "F16", [1, 1, 1], b"ab")], pad=b"   ")
    yield "hole", safetensors([("a", "U8", [4], b"1234")]) + b"x"


def small_checkpoint(changes=None, eight_bits=False):
    """A ModuleFormer of one layer, four wide: config.json, a byte 0, model.safetensors."""
    config = {"model_type": "moduleformer", "vocab_size": 3, "block_size": 8, "history_length": 8, "n_embd": 4, "n_layer": 1, "n_head": 1,
              "att_hidden": 4, "ffd_hidden": 8, "n_att_experts": 2, "n_mlp_experts": 2, "k_att": 1, "k_mlp": 1, "gate_type": "linear",
              "bos_token_id": 0, "eos_token_id": 0, **(changes or {})}
    shapes = {"transformer.wte.weight": [3, 4], "lm_head.weight": [3, 4]}
    for name in ("h.0.ln_1", "h.0.ln_2", "ln_f"):
        shapes.update({f"transformer.{name}.{part}": [4] for part in ("weight", "bias")})
    for bank, width in (("attn.q_proj", 4), ("mlpf", 8)):
        shapes[f"transformer.h.0.{bank}.gate.w_gate.0.weight"] = [2, 4]
        shapes[f"transformer.h.0.{bank}.experts.weight"] = [2, 4, width]
        shapes[f"transformer.h.0.{bank}.output_experts.weight"] = [2, width, 4]
    tensors = []
    for name, shape in shapes.items():
        count = 1
        for size in shape:
            count *= size
        if eight_bits and name.endswith("experts.weight"):
            tensors.append((name, "I8", shape, bytes(range(count))))
            scales = shape[0] * shape[2]
            tensors.insert(0, (name + "_scale", "F32", [shape[0], shape[2]], struct.pack(f"<{scales}f", *[0.5] * scales)))
        else:
            tensors.insert(0, (name, "F32", shape, struct.pack(f"<{count}f", *[0.25] * count)))
    return json.dumps(config).encode() + b"\0" + safetensors(tensors)


def checkpoints():
    yield "read_plain", small_checkpoint()
    yield "read_eight_bits", small_checkpoint({"quantization_config": {"quant_method": "mformer_int8", "weight_dtype": "int8",
                                                                       "scale": "per output channel"}}, eight_bits=True)
    yield "domains", small_checkpoint({"mformer_domains": [{"name": "d", "alone": False, "att": [[1]], "mlp": [[]], "hidden_att": [[]],
                                                            "hidden_mlp": [[0]]}]})


def domains():
    entry = {"name": "german", "alone": False, "att": [[3], []], "mlp": [[], [4]], "hidden_att": [[0], []], "hidden_mlp": [[], [1, 2]]}
    yield "read_one", json.dumps({"domains": [entry]}).encode()
    yield "two", json.dumps({"domains": [entry, {**entry, "name": "qa", "alone": True, "att": [[], []], "mlp": [[4], []]}]}).encode()
    yield "none", b"{}"


def snapshots():
    yield "no_checksum", safetensors([(name, "F32", [2, 3], bytes(24)) for name in ("a", "a.exp_avg", "a.exp_avg_sq")], {"steps": "3", "sha256": "0"})


def pickle_files():
    for name in ("state_dict", "ordered", "module", "malicious", "legacy"):
        yield name, (DATA / "pickle" / f"{name}.bin").read_bytes()


def pickle_programs():
    for name in ("state_dict", "ordered"):
        archive = zipfile.ZipFile(DATA / "pickle" / f"{name}.bin")
        program = next(entry for entry in archive.namelist() if entry.endswith("/data.pkl"))
        yield "read_" + name, archive.read(program)


def tokenizer(**changes):
    vocab = {chr(code): number for number, code in enumerate([*range(33, 127), *range(0xA1, 0xAD), *range(0xAE, 0x144)])}
    merges = [["h", "e"], ["l", "l"], ["he", "ll"], ["Ġ", "t"]]
    for left, right in merges:
        vocab[left + right] = len(vocab)
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    file = {"version": "1.0", "added_tokens": [{"id": len(vocab), "content": "<|end|>", "special": True}], "normalizer": None,
            "pre_tokenizer": byte_level, "post_processor": None, "decoder": byte_level,
            "model": {"type": "BPE", "vocab": vocab, "merges": merges}}
    model = changes.pop("model", {})
    file.update(changes)
    file["model"] = {**file["model"], **model}
    return json.dumps(file, ensure_ascii=False, separators=(",", ":")).encode()


def metaspace():
    vocab = {name: number for number, name in enumerate(["<unk>", "<s>", "</s>", "<0x0A>", "<0xC3>", "▁", "a", "b", "▁a", "ab"])}
    special = [{"id": number, "content": name, "special": True} for number, name in enumerate(["<unk>", "<s>", "</s>"])]
    return tokenizer(
        added_tokens=special, pre_tokenizer=None,
        normalizer={"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
                                                        {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        post_processor={"type": "TemplateProcessing", "pair": [],
                        "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                        "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        decoder={"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                                                  {"type": "ByteFallback"}, {"type": "Fuse"},
                                                  {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        model={"vocab": vocab, "merges": ["▁ a", "a b"], "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True})


SPLITS = [r"(?i:'s|'t|'re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+", r"\d|(?<=a)b", r"[\s\S]"]


def tokenizer_files():
    yield "read_bytes", tokenizer()
    yield "read_pieces", metaspace()
    byte_level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": False}
    for number, pattern in enumerate(SPLITS):
        for behaviour in ("Isolated", "Removed", "MergedWithPrevious"):
            steps = [{"type": "Split", "pattern": {"Regex": pattern}, "behavior": behaviour, "invert": False},
                     {"type": "Digits", "individual_digits": True}, byte_level]
            yield f"read_split_{number}_{behaviour}", tokenizer(pre_tokenizer={"type": "Sequence", "pretokenizers": steps}) + b"\0Some text 12"
    for kind in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents"):
        yield f"read_{kind}", tokenizer(normalizer={"type": kind}) + "\0Éﬁ e\u0301 İ".encode()


def sentencepiece_files():
    for name in ("plain", "named"):
        yield "read_" + name, (DATA / "tokenizer" / f"{name}.model").read_bytes()


def config_files():
    for config in sorted(DATA.glob("golden*/*/config.json")):
        yield "read_" + config.parent.name, config.read_bytes()


def chat_files():
    settings = {"bos_token": "<s>", "eos_token": {"content": "</s>", "special": True}, "add_bos_token": True, "legacy": False,
                "chat_template": [{"name": "default", "template": "{{ messages[0].content }}"}],
                "added_tokens_decoder": {"3": {"content": "<x>", "special": True}}}
    parts = {"tokenizer_config.json": json.dumps(settings), "generation_config.json": '{"eos_token_id": [1, 2]}',
             "special_tokens_map.json": '{"unk_token": "<unk>"}', "added_tokens.json": '{"<y>": 5}'}
    yield "read_all", "".join(f"== {name}\n{text}\n" for name, text in parts.items()).encode()
    yield "read_template", b"== chat_template.jinja\n{% for m in messages %}{{ m.role }}{% endfor %}\n== tokenizer_config.json\n{}\n"


def weight_indexes():
    yield "read_both", b'{"metadata":{"total_size":12},"weight_map":{"a":"one.safetensors","b":"two.safetensors","c":"two.safetensors"}}'
    yield "outside", b'{"weight_map":{"a":"../one.safetensors","b":"/dev/zero"}}'


RECORDS = [{"text": "a text"}, {"prompt": "p", "completion": "c"}, {"question": "q", "answer": "a"},
           {"instruction": "i", "input": "in", "output": "o"}, {"messages": [{"role": "user", "content": "u"}, {"role": "assistant", "content": [{"type": "text", "text": "a"}]}]},
           {"conversations": [{"from": "human", "value": "h"}, {"from": "gpt", "value": "g", "weight": 1}]}]


def corpus_files():
    lines = "\n".join(json.dumps(record) for record in RECORDS).encode()
    yield "read_lines", b"jsonl\n" + lines
    yield "read_array", b"json\n" + json.dumps(RECORDS, indent=1).encode()
    yield "read_table", b'csv\ntext,other\n"a ""quoted"", cell\nof two lines",1\nb,2\n'
    yield "read_tabs", b"tsv\nquestion\tanswer\nq\ta\n"
    yield "read_semicolons", b"csv\nprompt;completion\np;c\n"
    yield "read_text", b"txt\nwords and words\n\n" * 40
    yield "read_packed", b"jsonl.gz\n" + gzip.compress(lines, mtime=0)


def json_lines():
    for number, record in enumerate(RECORDS):
        yield f"read_{number}", json.dumps(record).encode()
    yield "read_python", rb'{"text": "\ud800 \ud83d\ude00 \u0000", "n": [NaN, -Infinity, 1e999, -0, 1.5e-3, 18446744073709551616], "t": true, "z": null}'


def gzip_files():
    yield "read_two_members", gzip.compress(b"one", mtime=0) + gzip.compress(b"two" * 50, mtime=0)
    yield "read_many_zeros", gzip.compress(bytes(100_000), mtime=0)
    yield "read_stored", gzip.compress(bytes(range(256)), 0, mtime=0)


def token_files():
    tokens, starts = [5, 6, 7 | 1 << 31, 0], [0, 3, 4]
    body = struct.pack("<4I", *tokens) + struct.pack("<3Q", *starts)
    header = struct.pack("<8sIIQQQ64s64s", b"MFTOKENS", 1, 256, len(tokens), len(starts) - 1, 11, b"a" * 64, b"b" * 64)
    rest = header + bytes(64 + 24)
    checksum = hashlib.sha256(body + rest).hexdigest().encode()
    yield "read_two_documents", header + checksum + bytes(24) + body
    yield "no_checksum", rest + body


def regexes():
    for number, pattern in enumerate([*SPLITS, "(a|b)*c", r"(?<x>\p{Lu})\k<x>|\A\b", "((a+)+)+$", r"[^\x{1F600}-\x{1F64F}&&\w]"]):
        yield f"read_{number}", pattern.encode() + "\0aab abc ÄÄ 12\n".encode()


def words():
    for number, word in enumerate(["all", "kind=mlp,layer=0-3,index=4", "uid=3f2a,unfrozen", "born=extend:de,domain=base", "share(qa)>=0.02,top-share(x)=0.9"]):
        yield f"read_{number}", word.encode()
    yield "fields", b"prompt=ask,completion=reply"


def templates():
    yield "read_chatml", (b"{%- for message in messages %}\n{{- '<|im_start|>' + message['role'] + '\\n' + message.content | trim -}}\n{%- endfor -%}"
                          b"{# a comment #}{% if add_generation_prompt %}{{ bos_token }}{% else %}x{% endif %}")
    yield "read_macro", b"{% macro f(x) %}{{ x|length }}{% endmacro %}{% set ns = namespace(n=0) %}{{ f([1, 2]) }}{{ {'a': [1][0]}['a'] }}"
    yield "endless", b"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"
    yield "raises", b"{{ raise_exception('no') }}"


def chat_documents():
    yield from ((name.removeprefix("read_"), text) for name, text in templates())
    yield "read_plain", b"{% for m in messages %}<s>{{ m.role }}: {{ m.content }}</s>\n{% endfor %}{% if add_generation_prompt %}<s>assistant: {% endif %}"
    yield "read_last", b"{%- for message in messages -%}{{ bos_token if loop.first }}[{{ message['role'] }}]{{ message['content'] }}{{ eos_token }}{% endfor %}{{ '[assistant]' if add_generation_prompt }}"
    yield "dated", b"{{ strftime_now('%d %b %Y') }}{% for m in messages %}{{ m.content }}{% endfor %}"


def defaults():
    yield "read_all", b"# of every command\nthreads = 2\nquiet = true\n\nextend.steps = 400\nextend.quick = false\ninspect keep-curve.keep = 0.25\nextend.into = b\n"
    yield "unknown", b"extend.stepz = 1\n"
    yield "out_of_range", b"extend.steps = 1001\n"
    yield "forbidden", b"workspace = /\n"


def hub_caches():
    yield "read_named", b"0123abcd\n\0org/name"
    yield "read_other", b"4567\0models--org--name"
    yield "outside", b"../../outside\0org/name"
    yield "none", b"\0org/none"


def question_files():
    lines = [{"question": "q", "choices": ["a", "b"], "answer": 1}, {"prompt": "p\n", "choices": ["a", "b", "c"], "answer": "B"},
             {"question": "1+1?", "answer": " 2 "}, {"prompt": "x", "choices": ["x", "y"], "answer": "y", "more": [1, None]}]
    yield "read_all", "\n\n".join(json.dumps(line) for line in lines).encode() + b"\r\n"
    yield "neither", b'{"answer": "a"}'
    yield "beyond", b'{"question": "q", "choices": ["a", "b"], "answer": 2}'


def sessions():
    session = json.dumps({"command": "train", "arguments_json": json.dumps({"steps": 2}, separators=(",", ":")), "seed": 7, "code_version": "0.1.0"})
    steps = "".join(json.dumps({"step": step, "loss": 5 / step, "tokens": 64}) + "\n" for step in range(1, 100))
    yield "read_whole", f"== session.json\n{session}\n== metrics.jsonl\n{steps}".encode()
    yield "read_extremes", f'== session.json\n{session}\n== metrics.jsonl\n{{"step":1,"loss":1e308}}\n{{"step":2,"loss":-1e308}}\n{{"step":'.encode()
    yield "read_no_steps", f"== session.json\n{session}\n".encode()
    yield "another", session.replace("7", "8").encode()


KINDS = {"chat_document": chat_documents, "defaults": defaults, "hub_cache": hub_caches, "questions": question_files, "session": sessions,
         "parcel": parcels, "bundle": bundles, "safetensors": safetensors_files, "pickle": pickle_files, "pickle_program": pickle_programs, "tokenizer": tokenizer_files,
         "sentencepiece": sentencepiece_files, "config": config_files, "chat_files": chat_files, "weight_index": weight_indexes,
         "corpus": corpus_files, "json_line": json_lines, "gzip": gzip_files, "token_file": token_files, "regex": regexes,
         "words": words, "template": templates, "gguf": gguf_files, "checkpoint": checkpoints, "domains": domains, "snapshot": snapshots}


def main(folder):
    for kind, files in KINDS.items():
        shutil.rmtree(folder / kind, ignore_errors=True)
        (folder / kind).mkdir(parents=True)
        for name, content in files():
            (folder / kind / name).write_bytes(content)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
