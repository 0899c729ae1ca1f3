import json
import struct
import unittest

import mformer

GGUF = mformer.DATA / "gguf"
FAMILIES = ("llama", "llama_biases", "mixtral", "granitemoe", "granitemoeshared", "olmoe", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe")


def ids_file(path, rows, vocabulary=60):
    """A safetensors file with input_ids [len(rows), tokens]."""
    data = b"".join(struct.pack("<q", token % vocabulary) for row in rows for token in row)
    header = json.dumps({"input_ids": {"dtype": "I64", "shape": [len(rows), len(rows[0])], "data_offsets": [0, len(data)]}})
    path.write_bytes(struct.pack("<Q", len(header)) + header.encode() + data)
    return path


class GgufTest(mformer.EndToEndTest):
    def probed(self, work, source):
        """The bytes of what the model computes."""
        ids = ids_file(work / "ids.safetensors", [range(1, 20), range(30, 49)])
        work.run("probe", "--from", source, "--input", ids, "--out", "out.safetensors")
        return (work / "out.safetensors").read_bytes()

    def test_what_is_written_is_read_as_the_same_model_of_every_family(self):
        for name in FAMILIES:
            with self.subTest(name):
                work = self.folder(name)
                work.run("init", "--from", GGUF / f"{name}.gguf", "--name", "m")
                work.run("export", "back.gguf", "--format", "gguf")
                self.assertEqual(self.probed(work, "back.gguf"), self.probed(work, GGUF / f"{name}.gguf"))
                work.run("import", "back.gguf", "--name", "back")
                work.run("export", "again.gguf", "--format", "gguf", "--model", "back")
                sizes = [(work / one).stat().st_size for one in ("back.gguf", "again.gguf")]
                self.assertLess(abs(sizes[0] - sizes[1]), 2000)  # but for the names in the provenance

    def test_types_of_16_bits_come_back_as_they_are_and_those_of_8_and_4_are_as_small_as_they_should(self):
        work = self.folder()
        work.run("init", "--from", GGUF / "llama.gguf", "--name", "m")
        whole = self.exported_bytes(work, "f32.gguf")
        half = self.exported_bytes(work, "small.gguf", "--dtype", "bfloat16")
        work.run("export", "half", "--dtype", "bfloat16")
        work.run("import", "half", "--name", "half")
        self.assertLess(abs(self.exported_bytes(work, "half.gguf", "--model", "half") - half), 2000)
        work.run("import", "half.gguf", "--name", "back")  # its norms are exact in bfloat16
        self.assertLess(abs(self.exported_bytes(work, "back.gguf", "--model", "back") - half), 2000)
        self.assertLess(half, 0.75 * whole)
        eight = self.exported_bytes(work, "q8.gguf", "--quantize", "q8_0")
        self.assertLess(eight, half)
        self.probed(work, "q8.gguf")

    def exported_bytes(self, work, *arguments):
        return work.run("export", *arguments, "--format", "gguf", "--json").json["bytes"]

    def test_a_tokenizer_goes_with_the_model_and_comes_back(self):
        work = self.folder()
        (work / "text.txt").write_text("the cat sat on the mat, the cat sat on the hat 1234567890 " * 40)
        work.run("tokenizer", "train", "--data", "text.txt", "--vocab-size", "280", "--out", "tokenizer.json")
        config = mformer.DATA / "golden-families" / "llama" / "config.json"
        work.run("init", "--config", config, "--tokenizer", "tokenizer.json", "--name", "m")
        work.run("export", "m.gguf", "--format", "gguf")
        work.run("import", "m.gguf", "--name", "back")
        text = "the cat sat 42 times on <|endoftext|> the h\u00e4t"
        encoded = [work.run("tokenizer", "encode", "--text", text, *how).out
                   for how in (("--tokenizer", "tokenizer.json"), ("--tokenizer", "m.gguf"), ("--model", "back"))]
        self.assertEqual(len(set(encoded)), 1)
        writes = [work.run("generate", "--model", name, "--prompt", "the cat", "--temperature", "0", "--max-tokens", "8").out
                  for name in ("m", "back")]
        self.assertEqual(*writes)

    def test_what_llama_cpp_cannot_run_is_refused_with_what_mends_it(self):
        work = self.folder()
        work.run("init", "--from", GGUF / "mixtral.gguf", "--name", "m")
        work.refuses("export", "folder", "--format", "gguf", code=2, says="not called one")
        work.refuses("export", "x.gguf", "--format", "gguf", "--for", "transformers", code=2, says="--for")
        work.refuses("export", "x.gguf", "--format", "ggml", code=2, says="unknown format")
        work.refuses("export", "x.gguf", "--format", "gguf", "--quantize", "int8", code=2, says="unknown quantisation")
        for name in ("jetmoe", "mistral"):
            work.run("import", mformer.DATA / "golden-families" / name, "--name", name)
            work.refuses("export", "x.gguf", "--format", "gguf", "--model", name, code=1, says="llama.cpp can't run")
            self.assertFalse((work / "x.gguf").exists())

    def test_only_files_that_it_wrote_are_replaced(self):
        work = self.folder()
        work.run("init", "--from", GGUF / "llama.gguf", "--name", "m")
        (work / "notes.gguf").write_text("my notes")
        work.refuses("export", "notes.gguf", "--format", "gguf", "--overwrite", code=1, says="no GGUF file that mformer wrote")
        work.run("export", "m.gguf", "--format", "gguf")
        before = (work / "m.gguf").read_bytes()
        work.refuses("export", "m.gguf", "--format", "gguf", code=1, says="is there")
        work.run("export", "m.gguf", "--format", "gguf", "--overwrite")
        self.assertEqual((work / "m.gguf").read_bytes(), before)
        work.run("export", "dry.gguf", "--format", "gguf", "--dry-run")
        self.assertFalse((work / "dry.gguf").exists())

    def test_a_hostile_file_ends_in_a_sentence(self):
        work = self.folder()
        whole = (GGUF / "llama.gguf").read_bytes()
        for bytes_, says in ((whole[:1000], "is no GGUF file"), (b"GGUF", "ends within"), (whole[:-64], "beyond the end"),
                             (whole[:4] + struct.pack(">I", 3) + whole[8:], "big-endian")):
            (work / "bad.gguf").write_bytes(bytes_)
            work.refuses("init", "--from", "bad.gguf", code=1, says=says)


if __name__ == "__main__":
    unittest.main()
