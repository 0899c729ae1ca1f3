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
SCALE = "transformer.h.1.mlpf.output_experts.weight_scale"
CODES = "transformer.h.1.mlpf.output_experts.weight"


def losses(rows, field):
    return {row["task"]: row[field] for row in rows}


class QuantizeTest(mformer.EndToEndTest):
    def quantized(self):
        """A workspace with the folder int8/, exported from base@2, and the model q, imported from it."""
        work = self.workspace()
        work.run("export", "int8", *QUANTIZE)
        work.run("import", "int8", "--name", "q")
        return work

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

    def test_every_weight_is_within_half_a_scale(self):
        work = self.workspace()
        work.run("export", "int8", *QUANTIZE)
        before, after = (mformer.read_safetensors(work / name / "model.safetensors") for name in ("checkpoint", "int8"))

        def numbers(file, name, code):
            values = array.array(code)
            values.frombytes(file[1][slice(*file[0][name]["data_offsets"])])
            return values

        weights, codes, scales = numbers(before, CODES, "f"), numbers(after, CODES, "b"), numbers(after, SCALE, "f")
        modules, inner, columns = after[0][CODES]["shape"]
        self.assertEqual((after[0][CODES]["dtype"], after[0][SCALE]["shape"]), ("I8", [modules, columns]))
        for at, (weight, code) in enumerate(zip(weights, codes)):
            scale = scales[at // (inner * columns) * columns + at % columns]
            self.assertLessEqual(abs(weight - code * scale), 0.5001 * scale)

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
                work.refuses("--model", "q", *line, code=1, says="int8, which can't be trained", hint="mformer export")
        tensors.write(work / "ids.safetensors", {"input_ids": tensors.Tensor([1, 8], range(8))})
        work.refuses("--model", "q", "probe", "--input", "ids.safetensors", "--out", "out", "--gradients", code=1,
                     says="int8 modules have no gradients", hint="--float64")

    def test_options_without_a_meaning_are_refused(self):
        work = self.workspace()
        work.refuses("export", "x", "--quantize", "int4", code=2, says="int4", hint="int8")
        work.refuses("export", "x", "--quantize", "int4", "--dry-run", code=2, says="int4", hint="int8")
        work.refuses("export", "x", "--quantize", "int8", "--dtype", "float8", code=2, says="float8", hint="bfloat16")
        work.refuses("export", "x", "--no-eval", code=2, says="--quantize")
        work.refuses("export", "x", "--max-tokens", "5", code=2, says="--quantize")
        work.refuses("export", "x", "--quantize", "int8", "--max-tokens", "0", code=2, says="--max-tokens")
        work.refuses("export", "checkpoint", "--quantize", "int8", code=1, says="not empty", hint="--overwrite")
        self.assertFalse((work / "x").exists())

    def test_damaged_checkpoints_are_refused(self):
        work = self.quantized()
        file = work / "int8" / "model.safetensors"
        header, body = mformer.read_safetensors(file)

        def refused(says, header=header, body=body):
            mformer.write_safetensors(file, header, body)
            work.refuses("import", "int8", "--name", "other", code=1, says=says)

        begin, end = header[SCALE]["data_offsets"]
        for scale in (0.0, -1.0, math.inf, math.nan):
            refused(f"'{SCALE}' holds the scale", body=body[:begin] + struct.pack("<f", scale) + body[begin + 4:])
        shape = header[SCALE]["shape"]
        refused(f"'{SCALE}' has the shape", {**header, SCALE: {**header[SCALE], "shape": [shape[0] * shape[1]]}})
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
                         hint="--quantize int8")
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
