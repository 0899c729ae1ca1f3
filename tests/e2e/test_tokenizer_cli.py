import json
import unittest

import mformer

TEXT = "Thus saith the LORD,\n\n  42 times — naïve 🙂\ttabs\r\n".encode()


class TokenizerTest(mformer.EndToEndTest):
    def test_decode_gives_back_every_byte(self):
        work = self.workspace()
        for text in (TEXT, b"", b"no line feed", b"broken \xff\xfe UTF-8\n", bytes(range(256))):
            ids = work.run("tokenizer", "encode", stdin=text)
            self.assertEqual(ids.out.count("\n"), 1)
            self.assertEqual(work.run("tokenizer", "decode", stdin=ids.stdout).stdout, text)

    def test_json_is_the_same_ids_as_an_array_on_one_line(self):
        work = self.workspace()
        plain = work.run("tokenizer", "encode", stdin=TEXT).out.split()
        line = work.run("tokenizer", "encode", "--json", stdin=TEXT)
        self.assertEqual(list(map(str, line.json)), plain)
        self.assertEqual(work.run("tokenizer", "decode", stdin=line.stdout).stdout, TEXT)
        self.assertEqual(work.run("tokenizer", "decode", "--json", stdin=line.stdout).json["text"], TEXT.decode())

    def test_lines_are_texts_of_their_own(self):
        work = self.workspace()
        lines = work.run("tokenizer", "encode", "--lines", stdin=b"one\n\ntwo\n")
        arrays = [json.loads(line) for line in lines.out.splitlines()]
        self.assertEqual([bool(ids) for ids in arrays], [True, False, True])
        self.assertEqual(work.run("tokenizer", "decode", "--lines", stdin=lines.stdout).stdout, b"one\n\ntwo\n")

    def test_a_file_stands_in_for_the_models_tokenizer(self):
        work = self.workspace()
        empty = self.folder("elsewhere")
        ids = empty.run("tokenizer", "encode", "--tokenizer", work / "tokenizer.json", "--text", "The LORD")
        self.assertEqual(ids.out, work.run("tokenizer", "encode", "--text", "The LORD").out)
        empty.refuses("tokenizer", "encode", code=1, says="no workspace")

    def with_template(self, work):
        """A folder whose tokenizer.json opens every text with <|endoftext|>."""
        file = json.loads((work / "tokenizer.json").read_text())
        file["post_processor"] = {
            "type": "TemplateProcessing", "pair": [],
            "single": [{"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "special_tokens": {"<|endoftext|>": {"id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"]}}}
        folder = self.folder("template")
        (folder / "tokenizer.json").write_text(json.dumps(file))
        return folder

    def test_a_template_opens_texts_and_prompts_once_and_bare_leaves_it_out(self):
        work = self.workspace()
        folder = self.with_template(work)
        encode = ("tokenizer", "encode", "--tokenizer", "tokenizer.json")
        plain = work.run("tokenizer", "encode", "--text", "The LORD").out.split()
        self.assertEqual(folder.run(*encode, "--text", "The LORD").out.split(), ["0", *plain])
        self.assertEqual(folder.run(*encode, "--text", "The LORD", "--bare").out.split(), plain)
        lines = folder.run(*encode, "--lines", stdin=b"The LORD\n\n").out.splitlines()
        self.assertEqual([json.loads(line) for line in lines], [[0, *map(int, plain)], [0]])
        folder.run("init", "--preset", "tiny", "--tokenizer", "tokenizer.json")
        for prompt in ("The LORD", "<|endoftext|>The LORD"):
            made = folder.run("generate", "--prompt", prompt, "--max-tokens", "1", "--json")
            self.assertEqual(made.json["prompt_tokens"], len(plain) + 1)

    def test_hostile_tokenizer_files_end_in_a_sentence(self):
        work = self.workspace()
        folder = self.folder("hostile")
        (folder / "deep.json").write_text("[" * 200_000)
        folder.refuses("tokenizer", "encode", "--tokenizer", "deep.json", "--text", "a", code=1, says="nested too deeply")
        good = (work / "tokenizer.json").read_text()
        deep_id = good.replace('"vocab": {', '"vocab": {"deep": ' + "[" * 300_000 + "]" * 300_000 + ",", 1)
        self.assertNotEqual(deep_id, good)
        (folder / "id.json").write_text(deep_id)
        folder.refuses("tokenizer", "encode", "--tokenizer", "id.json", "--text", "a", code=1, says="nested too deeply")
        file = json.loads(good)
        for pattern, says in (("(a+)+b", "'(a+)+b' failed on this text"), (r"(?s:a.b)|\s+", r"'(?s:a.b)|\s+' is not")):
            file["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False},
                {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}]}
            (folder / "pattern.json").write_text(json.dumps(file))
            folder.refuses("tokenizer", "encode", "--tokenizer", "pattern.json", "--text", "a" * 5000, code=1, says=says)

    def test_train_makes_the_vocabulary_asked_for_and_the_same_file_each_time(self):
        work = self.workspace()
        first = work.run("tokenizer", "train", "--data", "german", "--vocab-size", "300", "--out", "a.json", "--json")
        work.run("tokenizer", "train", "--data", "german", "--vocab-size", "300", "--out", "b.json")
        self.assertEqual(first.json["vocab_size"], 300)
        self.assertEqual((work / "a.json").read_bytes(), (work / "b.json").read_bytes())

    def test_train_never_replaces_a_file_unasked(self):
        work = self.workspace()
        before = (work / "tokenizer.json").read_bytes()
        arguments = ("tokenizer", "train", "--data", "german", "--vocab-size", "300")
        work.refuses(*arguments, code=1, says="exists already", hint="--overwrite")
        work.run(*arguments, "--overwrite", "--dry-run")
        self.assertEqual((work / "tokenizer.json").read_bytes(), before)
        work.run(*arguments, "--overwrite")
        self.assertNotEqual((work / "tokenizer.json").read_bytes(), before)

    def test_what_is_no_id_is_refused_with_its_line(self):
        work = self.workspace()
        for line in (b"17 x", b"[1, 2", b"[1,,2]", b"1.5", b"99999999999"):
            work.refuses("tokenizer", "decode", stdin=b"1 2\n" + line, code=2, says="line 2")
        work.refuses("tokenizer", "decode", stdin=b"400", code=2, says="no id 400", hint="below 400")
        work.refuses("tokenizer", "train", "--data", "german", "--vocab-size", "100", "--out", "c.json", code=2, says="100")


if __name__ == "__main__":
    unittest.main()
