import json
import unittest

import mformer
import schemas
import served
import tensors

TRAIN = ("--steps", "2", *mformer.QUICK)
PRUNE = ("prune", "--task", "english", "--keep", "0.5", "--eval-tokens", "600")
PROBE = ("probe", "--input", "ids.safetensors", "--out", "out.safetensors")
CURVE = ("inspect", "keep-curve", "--task", "english", "--fractions", "0.5", "--criteria", "norm", "--max-tokens", "100")
# One working line for each command; later lines find what earlier ones made.
LINES = (
    ("init", "--preset", "tiny", "--no-tokenizer", "--workspace", "elsewhere"), ("import", "checkpoint", "--name", "imported"),
    ("export", "exported"), ("export", "int8", "--quantize", "int8", "--max-tokens", "100"), ("tokenizer", "train", "--data", "qa", "--vocab-size", "300", "--out", "small.json"),
    ("tokenizer", "decode"), ("tokenizer", "chat", "--chat-template", "chat.jinja", "--messages", "chat.json"), ("task", "add", "qa", "--data", "qa"), ("task", "move", "qa", "--data", "qa"),
    ("task", "rename", "qa", "questions"), ("task", "remove", "questions"), ("undo",), ("task", "rename", "questions", "qa"), ("tasks",),
    ("train", "--data", "english", *TRAIN), ("extend", "--data", "german", "--into", "grown", *TRAIN), ("freeze", "layer=0"),
    ("extend", "--data", "qa", "--model", "base@3", "--into", "branch", *TRAIN),
    ("merge", "grown", "branch", "--into", "both", "--eval-tokens", "100"),
    ("drop", "--born", "extend:qa", "--model", "both", "--eval-tokens", "100"), ("unfreeze", "layer=0"),
    ("finetune", "--data", "german", *TRAIN), PRUNE, (*PRUNE, "--dry-run"),
    (*PRUNE, "--model", "imported", "--into", "small"), ("graft", "small", "--onto", "imported", "--eval-tokens", "600"),
    ("upcycle", "--experts", "2", "--k", "1", "--model", "dense", "--eval-tokens", "100"),
    ("inspect", "routing"), ("inspect", "modules"), ("inspect", "lineage"), CURVE, ("eval", "--max-tokens", "100"),
    ("eval", "--matrix", "--max-tokens", "100"), ("eval", "--tasks", "questions.jsonl", "--max-answer-tokens", "2"),
    ("inspect", "posterior", "--task", "english", "--model", "grown", "--max-documents", "1", "--tokens"), ("verify", "base", "--against", "base", "--max-tokens", "100"),
    ("blame", "--task", "english", "--max-tokens", "100"), PROBE, ("report", "--out", "report.html"),
    ("inspect", "routing", "--diff", "base@2", "base@3", "--max-tokens", "100"), ("inspect", "routing", "--task", "english", "--top", "2", "--trace", "t.csv", "--max-tokens", "100"),
    ("inspect", "routing", "--by", "birth"), ("inspect", "keep-curve", "--task", "english", "--fractions", "0.5", "--criteria", "norm", "--max-tokens", "100", "--csv", "k.csv"),
    *(("plot", name, "--out", "picture.svg") for name in ("routing", "matrix", "forgetting", "training", "versions")), ("plot", "posterior", "--out", "p.svg", "--model", "grown"),
    ("plot", "keep-curve", "k.csv", "--out", "picture.svg"), ("generate", "--max-tokens", "2"), ("models",), ("model", "rename", "branch", "twig"),
    ("model", "remove", "twig"), ("tag", "first", "base@1"), ("tag",), ("tag", "--remove", "first"), ("use", "base"),
    ("log",), ("log", "1"), ("log", "--graph"), ("show", "1"), ("show", "base@3"), ("show", "english"),
    ("branch", "leaf"), ("move", "base", "base@2"), ("undo",), ("redo",), ("push", "pushed", "base"), ("pull", "pushed"), ("bundle", "all.bundle"), ("gc",),
    ("diff", "base@1", "base@2"), ("diff", "base@1", "base@2", "--norms", "--task", "english", "--max-tokens", "100"), ("fsck",), ("doctor",), *(("completion", shell) for shell in ("bash", "zsh", "fish", "candidates")), ("man-pages", "man1"))
MODULE = ("inspect", "module")  # and a uid
SERVE = ("serve",)  # goes on after what it prints
GROUPS = ("completion", "inspect", "model", "plot", "task", "tokenizer")
ARRAY_OF_IDS = ("tokenizer", "encode")  # the one exception: an array of ids for each text


def name_of(line):
    return " ".join(line[:2]) if line[0] in GROUPS else line[0]


def subcommands(folder, *path):
    """The commands that a help page lists: the first words of its indented entries without a dash."""
    page = folder.run(*path, "--help").out
    return [line.split()[0] for line in page.splitlines() if line.startswith("  ") and line[2].isalpha()]


def all_commands(folder):
    for command in subcommands(folder):
        if command not in GROUPS:
            yield (command,)
        else:
            yield from ((command, nested) for nested in subcommands(folder, command))


class JsonContractTest(mformer.EndToEndTest):
    def prepared(self):
        work = self.workspace()
        (work / "elsewhere").mkdir()
        (work / "chat.jinja").write_text("{{ messages[0].content }}")
        (work / "questions.jsonl").write_text('{"prompt": "a", "choices": ["b", "c"], "answer": 0}\n{"prompt": "a", "answer": "b"}\n')
        (work / "chat.json").write_text('[{"role": "user", "content": "Hello"}]')
        work.make_dense()
        tensors.write(work / "ids.safetensors", {"input_ids": tensors.Tensor([1, 8], range(8))})
        return work

    def test_every_command_prints_one_object_with_its_version_and_name(self):
        work = self.prepared()
        module = next(iter(work.modules("base")))
        for line in (*LINES, (*MODULE, module)):
            with self.subTest(command=line):
                result = work.run(*line, "--json", stdin=b"1 2 3" if line[-1] == "decode" else b"")
                self.assertEqual(result.out.count("\n"), 1, result)
                data = json.loads(result.out)
                self.assertEqual(list(data)[:2], ["version", "command"])
                self.assertEqual((data["version"], data["command"]), (1, name_of(line)))
                self.assertIsNone(schemas.check(name_of(line), data))

    def test_a_server_prints_its_object_first(self):
        server = served.Server(self.workspace())
        self.assertEqual(server.stop(), (0, ""))
        self.assertEqual(list(server.started)[:2], ["version", "command"])
        self.assertIsNone(schemas.check("serve", server.started))

    def test_every_command_is_among_those_that_are_tried(self):
        tried = {name_of(line) for line in (*LINES, MODULE, SERVE)} | {" ".join(ARRAY_OF_IDS)}
        self.assertEqual({" ".join(command) for command in all_commands(self.folder())}, tried)

    def test_schemas_refuse_what_they_do_not_describe(self):
        schema = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": ["null", "number"]}}, "required": ["a"]}
        self.assertIsNone(schemas.problem(schema, {"a": 1, "b": 2}, "x"))
        for value in ({"a": True}, {"a": 1.5}, {"a": 1, "b": "2"}, {"b": None}, {"a": 1, "c": 1}, []):
            self.assertIsNotNone(schemas.problem(schema, value, "x"), value)

    def test_every_field_is_described(self):
        self.assertEqual(list(schemas.undescribed({"properties": {"a": {"items": {"properties": {"b": {}}}}, "c": {"description": " "}}})), ["a", "a.b", "c"])
        for path in sorted(schemas.FOLDER.glob("*.json")):
            self.assertEqual(list(schemas.undescribed(json.loads(path.read_text()))), [], f"{path.name}: say what these fields are")

    def test_every_schema_is_of_a_command(self):
        commands = {schemas.file_of(name_of(line)).name for line in (*LINES, MODULE, SERVE)} | {"error.json"}
        self.assertEqual({path.name for path in schemas.FOLDER.glob("*.json")}, commands)

    def test_every_help_page_has_an_example_of_the_command(self):
        folder = self.folder()
        for command in all_commands(folder):
            with self.subTest(command=command):
                page = folder.run(*command, "--help").out
                self.assertIn("Example: mformer " + " ".join(command), page)

    def test_errors_leave_stdout_empty_with_json_too(self):
        work = self.workspace()
        work.refuses("eval", "--model", "bose", "--json", code=2, says="bose", hint="base")
        work.refuses("diff", "base@1", "--json", code=2, says="AFTER")
        work.refuses("inspect", "--json", code=2, says="inspect")
        self.folder("empty").refuses("models", "--json", code=1, says="no workspace")

    def test_an_error_is_an_object_with_code_message_and_hint(self):
        work = self.workspace()
        for line, command, code, exit_code in ((("eval", "--model", "bose"), "eval", "usage", 2), (("diff", "base@1"), "diff", "usage", 2),
                                               (("inspect",), "inspect", "usage", 2), (("trian",), None, "usage", 2), ((), None, "usage", 2),
                                               (("import", "nowhere", "--name", "x"), "import", "failed", 1),
                                               (("tokenizer", "encode", "--tokenizer", "none"), "tokenizer encode", "failed", 1)):
            with self.subTest(command=line):
                result = work.run(*line, "--json", code=exit_code)
                self.assertEqual((result.out, result.err.count("\n")), ("", 1), result)
                told = json.loads(result.err)
                self.assertIsNone(schemas.check("error", told))
                self.assertEqual((list(told), told["version"], told["command"]), (["version", "command", "error"], 1, command))
                self.assertEqual(list(told["error"]), ["code", "message", "hint", "exit_code"])
                self.assertEqual((told["error"]["code"], told["error"]["exit_code"]), (code, exit_code))
                text = work.run(*line, code=exit_code).err
                self.assertEqual(text, f"error: {told['error']['message']}\nhint: {told['error']['hint']}\n")

    def test_reading_commands_work_where_nothing_can_be_written(self):
        work = self.workspace()
        work.run("inspect", "routing")  # tokenises: that much must have been done before
        tensors.write(self.temporary / "ids.safetensors", {"input_ids": tensors.Tensor([1, 8], range(8))})
        for path in (work / ".mformer").rglob("*"):
            path.chmod(0o555 if path.is_dir() else 0o444)
        (work / ".mformer").chmod(0o555)
        for line in (("models",), ("log",), ("tasks",), ("fsck",), ("eval", "--max-tokens", "100"), ("inspect", "routing"),
                     ("inspect", "routing", "--refresh"), ("inspect", "modules"), ("inspect", "lineage"),
                     CURVE, ("generate", "--max-tokens", "2"), ("diff", "base@1", "base@2"), ("gc", "--dry-run"),
                     ("undo", "--dry-run"), ("use", "base@1", "--dry-run"), ("move", "base", "base@1", "--dry-run"), ("branch", "leaf", "--dry-run"), ("tag",), ("tag", "first", "--dry-run"),
                     ("task", "rename", "english", "x", "--dry-run"), ("task", "remove", "english", "--dry-run"),
                     ("task", "move", "english", "--data", "english", "--dry-run"), ("model", "rename", "base", "x", "--dry-run"), (*PRUNE, "--dry-run"), ("doctor",),
                     ("probe", "--input", self.temporary / "ids.safetensors", "--out", self.temporary / "out")):
            with self.subTest(command=line):
                work.run(*line, prepare=mformer.obey_modes)
        self.assertIn("read-only", work.run("undo", code=1, prepare=mformer.obey_modes).err)


if __name__ == "__main__":
    unittest.main()
