import json
import os
import shutil
import subprocess
import sys
import unittest

import mformer

GOLDEN = mformer.DATA / "golden" / "mlp_gate_k2"


class InitTest(mformer.EndToEndTest):
    def test_makes_a_workspace_with_a_model_from_a_preset(self):
        work = self.folder()
        made = work.run("init", "--preset", "tiny", "--no-tokenizer", "--json").json
        self.assertEqual((made["version"], made["command"], made["model"]), (1, "init", "base@1"))
        self.assertEqual((made["att_modules"], made["mlp_modules"]), ([4, 4], [8, 8]))
        self.assertLess(made["active_parameters"], made["parameters"])
        self.assertEqual(made["bytes"], 4 * made["parameters"])
        work.check_sound()

    def test_the_seed_decides_the_weights(self):
        objects = []
        for name, seed in (("a", 1), ("b", 1), ("c", 2)):
            work = self.folder(name)
            work.run("--seed", seed, "init", "--preset", "tiny", "--no-tokenizer")
            objects.append(sorted(work.modules("base").values()))
        self.assertEqual(objects[0], objects[1])
        self.assertNotEqual(objects[0], objects[2])

    def test_dry_run_leaves_no_trace(self):
        work = self.folder()
        made = work.run("init", "--preset", "tiny", "--no-tokenizer", "--dry-run", "--json").json
        self.assertTrue(made["dry_run"])
        self.assertEqual(list(work.path.iterdir()), [])

    def test_a_second_init_is_refused(self):
        work = self.workspace()
        work.refuses("init", "--preset", "tiny", code=1, says="a workspace already", hint="mformer import DIR --name NAME")

    def test_fresh_weights_need_a_tokenizer_unless_none_is_asked_for(self):
        work = self.folder()
        for more in ((), ("--dry-run",)):
            work.refuses("init", "--preset", "tiny", *more, code=2, says="without a tokenizer", hint="--no-tokenizer")
        self.assertEqual(list(work.path.iterdir()), [])
        work.refuses("init", "--no-tokenizer", "--tokenizer", "x.json", code=2, says="--no-tokenizer")
        self.assertFalse(work.run("init", "--preset", "tiny", "--no-tokenizer", "--json").json["tokenizer"])

    def test_a_named_init_adds_a_fresh_model_to_a_workspace(self):
        work = self.workspace()
        work.refuses("init", "--preset", "tiny", "--tokenizer", "tokenizer.json", code=1, says="a workspace already",
                     hint="mformer init --name NAME")
        work.refuses("init", "--preset", "tiny", "--tokenizer", "tokenizer.json", "--name", "base", code=2,
                     says="a model 'base' already", hint="--name NAME")
        planned = work.run("init", "--preset", "tiny", "--tokenizer", "tokenizer.json", "--name", "two", "--dry-run", "--json").json
        self.assertEqual(planned["model"], "two")
        made = work.run("init", "--preset", "tiny", "--tokenizer", "tokenizer.json", "--name", "two")
        self.assertIn("mformer use two", made.out)
        self.assertEqual(work.versions(), ["base@2", "two@1"])
        self.assertEqual([row["current"] for row in work.run("models", "--json").json["models"]], [True, False])
        work.run("train", "--data", "german", "--model", "two", "--steps", "1", *mformer.QUICK)

    def test_a_failed_init_leaves_no_trace(self):
        work = self.folder()
        (work / "broken").mkdir()
        work.refuses("init", "--from", "broken", code=1, says="broken")
        work.refuses("init", "--preset", "tinny", code=2, says="tinny", hint="tiny")
        work.refuses("init", "--preset", "tiny", "--tokenizer", "none.json", code=1, says="none.json")
        work.refuses("init", "--preset", "tiny", "--name", "-x", code=2, says="name")
        work.refuses("--workspace", "new/folder", "init", "--from", "broken", code=1, says="broken")
        self.assertEqual([path.name for path in work.path.iterdir() if path.name != "new"], ["broken"])
        self.assertFalse((work / "new" / "folder").exists())

    def test_of_two_inits_at_once_one_makes_the_workspace_and_the_other_harms_nothing(self):
        for text, says in (("{", "not valid JSON"), ((GOLDEN / "config.json").read_text(), "meanwhile")):
            work = self.folder(says)
            os.mkfifo(work / "config")
            slow = work.start("init", "--config", "config", "--no-tokenizer")
            with mformer.writer_of(work / "config", slow) as config:  # the slow one is at work
                work.run("init", "--preset", "tiny", "--no-tokenizer")
                config.write(text)
            _, err = slow.communicate(timeout=mformer.TIMEOUT_S)
            self.assertEqual(slow.returncode, 1, err)
            self.assertIn(says, err.decode())
            self.assertEqual(work.versions(), ["base@1"])
            self.assertEqual(sorted(entry.name for entry in work.path.iterdir()), [".mformer", "config"])

    def test_an_init_that_was_killed_leaves_what_the_next_one_removes(self):
        work = self.folder()
        os.mkfifo(work / "config")
        slow = work.start("init", "--config", "config", "--no-tokenizer")
        with mformer.writer_of(work / "config", slow):
            slow.kill()
            slow.communicate()
        self.assertEqual(len(list(work.path.glob(".tmp-init-*"))), 1)
        work.run("init", "--preset", "tiny", "--no-tokenizer")
        self.assertEqual(sorted(entry.name for entry in work.path.iterdir()), [".mformer", "config"])

    def test_init_makes_no_registry_beside_objects_whose_registry_is_gone(self):
        work = self.folder()
        work.run("init", "--preset", "tiny", "--no-tokenizer")
        for file in (work / ".mformer").glob("registry.db*"):
            file.unlink()
        objects = sorted((work / ".mformer" / "objects").rglob("*"))
        work.refuses("init", "--preset", "tiny", "--no-tokenizer", code=1,
                     says="no registry.db that can be used, but holds '", hint="from a copy")
        self.assertEqual(sorted((work / ".mformer" / "objects").rglob("*")), objects)

    def test_an_init_that_was_killed_early_is_completed(self):
        work = self.folder()
        work.run("init", "--preset", "tiny", "--no-tokenizer")
        whole = work / ".mformer"
        for leftovers in (["objects"], []):
            shutil.rmtree(whole)
            for name in leftovers:
                (whole / name).mkdir(parents=True)
            work.run("init", "--preset", "tiny", "--no-tokenizer")
        work.check_sound()


class ImportExportTest(mformer.EndToEndTest):
    def test_an_imported_export_is_the_same_model_bit_for_bit(self):
        work = self.workspace()
        work.run("import", "checkpoint", "--name", "other")
        self.assertEqual(sorted(work.modules("base").values()), sorted(work.modules("other").values()))
        work.run("export", "again", "--model", "other")
        for name in ("model.safetensors", "config.json", "tokenizer.json"):
            self.assertEqual((work / "again" / name).read_bytes(), (work / "checkpoint" / name).read_bytes(), name)

    def test_a_model_of_sentencepiece_becomes_a_tokenizer_json_on_import_and_stays_one(self):
        work = self.folder()
        model = mformer.DATA / "tokenizer" / "plain.model"
        work.run("init", "--preset", "tiny", "--tokenizer", model)
        work.run("export", "first")
        made = (work / "first" / "tokenizer.json").read_bytes()
        self.assertEqual(json.loads((work / "first" / "config.json").read_text())["bos_token_id"], 1)
        (work / "first" / "tokenizer.json").unlink()
        shutil.copy(model, work / "first" / "tokenizer.model")
        (work / "first" / "tokenizer_config.json").unlink()
        self.assertTrue(work.run("import", "first", "--name", "other", "--json").json["tokenizer"])
        work.run("export", "second", "--model", "other")
        self.assertEqual((work / "second" / "tokenizer.json").read_bytes(), made)
        ids = work.run("tokenizer", "encode", "--tokenizer", model, "--text", "Hello there").out
        self.assertTrue(ids.startswith("1 "), ids)
        self.assertEqual(work.run("tokenizer", "encode", "--model", "other", "--text", "Hello there").out, ids)
        for text, extra in (("Hello", 1), ("<s>Hello", 1), ("", 1)):
            plain = work.run("tokenizer", "encode", "--tokenizer", model, "--bare", "--json", "--text", "Hello" if text else "").json
            shown = work.run("generate", "--model", "other", "--prompt", text, "--max-tokens", "1", "--json").json
            self.assertEqual(shown["prompt_tokens"], len(plain) + extra, text)
        (work / "first" / "tokenizer.model").write_text("IQ== 0\n")
        work.refuses("import", "first", "--name", "third", code=1, says="no model of sentencepiece", hint="--tokenizer FILE")
        work.run("import", "first", "--name", "third", "--tokenizer", model)

    def test_a_checkpoint_of_the_reference_survives_the_round_trip(self):
        work = self.folder()
        work.run("init", "--from", GOLDEN)
        work.run("export", "out")
        weights = [mformer.read_safetensors(folder / "model.safetensors") for folder in (GOLDEN, work / "out")]
        tensors = [{name: (entry["dtype"], entry["shape"], body[slice(*entry["data_offsets"])])
                    for name, entry in header.items()
                    if name != "__metadata__" and not name.endswith(("attn.mask", "attn.cum_weight"))}
                   for header, body in weights]
        self.assertEqual(tensors[0].keys(), tensors[1].keys())
        self.assertEqual(tensors[0], tensors[1])

    def test_export_writes_other_types_and_shards(self):
        work = self.workspace()
        made = work.run("export", "half", "--dtype", "bfloat16", "--max-shard-size", "300000", "--json").json
        self.assertTrue(made["loadable_by_reference"])
        index = json.loads((work / "half" / "model.safetensors.index.json").read_text())
        self.assertGreater(len(set(index["weight_map"].values())), 1)
        self.assertEqual(json.loads((work / "half" / "config.json").read_text())["torch_dtype"], "bfloat16")
        work.run("import", "half", "--name", "half")

    def test_export_never_replaces_files_unasked(self):
        work = self.workspace()
        work.refuses("export", "checkpoint", code=1, says="not empty", hint="--overwrite")
        work.run("export", "checkpoint", "--overwrite")
        work.run("export", "nowhere", "--dry-run")
        self.assertFalse((work / "nowhere").exists())
        work.refuses("export", "x", "--dtype", "float8", code=2, says="float8", hint="bfloat16")

    def test_export_never_replaces_a_workspace_or_texts_and_never_offers_to(self):
        work = self.workspace()
        work.run("task", "add", "german", "--data", "german")
        (work / "link").symlink_to(work / "german")
        folders = [".", "./", "..", "german", "german/", "link", ".mformer", ".mformer/objects", work.path, "qa", "/"]
        tried = [(folder, "--overwrite") for folder in folders]
        for arguments in (*tried, (".",), ("german",), (".", "--overwrite", "--dry-run")):
            refusal = work.refuses("export", *arguments, code=1, says="'", hint="choose a")
            self.assertNotIn("--overwrite", refusal.err.split("hint:")[1])
        self.assertTrue((work / "english" / "text.jsonl").exists())
        self.assertTrue((work / "german" / "text.jsonl").exists())

    def test_an_export_whose_last_step_fails_leaves_what_was_there(self):
        work = self.workspace()
        (work / "locked").mkdir()
        work.run("export", "locked/old")
        old = (work / "locked" / "old" / "model.safetensors").read_bytes()
        (work / "locked").chmod(0o333)  # names can be made there, but not brought to disk
        for arguments in (("locked/new",), ("locked/old", "--overwrite", "--dtype", "bfloat16")):
            work.refuses("export", *arguments, code=1, says="can't write", prepare=mformer.obey_modes)
        (work / "locked").chmod(0o755)
        self.assertEqual([entry.name for entry in (work / "locked").iterdir()], ["old"])
        self.assertEqual((work / "locked" / "old" / "model.safetensors").read_bytes(), old)

    def test_an_export_removes_what_a_killed_one_left(self):
        work = self.folder()
        # Large enough that the kill comes while its 50 MB are written, wherever they are.
        (work / "config.json").write_text(json.dumps({**json.loads((GOLDEN / "config.json").read_text()), "vocab_size": 200_000}))
        work.run("init", "--config", "config.json", "--no-tokenizer")
        for _ in range(20):
            process = work.start("export", "out")
            while process.poll() is None and not list(work.path.glob(".tmp-*")):
                pass
            process.kill()
            process.communicate()
            if list(work.path.glob(".tmp-*")):
                break
        self.assertNotEqual(list(work.path.glob(".tmp-*")), [], "no kill came while it wrote")
        work.run("export", "out", "--overwrite")
        self.assertEqual(list(work.path.glob(".tmp-*")), [])

    def test_a_name_is_taken_only_once(self):
        work = self.workspace()
        work.refuses("import", "checkpoint", "--name", "base", code=2, says="'base' already", hint="--name")
        work.run("import", "checkpoint", "--name", "other", "--dry-run")
        self.assertEqual(work.versions(), ["base@2"])


class LargeModels(mformer.EndToEndTest):
    MAKER = mformer.DATA.parents[1] / "recipes" / "benchmarks" / "random_checkpoint.py"

    def peak(self, work, *arguments):
        """The most memory that the program took, in bytes."""
        process = work.start(*arguments)
        process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        self.assertEqual(status, 0, process.stderr.read())
        process.returncode = 0
        return 1024 * usage.ru_maxrss

    def test_import_and_export_take_less_memory_than_the_layers_they_pass_on(self):
        peaks = {}
        for layers in (1, 7):  # 25 MB each, in modules of 0.4 MB
            work = self.folder(f"layers{layers}")
            subprocess.run([sys.executable, self.MAKER, work / "made", "--layers", str(layers), "--width", "256", "--hidden",
                            "256", "--experts", "64", "--vocabulary", "300"], check=True)
            peaks[layers] = (self.peak(work, "init", "--from", "made"), self.peak(work, "export", "out"))
            made, exported = (mformer.read_safetensors(work / name / "model.safetensors")[1] for name in ("made", "out"))
            self.assertEqual(len(made), len(exported))
        for few, many in zip(peaks[1], peaks[7]):
            self.assertLess(many - few, 75e6)  # half of the 151 MB that came with the layers: buffers are kept for the next tensors

    def test_import_finds_a_model_in_the_hubs_local_cache(self):
        work = self.workspace()
        hub = self.temporary / "hub"
        model, revision = hub / "models--some-org--tiny.1", "0123456789abcdef0123456789abcdef01234567"
        (model / "blobs").mkdir(parents=True)
        (model / "snapshots" / revision).mkdir(parents=True)
        for number, file in enumerate(sorted((work / "checkpoint").iterdir())):
            shutil.copy(file, model / "blobs" / str(number))
            (model / "snapshots" / revision / file.name).symlink_to(f"../../blobs/{number}")
        work.run("import", model, "--name", "alone")  # the only snapshot
        (model / "snapshots" / "another").mkdir()
        work.refuses("import", model, "--name", "x", code=1, says="no snapshot", hint="snapshots")
        (model / "refs").mkdir()
        (model / "refs" / "main").write_text(revision)
        for env in ({"HF_HUB_CACHE": str(hub)}, {"HUGGINGFACE_HUB_CACHE": str(hub)}, {"HF_HOME": str(self.temporary)}):
            work.run("import", "some-org/tiny.1", "--name", "of-" + next(iter(env)), env=env)
        missing = work.run("import", "some-org/other", "--name", "x", code=1, env={"HF_HUB_CACHE": str(hub)})
        self.assertIn("no model of that name in the hub's cache", missing.err)
        (model / "refs" / "main").write_text("../../../etc")
        work.refuses("import", model, "--name", "x", code=1, says="no snapshot")
        (model / "refs" / "main").unlink()
        (model / "refs" / "main").symlink_to("/dev/zero")
        work.run("import", model, "--name", "x", code=1, timeout=20)
        (model / "refs" / "main").unlink()
        os.mkfifo(model / "refs" / "main")
        work.run("import", model, "--name", "x", code=1, timeout=20)
        for name in ("../x", "a/../b", "a/b/c", "nowhere"):
            self.assertNotIn("hub", work.run("import", name, "--name", "x", code=1, env={"HF_HUB_CACHE": str(hub)}).err)


if __name__ == "__main__":
    unittest.main()
