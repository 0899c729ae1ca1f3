import json
import resource
import shutil
import signal
import sqlite3
import struct
import subprocess
import unittest

import mformer
import tensors

GOLDEN = mformer.DATA / "golden" / "mlp_gate_k2"
TRAIN = ("train", "--task", "english", "--steps", "2", *mformer.QUICK)


class CommandLineTest(mformer.EndToEndTest):
    def test_without_a_workspace(self):
        work = self.folder()
        for command in (("train", "--data", "x"), ("extend", "--data", "x"), ("freeze", "all"), ("tasks",),
                        ("export", "x"), ("import", GOLDEN, "--name", "a"), ("task", "add", "a", "--data", "x")):
            work.refuses(*command, code=1, says="no workspace", hint="mformer init")
        work.refuses("--workspace", "missing", "tasks", code=1, says="missing", hint="mformer --workspace missing init")
        self.assertEqual(list(work.path.iterdir()), [])

    def test_unknown_names_are_answered_with_the_nearest(self):
        work = self.workspace()
        work.refuses("extnd", code=2, says="extnd", hint="'extend'")
        work.refuses("tokenizer", "trian", code=2, says="trian", hint="'train'")
        work.refuses("train", "--stesp", "3", code=2, says="--stesp", hint="--steps")
        work.refuses("--model", "bsae", "export", "x", code=2, says="bsae", hint="base")
        work.refuses("--model", "base@9", "export", "x", code=2, says="no version '9'", hint="base@1 to base@2")
        work.refuses("train", "--task", "englsh", code=2, says="englsh", hint="english")
        work.refuses("init", "--preset", "smal", code=1, says="workspace")
        self.folder("empty").refuses("init", "--preset", "smal", code=2, says="smal", hint="small")

    def test_numbers_out_of_range(self):
        work = self.workspace()
        for keep in ("0", "1.5", "nan", "-0.3", "30%", ""):
            work.refuses("prune", "--task", "english", "--keep", keep, code=2, says="--keep")
        for flag, value in (("--steps", "0"), ("--steps", "1e3"), ("--batch", "-1"), ("--lr", "nan"), ("--lr", "0"),
                            ("--warmup", "2"), ("--clip", "-1"), ("--weight-decay", "inf"), ("--context", "0"),
                            ("--steps", "99999999999999999999")):
            work.refuses("train", "--task", "english", f"{flag}={value}", code=2, says=flag)
        work.refuses("train", code=2, says="no task and no data", hint="--data DIR")


class DataTest(mformer.EndToEndTest):
    def test_folders_without_text(self):
        work = self.workspace()
        (work / "empty").mkdir()
        work.refuses("train", "--data", "empty", code=1, says="empty")
        work.refuses("task", "add", "none", "--data", "nowhere", code=1, says="nowhere")
        (work / "binary").mkdir()
        (work / "binary" / "file").write_bytes(b"\0" * 100)
        work.refuses("extend", "--data", "binary", "--steps", "1", code=1, says="binary")

    def test_text_shorter_than_a_context(self):
        work = self.workspace()
        (work / "short").mkdir()
        for number in range(3):
            (work / "short" / f"{number}.txt").write_text("word")
        work.run("task", "add", "short", "--data", "short")
        for command in ("train", "extend", "finetune"):
            work.refuses(command, "--task", "short", "--steps", "1", code=1, says="short")

    def test_unreadable_files(self):
        work = self.workspace()
        (work / "secret").mkdir()
        (work / "secret" / "a.txt").write_text("text")
        (work / "secret" / "a.txt").chmod(0)
        work.refuses("task", "add", "secret", "--data", "secret", code=1, says="a.txt", hint="permission",
                     prepare=mformer.obey_modes)

    def test_malformed_lines_are_named(self):
        work = self.workspace()
        for name, line in (("open", '{"text": "a'), ("fields", '{"txt": "a"}'), ("type", '{"text": 3}')):
            (work / f"{name}.jsonl").write_text('{"text": "fine"}\n' + line + "\n")
            self.assertRegex(work.run("task", "add", name, "--data", f"{name}.jsonl").out,
                             rf"1 documents, (.*\n)+left out: 1 record .*\n +'{name}.jsonl': line 2, ")
            (work / f"{name}-alone.jsonl").write_text(line + "\n")
            work.refuses("task", "add", f"{name}-alone", "--data", f"{name}-alone.jsonl", code=1, says="line 1")

    def test_invalid_utf8_is_text_like_any_other(self):
        work = self.workspace()
        (work / "latin").mkdir()
        for number in range(60):
            (work / "latin" / f"{number}.txt").write_bytes(b"caf\xe9 \xff\xfe " * (number + 20))
        work.run("task", "add", "latin", "--data", "latin")
        work.run("train", "--task", "latin", "--steps", "1", *mformer.QUICK)

    def test_one_line_of_a_hundred_megabytes(self):
        work = self.workspace()
        (work / "long").mkdir()
        with open(work / "long" / "line.txt", "wb") as out:
            for _ in range(100):
                out.write(b"the LORD said " * 71_430)
        added = work.run("task", "add", "long", "--data", "long", "--json").json
        self.assertGreater(sum(added["tokens"].values()), 10_000_000)

    def test_data_that_changed_under_a_task(self):
        work = self.workspace()
        mformer.write_corpus(work / "own", mformer.SAMPLE / "german")
        work.run("task", "add", "own", "--data", "own")
        (work / "own" / "more.txt").write_text("one more document")
        work.refuses("train", "--task", "own", "--steps", "1", code=1, says="not what is recorded",
                     hint="--replace")
        work.refuses("task", "add", "own", "--data", "own", code=1, says="not what is recorded", hint="--replace")
        work.run("task", "add", "own", "--data", "own", "--replace")


class CheckpointTest(mformer.EndToEndTest):
    def refuses_checkpoint(self, damage, says, code=1):
        """Checks `init --from` and `import` of a copy of a checkpoint to which `damage` was done."""
        work = self.folder(f"case-{len(list(self.temporary.iterdir()))}")
        shutil.copytree(GOLDEN, work / "bad")
        damage(work / "bad")
        work.refuses("init", "--from", "bad", code=code, says=says)
        self.assertFalse((work / ".mformer").exists())

    def damage_header(self, says, change):
        def damage(folder):
            header, body = mformer.read_safetensors(folder / "model.safetensors")
            body = change(header, body) or body
            mformer.write_safetensors(folder / "model.safetensors", header, body)

        self.refuses_checkpoint(damage, says)

    def damage_config(self, says="config.json", **fields):
        def damage(folder):
            config = json.loads((folder / "config.json").read_text())
            (folder / "config.json").write_text(json.dumps({**config, **fields}))

        self.refuses_checkpoint(damage, says)

    def test_files_cut_short(self):
        weights = (GOLDEN / "model.safetensors").read_bytes()
        for length in (0, 7, 8, 100, len(weights) - 1):
            self.refuses_checkpoint(lambda folder, n=length: (folder / "model.safetensors").write_bytes(weights[:n]),
                                    "model.safetensors")

    def test_files_that_never_end(self):
        def endless(path):
            path.unlink(missing_ok=True)
            with open(path, "wb") as file:
                file.truncate(1 << 40)  # takes no room

        for name in ("config.json", "model.safetensors.index.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            self.refuses_checkpoint(lambda folder, name=name: endless(folder / name), f"{name}' is longer than")

    def test_headers_that_lie(self):
        weights = (GOLDEN / "model.safetensors").read_bytes()
        for length in (0, 2**63, 2**64 - 1, len(weights)):
            self.refuses_checkpoint(
                lambda folder, n=length: (folder / "model.safetensors").write_bytes(struct.pack("<Q", n) + weights[8:]),
                "model.safetensors")

        def entry(header):
            return header[sorted(name for name in header if name != "__metadata__")[0]]

        lies = {
            "offsets beyond the end": {"data_offsets": [0, 10**12]},
            "negative offsets": {"data_offsets": [-4, 0]},
            "backward offsets": {"data_offsets": [8, 4]},
            "unknown dtype": {"dtype": "F31"},
            "shape overflow": {"shape": [2**62, 2**62]},
            "negative shape": {"shape": [-1, 4]},
            "another shape": {"shape": [3]},
        }
        for name, lie in lies.items():
            with self.subTest(name):
                self.damage_header("model.safetensors", lambda header, _, lie=lie: entry(header).update(lie))

        def overlap(header, _):
            second = sorted((e for name, e in header.items() if name != "__metadata__"),
                            key=lambda e: e["data_offsets"])[1]
            second["data_offsets"] = [offset - 4 for offset in second["data_offsets"]]

        self.damage_header("model.safetensors", overlap)

    def test_missing_extra_and_misshapen_tensors(self):
        name = "lm_head.weight"
        self.damage_header("", lambda header, _: header.update(unknown=header.pop(name)))

        def extra(header, body):
            header["transformer.surprise"] = {"dtype": "F32", "shape": [1], "data_offsets": [len(body), len(body) + 4]}
            return body + b"\0" * 4

        self.damage_header("surprise", extra)
        self.damage_header(name, lambda header, _: header[name].update(shape=header[name]["shape"][::-1]))

    def test_configs_of_impossible_sizes(self):
        for fields in ({"n_embd": 0}, {"n_layer": -1}, {"vocab_size": 10**15}, {"n_embd": 2**40}, {"k_mlp": 1000},
                       {"gate_type": "gatling"}, {"n_head": 3}, {"n_layer": "two"}, {"model_type": "llama"}):
            with self.subTest(fields):
                self.damage_config(**fields)
        self.refuses_checkpoint(lambda folder: (folder / "config.json").write_text("{"), "config.json")
        self.refuses_checkpoint(lambda folder: (folder / "config.json").unlink(), "config.json")
        work = self.folder()
        (work / "huge.json").write_text(json.dumps({"model_type": "moduleformer", "n_embd": 2**31}))
        work.refuses("init", "--config", "huge.json", code=1, says="huge.json")

    def test_an_import_that_fails_leaves_the_workspace_alone(self):
        work = self.workspace()
        shutil.copytree(work / "checkpoint", work / "bad")
        header, body = mformer.read_safetensors(work / "bad" / "model.safetensors")
        mformer.write_safetensors(work / "bad" / "model.safetensors", header, body[:-4])
        work.refuses("import", "bad", "--name", "bad", code=1, says="model.safetensors")
        shutil.copytree(work / "checkpoint", work / "other")
        (work / "other" / "tokenizer.json").write_text("{}")
        work.refuses("import", "other", "--name", "other", code=1, says="tokenizer.json")


class WorkspaceTest(mformer.EndToEndTest):
    def test_a_registry_of_a_newer_schema(self):
        work = self.workspace()
        registry = sqlite3.connect(work / ".mformer" / "registry.db")
        registry.execute("INSERT INTO schema_migrations (number, name, applied_ms) VALUES (999, 'future', 0)")
        registry.commit()
        for command in (("tasks",), TRAIN, ("init", "--preset", "tiny")):
            work.refuses(*command, code=1, says="newer mformer", hint="update")
        registry.execute("DELETE FROM schema_migrations WHERE number = 999")
        registry.commit()
        registry.close()

    def run_mounted(self, script, *arguments):
        if not mformer.may_mount():
            self.skipTest("nobody may mount here: neither root in a container as a rule, nor any other user")
        return mformer.run_mounted(script, *arguments)

    def test_a_folder_that_cannot_be_written(self):
        work = self.workspace()
        read_only = f'mount --bind "{work.path}" /mnt && mount -o remount,bind,ro /mnt && cd /mnt && "$@"'
        before = work.state()
        for command in (TRAIN, ("freeze", "all"), ("export", "out"), ("init", "--preset", "tiny", "--workspace", "x")):
            result = self.run_mounted(read_only, *command)
            self.assertEqual(result.code, 1, result)
            self.assertRegex(work.check_refusal(result, ""), "(?i)read-only")
        self.assertEqual(self.run_mounted(read_only, "tasks").code, 0)
        self.assertEqual(work.state(), before)

    def test_a_disk_that_fills_up_on_the_way(self):
        work = self.workspace()
        script = f'''mount -t tmpfs -o size=SIZE none /mnt && cd /mnt && cp -a "{work.path}/.mformer" . || exit 76
                     "$@"; code=$?
                     mount -o remount,size=50m /mnt; "$1" fsck >&2 || exit 75
                     exit $code'''
        used = sum(-(-file.stat().st_size // 4096) * 4096 for file in (work / ".mformer").rglob("*") if file.is_file())
        for room in (100_000, 600_000, 1_200_000):
            result = self.run_mounted(script.replace("SIZE", str(used + room)), *TRAIN)
            self.assertEqual((result.code, result.out), (1, ""), result)
            work.check_refusal(result, "")
            self.assertIn("workspace is sound", result.err)

    def test_a_full_disk(self):
        """A limit on the size of files stands for the disk that is full: writes fail in the same places."""
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

        work = self.workspace()
        work.refuses("import", "checkpoint", "--name", "b", code=1, says="", prepare=limit)
        work.refuses("export", "out", code=1, says="can't write", prepare=limit)
        self.assertFalse((work / "out").exists())
        empty = self.folder("empty")
        empty.refuses("init", "--preset", "tiny", code=1, says="", prepare=limit)
        self.assertEqual(list(empty.path.iterdir()), [])

    def test_two_writers_at_once_both_keep_their_results(self):
        work = self.workspace()
        mformer.remove_folder(work / ".mformer" / "runs")
        process = work.start("train", "--task", "english", "--steps", "200", *mformer.QUICK)
        work.wait_for_steps(process, 1)
        work.run("freeze", "layer=0")
        out, err = process.communicate(timeout=mformer.TIMEOUT_S)
        self.assertEqual(process.returncode, 0, err)
        # The second where the training was still at work when the flag was set, as it should be.
        self.assertIn(work.versions(), (["base@4"], ["base@3", "base-2@1"]), out)


class OutputTest(mformer.EndToEndTest):
    def test_a_file_that_a_command_writes_replaces_only_its_own_kind(self):
        work = self.workspace()
        tensors.write(work / "ids.safetensors", {"input_ids": tensors.Tensor([1, 8], range(8))})
        text = (work / "english" / "text.jsonl").read_bytes()
        commands = (("eval", "--matrix", "--no-measure", "--csv"),
                    ("inspect", "keep-curve", "--task", "english", "--fractions", "0.5", "--criteria", "norm",
                     "--max-tokens", "100", "--csv"),
                    ("probe", "--input", "ids.safetensors", "--out"),
                    ("tokenizer", "train", "--data", "qa", "--vocab-size", "300", "--overwrite", "--out"))
        for command in commands:
            with self.subTest(command=command):
                work.refuses(*command, "english/text.jsonl", code=1, says="nothing else is ever replaced")
                work.refuses(*command, "checkpoint/model.safetensors", code=1, says="nothing else is ever replaced")
                work.refuses(*command, ".mformer/registry.db", code=1, says="memory of a workspace")
                work.refuses(*command, ".mformer/new", code=1, says="memory of a workspace")
                work.refuses(*command, "/dev/null", code=1, says="is not a file")
                for _ in range(2):
                    work.run(*command, "out")
                (work / "out").unlink()
        self.assertEqual((work / "english" / "text.jsonl").read_bytes(), text)


if __name__ == "__main__":
    unittest.main()
