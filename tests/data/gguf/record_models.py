"""Records NAME.gguf for folders of tests/data/golden-families with the converter of llama.cpp (convert_hf_to_gguf.py and
gguf-py of llama-cpp-python 0.3.16), in float32, so that the tensors are those of the folder bit for bit. Needs torch,
transformers and numpy; the tokenizer, which the folders lack, is left out.

    python tests/data/gguf/record_models.py LLAMA_CPP_FOLDER
"""

import json
import sys
import tempfile
from pathlib import Path
from unittest.mock import MagicMock

from safetensors.numpy import load_file, save_file

HERE = Path(__file__).resolve().parent
GOLDEN = HERE.parent / "golden-families"
NAMES = ["llama", "llama_biases", "mixtral", "granitemoe", "granitemoeshared", "olmoe", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe"]

# What llama.cpp has no name for: the dense second layer of the one, the biases of the other.
CHANGED = {"qwen2_moe": {"num_hidden_layers": 1, "mlp_only_layers": []}, "qwen3": {"attention_bias": False}}


def is_kept(name, config):
    layer = int(name.split(".")[2]) if name.startswith("model.layers.") else 0
    biased = config["model_type"] != "qwen3" or config["attention_bias"]
    return layer < config["num_hidden_layers"] and (biased or not name.endswith(".bias"))


def as_transformers_4(config):
    """The converter reads the older spelling."""
    rotary = config.pop("rope_parameters")
    config["rope_theta"] = rotary.pop("rope_theta")
    if rotary["rope_type"] != "default":
        config["rope_scaling"] = rotary
        # Where this converter looks for it.
        config["original_max_position_embeddings"] = rotary.get("original_max_position_embeddings", 8192)
    if config["model_type"] in ("qwen3_moe", "qwen2_moe", "olmoe"):
        config["num_experts"] = config.get("num_experts", config.get("num_local_experts"))
        config.pop("num_local_experts", None)
    if config.get("head_dim", 0) is None:
        del config["head_dim"]
    return config


def main(llama_cpp):
    sys.path[:0] = [llama_cpp, llama_cpp + "/gguf-py"]
    import transformers  # noqa: F401  (asks for the modules below, which are absent)

    for absent in ("", ".tokens", ".tokens.tokenizers", ".tokens.tokenizers.base", ".tokens.tokenizers.multimodal",
                   ".tokens.tokenizers.tekken", ".tokens.tokenizers.sentencepiece"):
        sys.modules["mistral_common" + absent] = MagicMock()  # for tokenizers alone
    import convert_hf_to_gguf as convert
    import gguf

    # This version knows Mixtral's router by the name of another family's gate too, and takes that.
    gates = gguf.TensorNameMap.block_mappings_cfg
    router = "model.layers.{bid}.block_sparse_moe.gate"
    gates[gguf.MODEL_TENSOR.FFN_GATE] = tuple(one for one in gates[gguf.MODEL_TENSOR.FFN_GATE] if one != router)
    for name in NAMES:
        with tempfile.TemporaryDirectory() as folder:
            config = as_transformers_4(json.loads((GOLDEN / name / "config.json").read_text()))
            config.update(CHANGED.get(name, {}))
            Path(folder, "config.json").write_text(json.dumps(config))
            tensors = load_file(GOLDEN / name / "model.safetensors")
            kept = {key: value for key, value in tensors.items() if is_kept(key, config)}
            save_file(kept, Path(folder, "model.safetensors"))
            kind = convert.ModelBase.from_model_architecture(config["architectures"][0])
            kind.set_vocab = lambda self: None
            out = HERE / f"{name}.gguf"
            kind(Path(folder), gguf.LlamaFileType.ALL_F32, out, model_name=name, hparams=config).write()


if __name__ == "__main__":
    main(sys.argv[1])
