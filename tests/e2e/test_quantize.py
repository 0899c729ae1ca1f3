import array
import json
import math
import shutil
import struct
import time
import unittest

import mformer
import tensors

QUANTIZE = ("--quantize", "int8", "--max-tokens", "600")
BLOCKS = "h.1.mlp.2.out"  # of its transpose, in mformer's own layout
SCALE, CODES = BLOCKS + "_scale", BLOCKS  # int8 by output channel, as for transformers


def losses(rows, field):
    return {row["task"]: row[field] for row in rows}


class QuantizeTest(mformer.EndToEndTest):
    def quantized(self):
        """A workspace with the folder int8/, exported from base@2, and the model q, imported from it."""
        work = self.workspace()
        work.run("export", "int8", *QUANTIZE)
        work.run("import", "int8", "--name", "q")
        return work

    def test_a_weight_too_large_for_what_is_written_is_refused_and_nothing_is_left(self):
        work = self.folder()
        shutil.copytree(mformer.DATA / "golden-families/llama", work / "big")
        header, body = mformer.read_safetensors(work / "big/model.safetensors")
        name = "model.layers.0.mlp.up_proj.weight"
        self.assertEqual(header[name]["dtype"], "F32")
        begin = header[name]["data_offsets"][0]
        mformer.write_safetensors(work / "big/model.safetensors", header, body[:begin] + struct.pack("<f", -70000) + body[begin + 4:])
        work.run("init", "--from", "big", "--name", "m")
        for number, flags in enumerate((("--dtype", "float16"), ("--quantize", "int8", "--no-eval"), ("--quantize", "int4", "--no-eval"),
                                        ("--format", "gguf", "--dtype", "float16"), ("--format", "gguf", "--quantize", "q8_0"))):
            with self.subTest(flags):
                before = sorted(path.name for path in work.path.iterdir())
                work.refuses("export", f"out{number}.gguf", *flags, code=1, says="holds the number 70000, which is too large for",
                             hint="--dtype bfloat16 or float32")
                self.assertEqual(sorted(path.name for path in work.path.iterdir()), before)
        for dtype in ("bfloat16", "float32"):
            work.run("export", dtype, "--dtype", dtype)

    def test_reports_the_losses_that_eval_gives_for_the_imported_checkpoints(self):
        work = self.workspace()
        work.run("task", "add", "german", "--data", "german")
        made = work.run("export", "int8", *QUANTIZE, "--json").json
        work.run("export", "half", "--dtype", "bfloat16")
        measured = {}
        for folder in ("int8", "half"):
            work.run("import", folder, "--name", folder)
            rows = work.run("--model", folder, "eval", "--max-tokens", "600", "--json").json["tasks"]
            measured[folder] = losses(rows, "loss")
        self.assertFalse(made["loadable_by_reference"])
        cost = made["quantization"]
        self.assertEqual((cost["method"], cost["compared_with"]), ("int8", "bfloat16"))
        self.assertEqual(losses(cost["tasks"], "before"), measured["half"])
        self.assertEqual(losses(cost["tasks"], "after"), measured["int8"])
        self.assertEqual(set(measured["int8"]), {"english", "german"})
        for row in cost["tasks"]:
            self.assertEqual(row["change"], row["after"] - row["before"])
            self.assertLess(abs(row["change"]), 0.02)
        sizes = {name: (work / name / "model.safetensors").stat().st_size for name in ("int8", "half")}
        self.assertLess(sizes["int8"], 0.7 * sizes["half"])
        for name, side in (("half", "before"), ("int8", "after")):
            self.assertAlmostEqual(cost["weight_bytes"][side], sizes[name], delta=8000)  # the file's header

    def test_prints_a_table_and_who_can_read_the_folder(self):
        work = self.workspace()
        text = work.run("export", "int8", *QUANTIZE).out
        for part in ("only mformer reads this", "bfloat16", "int8", "loss of english", "weights"):
            self.assertIn(part, text)
        self.assertNotIn("loss of", work.run("export", "unmeasured", "--quantize", "int8", "--no-eval").out)
        alone = self.folder("alone")
        alone.run("init", "--preset", "tiny", "--no-tokenizer")
        self.assertIn("no loss was measured", alone.run("export", "int8", "--quantize", "int8").out)

    def test_every_weight_is_within_half_a_scale_in_8_bits_and_a_step_in_4(self):
        work = self.workspace()
        header, body = mformer.read_safetensors(work / "checkpoint" / "model.safetensors")
        name = "transformer.h.1.mlpf.output_experts.weight"
        modules, inner, columns = header[name]["shape"]
        values = array.array("f")
        values.frombytes(body[slice(*header[name]["data_offsets"])])
        weights = values[2 * inner * columns:3 * inner * columns]
        for kind, size in (("int8", 34), ("int4", 20)):
            work.run("export", kind, "--quantize", kind, "--no-eval")
            header, body = mformer.read_safetensors(work / kind / "model.safetensors")
            groups = -(-inner // 32)
            self.assertEqual((header[BLOCKS]["dtype"], header[BLOCKS]["shape"]), ("U8", [columns, groups, size]))
            data = body[slice(*header[BLOCKS]["data_offsets"])]
            for column in range(columns):
                for group in range(groups):
                    block = data[(column * groups + group) * size:][:size]
                    own = [weights[i * columns + column] for i in range(32 * group, min(inner, 32 * group + 32))]
                    for at, weight in enumerate(own):
                        if kind == "int8":
                            scale, code = struct.unpack("<e", block[:2])[0], struct.unpack("b", block[2 + at:3 + at])[0]
                            self.assertLessEqual(abs(weight - scale * code), 0.5001 * scale)
                        else:
                            scale, least = struct.unpack("<ee", block[:4])
                            code = block[4 + at % 16] >> (4 if at >= 16 else 0) & 15
                            step = (max(own) - min(own)) / 15
                            self.assertLessEqual(abs(weight - scale * code - least), 1.001 * step + abs(least) / 2048)

    def test_quantised_again_is_the_same_file_and_without_it_its_values(self):
        work = self.quantized()
        work.run("--model", "q", "export", "again", *QUANTIZE)
        for name in ("model.safetensors", "config.json"):
            self.assertEqual((work / "again" / name).read_bytes(), (work / "int8" / name).read_bytes())
        made = work.run("--model", "q", "export", "values", "--json").json
        self.assertEqual((made["loadable_by_reference"], made["quantization"]), (True, None))
        self.assertNotIn("quantization_config", json.loads((work / "values" / "config.json").read_text()))
        header, _ = mformer.read_safetensors(work / "values" / "model.safetensors")
        self.assertEqual({entry["dtype"] for name, entry in header.items() if name != "__metadata__"}, {"BF16"})
        work.run("import", "values", "--name", "values")
        work.run("--model", "values", "train", "--task", "english", "--steps", "2", *mformer.QUICK)

    def test_what_reads_and_what_removes_modules_works_on_them(self):
        work = self.quantized()
        tensors.write(work / "ids.safetensors", {"input_ids": tensors.Tensor([1, 8], range(8))})
        probe = ("probe", "--input", "ids.safetensors", "--out", "out.safetensors")
        for line in (("inspect", "modules"), ("inspect", "routing"), ("inspect", "lineage"), probe,
                     (*probe, "--float64", "--gradients"), ("generate", "--max-tokens", "4", "--temperature", "0"),
                     ("diff", "base", "q"), ("freeze", "layer=0"), ("unfreeze", "layer=0"),
                     ("prune", "--task", "english", "--keep", "0.5", "--eval-tokens", "600"), ("eval",), ("fsck",),
                     ("undo",), ("gc",), ("fsck",)):
            with self.subTest(command=line):
                work.run("--model", "q", *line)

    def test_training_them_is_refused(self):
        work = self.quantized()
        for line in (("train", "--task", "english"), ("finetune", "--task", "english"), ("extend", "--data", "german"),
                     ("prune", "--task", "english", "--keep", "0.5", "--heal-steps", "2")):
            with self.subTest(command=line):
                work.refuses("--model", "q", *line, code=1, says="quantised, which can't be trained", hint="mformer export")
        tensors.write(work / "ids.safetensors", {"input_ids": tensors.Tensor([1, 8], range(8))})
        work.refuses("--model", "q", "probe", "--input", "ids.safetensors", "--out", "out", "--gradients", code=1,
                     says="quantised weights have no gradients", hint="--float64")

    def test_options_without_a_meaning_are_refused(self):
        work = self.workspace()
        work.refuses("export", "x", "--quantize", "int3", code=2, says="int3", hint="int8, int4")
        work.refuses("export", "x", "--quantize", "int3", "--dry-run", code=2, says="int3", hint="int8, int4")
        work.refuses("export", "x", "--quantize", "int4", "--for", "transformers", code=2, says="no int4", hint="int8")
        work.refuses("export", "x", "--quantize", "int8", "--dtype", "float8", code=2, says="float8", hint="bfloat16")
        work.refuses("export", "x", "--no-eval", code=2, says="--quantize")
        work.refuses("export", "x", "--max-tokens", "5", code=2, says="--quantize")
        work.refuses("export", "x", "--quantize", "int8", "--max-tokens", "0", code=2, says="--max-tokens")
        work.refuses("export", "checkpoint", "--quantize", "int8", code=1, says="not empty", hint="--overwrite")
        self.assertFalse((work / "x").exists())

    def test_damaged_blocks_are_refused(self):
        work = self.workspace()
        work.run("export", "int4", "--quantize", "int4", "--no-eval")
        file = work / "int4" / "model.safetensors"
        header, body = mformer.read_safetensors(file)
        begin, end = header[BLOCKS]["data_offsets"]
        entry = header[BLOCKS]

        def refused(says, changed=entry, body=body):
            mformer.write_safetensors(file, {**header, BLOCKS: changed}, body)
            work.refuses("import", "int4", "--name", "other", code=1, says=says)

        for at in (0, 2, 20 * 7):
            for half in (math.inf, -math.inf, math.nan):
                value = struct.pack("<e", half)
                refused(f"'{BLOCKS}' holds a scale or a minimum that is not finite",
                        body=body[:begin + at] + value + body[begin + at + 2:])
        columns, groups, size = entry["shape"]
        refused(f"'{BLOCKS}' has the shape", {**entry, "shape": [columns * groups, size]})
        refused(f"'{BLOCKS}' has the shape", {**entry, "shape": [columns, size, groups]})
        refused(f"'{BLOCKS}' is stored as I8", {**entry, "dtype": "I8"})
        mformer.write_safetensors(file, header, body)
        work.run("import", "int4", "--name", "other")
        config_file = work / "int4" / "config.json"
        config = json.loads(config_file.read_text())
        config["quantization_config"]["group_size"] = 64
        config_file.write_text(json.dumps(config))
        work.refuses("import", "int4", "--name", "third", code=1, says="quantised in a way that is unknown",
                     hint="--quantize")

    def test_domains_keep_their_private_parts_in_8_bits(self):
        work = self.workspace()
        work.run("extend", "--data", "german", "--steps", "2", *mformer.QUICK)
        work.run("export", "int8", *QUANTIZE)
        header, _ = mformer.read_safetensors(work / "int8" / "mformer_domains.safetensors")
        for name, entry in header.items():
            if name.endswith(("/wte", "/lm_head", "_proj.weight")):
                self.assertEqual(entry["dtype"], "U8")
        work.run("import", "int8", "--name", "q")
        work.run("--model", "q", "export", "again", *QUANTIZE)
        for name in ("model.safetensors", "mformer_domains.safetensors"):
            self.assertEqual((work / "again" / name).read_bytes(), (work / "int8" / name).read_bytes())
        for domain in (("--domain", "german"), ("--domain", "base"), ()):
            work.run("--model", "q", "generate", "--prompt", "Der", "--max-tokens", "4", *domain)
        work.run("--model", "q", "eval", "--max-tokens", "600")

    def test_damaged_checkpoints_of_codes_by_output_channel_are_refused(self):
        work = self.workspace()
        work.run("export", "int8", *QUANTIZE, "--for", "transformers")
        file = work / "int8" / "model.safetensors"
        header, body = mformer.read_safetensors(file)

        def refused(says, header=header, body=body):
            mformer.write_safetensors(file, header, body)
            work.refuses("import", "int8", "--name", "other", code=1, says=says)

        begin, end = header[SCALE]["data_offsets"]
        for scale in (0.0, -1.0, math.inf, math.nan):
            refused(f"'{SCALE}' holds the scale", body=body[:begin] + struct.pack("<f", scale) + body[begin + 4:])
        shape = header[SCALE]["shape"]
        refused(f"'{SCALE}' has the shape", {**header, SCALE: {**header[SCALE], "shape": [*shape, 1]}})
        refused(f"'{SCALE}' is stored as I32", {**header, SCALE: {**header[SCALE], "dtype": "I32"}})
        refused(f"'{CODES}' is stored as U8", {**header, CODES: {**header[CODES], "dtype": "U8"}})
        renamed = {name: entry for name, entry in header.items() if name != SCALE}
        refused(f"'{SCALE}' is missing", {**renamed, "other": header[SCALE]})
        mformer.write_safetensors(file, header, body)

        config_file = work / "int8" / "config.json"
        config = json.loads(config_file.read_text())
        for other in ({"quant_method": "gptq", "bits": 4}, {**config["quantization_config"], "scale": "per tensor"}):
            config_file.write_text(json.dumps({**config, "quantization_config": other}))
            work.refuses("import", "int8", "--name", "other", code=1, says="quantised in a way that is unknown",
                         hint="--quantize")
        del config["quantization_config"]
        config_file.write_text(json.dumps(config))
        work.refuses("import", "int8", "--name", "other", code=1, says="is stored as I8")

    def test_a_kill_leaves_a_whole_checkpoint_or_none(self):
        work = self.workspace()
        start = time.monotonic()
        work.run("export", "int8", *QUANTIZE)
        whole = time.monotonic() - start
        written = (work / "int8" / "model.safetensors").read_bytes()
        for point in range(8):
            shutil.rmtree(work / "int8", ignore_errors=True)
            process = work.start("export", "int8", *QUANTIZE)
            time.sleep(whole * point / 8)
            process.kill()
            process.communicate()
            if (work / "int8").exists():
                self.assertEqual((work / "int8" / "model.safetensors").read_bytes(), written)
                work.run("import", "int8", "--name", f"after-{point}")


if __name__ == "__main__":
    unittest.main()
