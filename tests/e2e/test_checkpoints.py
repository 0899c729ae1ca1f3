import json
import unittest

import checkpoints
import mformer

ESCAPES = "\x1b]0;title\x07\x1b[2J\u009b31m\u202e"


class PickledWeights(mformer.EndToEndTest):

    def test_a_tensor_that_points_outside_its_storage_is_never_read(self):
        work = self.folder()
        tensors = checkpoints.weights()
        checkpoints.write_config(work / "bad")
        for lies in ({"offset": -256}, {"offset": -2**28}, {"offset": 1}, {"stored": 1, "bytes": 4}, {"bytes": 4},
                     {"strides": [4096, 1]}, {"strides": [-4, 1]}, {"stored": 2**62}):
            with self.subTest(lies):
                checkpoints.write_pickle(work / "bad" / "pytorch_model.bin", tensors, **lies)
                work.refuses("init", "--from", "bad", code=1, says="can be read safely", hint="safetensors")

    def test_the_index_decides_which_shards_are_read(self):
        work = self.folder()
        tensors = checkpoints.weights(1)
        checkpoints.write_checkpoint(work / "expected", tensors)
        checkpoints.write_checkpoint(work / "pickled")
        (work / "pickled" / "model.safetensors").unlink()
        names, index = list(tensors), {}
        for count, source in ((2, checkpoints.weights(2)), (3, tensors)):  # the first two are of an older save
            for part in range(count):
                file = f"pytorch_model-{part + 1:05d}-of-{count:05d}.bin"
                held = names[part * len(names) // count:(part + 1) * len(names) // count]
                checkpoints.write_pickle(work / "pickled" / file, {name: source[name] for name in held})
                index.update({name: file for name in held})
        (work / "pickled" / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": index}))
        work.run("init", "--from", "expected")
        work.run("import", "pickled", "--name", "other")
        exports = [work / name for name in ("one", "two")]
        for name, folder in zip(("base", "other"), exports):
            work.run("export", folder, "--model", name)
        self.assertEqual((exports[0] / "model.safetensors").read_bytes(),
                         (exports[1] / "model.safetensors").read_bytes())


class NotFetched(mformer.EndToEndTest):

    def test_a_pointer_or_a_web_page_is_called_what_it_is(self):
        work = self.folder()
        pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "ab" * 32 + "\nsize 12345678\n"
        for name in ("model.safetensors", "pytorch_model.bin", "config.json", "tokenizer.json",
                     "generation_config.json", "model.safetensors.index.json"):
            for content, says in ((pointer, "is a Git LFS pointer"), ("<!DOCTYPE html><html>404", "is a web page")):
                with self.subTest(name=name, says=says):
                    folder = work / f"{name}-{says[-4:].strip()}"
                    checkpoints.write_checkpoint(folder)
                    if name.startswith(("pytorch", "model.safetensors.")):
                        (folder / "model.safetensors").unlink()
                    (folder / name).write_text(content)
                    work.refuses("init", "--from", folder, code=1, says=f"{name}' {says}", hint="fetch")
        (work / "tokens").write_text(pointer)
        work.refuses("init", "--tokenizer", "tokens", code=1, says="is a Git LFS pointer")


class NotFinite(mformer.EndToEndTest):

    def test_weights_that_are_no_numbers_are_refused_unless_asked_for(self):
        work = self.folder()
        nan = checkpoints.weights(ln_f_bias=lambda values: [float("nan"), *values[1:]])
        checkpoints.write_checkpoint(work / "nan", nan)
        work.refuses("init", "--from", "nan", code=1, says="'transformer.ln_f.bias'", hint="--allow-not-finite")
        made = work.run("init", "--from", "nan", "--allow-not-finite")
        self.assertIn("warning: weights that are not finite", made.out)
        self.assertIn("transformer.ln_f.bias", made.out)
        for temperature in ("0", "1"):
            work.refuses("generate", "--prompt", "a", "--temperature", temperature, code=1,
                         says="logits are not finite")

    def test_a_refused_import_leaves_no_object(self):
        work = self.workspace()
        nan = checkpoints.weights(ln_f_bias=lambda values: [float("nan"), *values[1:]])
        checkpoints.write_checkpoint(work / "nan", nan)
        objects = work / ".mformer" / "objects"
        before = sorted(file for file in objects.rglob("*") if file.is_file())
        self.assertNotEqual(before, [])
        work.refuses("import", "nan", "--name", "other", code=1, says="'transformer.ln_f.bias'", hint="--allow-not-finite")
        self.assertEqual(sorted(file for file in objects.rglob("*") if file.is_file()), before)

    def test_an_evaluation_without_a_number_fails(self):
        work = self.workspace()
        header, body = mformer.read_safetensors(work / "checkpoint" / "model.safetensors")
        begin, end = header["transformer.ln_f.bias"]["data_offsets"]
        body = body[:begin] + b"\xff" * (end - begin) + body[end:]
        mformer.write_safetensors(work / "checkpoint" / "model.safetensors", header, body)
        made = work.run("import", "checkpoint", "--name", "nan", "--allow-not-finite", "--json").json
        self.assertEqual(made["not_finite"], ["transformer.ln_f.bias"])
        result = work.run("eval", "--model", "nan", "--task", "english", "--max-tokens", "300", "--json", code=1)
        self.assertIsNone(result.json["tasks"][0]["loss"])
        work.check_refusal(result, says="the loss of 'english' is not a finite number")


class EndOfText(mformer.EndToEndTest):

    def test_every_end_token_of_both_configs_ends_a_text_and_is_exported(self):
        work = self.folder()
        for name, config, generation in (("one", {"eos_token_id": 5}, None), ("list", {"eos_token_id": [0, 5]}, None),
                                         ("generation", {"eos_token_id": 0}, {"eos_token_id": [7, 5]}),
                                         ("absent", {"eos_token_id": ...}, {"eos_token_id": 5})):
            with self.subTest(name):
                checkpoints.write_checkpoint(work / name, checkpoints.weights(**checkpoints.always(5)), **config)
                if generation:
                    (work / name / "generation_config.json").write_text(json.dumps(generation))
                workspace = ("--workspace", work / f"{name}-workspace")
                work.run("init", "--from", name, *workspace)
                answer = work.run("generate", "--prompt", "a", "--max-tokens", "6", "--temperature", "0", "--json",
                                  *workspace).json
                self.assertEqual((answer["text"], answer["stopped_by"]), ("", "end of text"))
                work.run("export", f"{name}-out", *workspace)
                ends = json.loads((work / f"{name}-out" / "generation_config.json").read_text())["eos_token_id"]
                self.assertIn(5, ends if isinstance(ends, list) else [ends])
                if name == "list":
                    written = json.loads((work / "list-out" / "config.json").read_text())
                    self.assertEqual(written["eos_token_id"], [0, 5])

    def test_the_end_token_may_have_any_name(self):
        work = self.folder()
        checkpoints.write_checkpoint(work / "own", checkpoints.weights(**checkpoints.always(0)), end="<the end>")
        work.run("init", "--from", "own")
        answer = work.run("generate", "--prompt", "a", "--temperature", "0", "--json").json
        self.assertEqual(answer["stopped_by"], "end of text")
        work.run("generate", "--max-tokens", "2", "--temperature", "0")
        (work / "data").mkdir()
        for number in range(60):
            (work / "data" / f"{number}.txt").write_text(f"document {number} of several, long enough for a context")
        work.run("train", "--data", "data", "--steps", "2", *mformer.QUICK[:2], "--context", "16")
        work.run("export", "out")
        told = json.loads((work / "out" / "tokenizer_config.json").read_text())
        self.assertEqual(told["eos_token"], "<the end>")


class Generation(mformer.EndToEndTest):

    def model_that_says_b(self):
        work = self.folder()
        checkpoints.write_checkpoint(work / "b", checkpoints.weights(**checkpoints.always(ord("b") + 1)))
        work.run("init", "--from", "b")
        return work

    def test_texts_in_brackets_keep_them(self):
        work = self.model_that_says_b()
        generate = ("generate", "--max-tokens", "4", "--temperature", "0", "--json")
        for stop in ("[b]", "[/INST]", "[b,b]", "[]", "[[b]]", "%%", "{}", "[b", "b]"):
            for written in (("--stop", stop), (f"--stop={stop}",), ("--stop", "zzz", stop)):
                answer = work.run(*generate, "--prompt", "a", *written).json
                self.assertEqual((answer["text"], answer["stopped_by"]), ("bbbb", "length"), written)
        self.assertEqual(work.run(*generate, "--prompt", "a", "--stop", "bb").json["text"], "")
        for prompt in ("[x]", "[a,b]", "[]", "{}", "%%"):
            self.assertEqual(work.run(*generate, "--prompt", prompt).json["prompt"], prompt)

    def test_names_and_paths_in_brackets_keep_them(self):
        work = self.model_that_says_b()
        work.refuses("eval", "--task", "[qa,code]", code=2, says="'[qa,code]'")
        work.refuses("eval", "--task", "qa", "[code]", code=2, says="'")
        work.refuses("[x]", code=2, says="'[x]'")
        (work / "[data]").mkdir()
        (work / "[data]" / "a.txt").write_text("x" * 300)
        work.run("task", "add", "odd", "--data", "[data]")
        work.run("export", "[out]")
        self.assertTrue((work / "[out]" / "config.json").exists())

    def test_temperatures_near_zero_are_zero(self):
        work = self.folder()
        checkpoints.write_checkpoint(work / "any", checkpoints.weights(3))
        work.run("init", "--from", "any")
        generate = ("generate", "--prompt", "abc", "--max-tokens", "8", "--json")
        likeliest = work.run(*generate, "--temperature", "0").json["text"]
        for temperature in ("1e-310", "5e-324", "1e-40"):
            self.assertEqual(work.run(*generate, "--temperature", temperature).json["text"], likeliest)
        for extreme in (("--temperature", "1e308"), ("--top-p", "1e-320"), ("--top-k", str(2**62))):
            work.run(*generate, *extreme)
        self.assertEqual(work.run(*generate, "--top-p", "1e-320").json["text"], likeliest)


class HostileText(mformer.EndToEndTest):

    def test_no_file_speaks_to_the_terminal(self):
        work = self.folder()
        for field in ("gate_type", "activation_function", "model_type", "aux_loss_type", "torch_dtype", "n_embd"):
            for value in (ESCAPES, "A" * 5_000_000, ESCAPES * 1000):
                checkpoints.write_config(work / "bad", **{field: value})
                checkpoints.write_safetensors(work / "bad" / "model.safetensors", checkpoints.weights())
                result = work.refuses("init", "--from", "bad", code=1, says="config.json")
                self.check_quiet(result)
        checkpoints.write_checkpoint(work / "bad", {f"x{ESCAPES}": checkpoints.Tensor([1], [0.0])})
        self.check_quiet(work.refuses("init", "--from", "bad", code=1, says="wte"))

    def check_quiet(self, result):
        self.assertLess(len(result.err), 1400)
        for control in ("\x1b", "\x07", "\u009b", "\u202e"):
            self.assertNotIn(control, result.err)

    def test_a_name_with_controls_is_shown_escaped(self):
        work = self.workspace()
        folder = work / "caf\u009b31m\x1b[2J"
        folder.mkdir()
        (folder / "text.txt").write_text("a text " * 100)
        for arguments in (("task", "add", "x", "--data", folder.name), ("task", "add", folder.name, "--data", "english"),
                          ("export", folder.name), ("eval", "--data", folder.name), ("tasks",), ("log",),
                          ("--model", folder.name, "models"), ("inspect", "routing", "--task", folder.name)):
            for options in ((), ("--json",)):
                result = work.run(*arguments, *options, code=None)
                self.assertIn(result.code, (0, 1, 2), result)
                for shown in (result.out, result.err):
                    for control in ("\x1b", "\u009b"):
                        self.assertNotIn(control, shown, arguments)


if __name__ == "__main__":
    unittest.main()
