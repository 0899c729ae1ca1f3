"""What was damaged is noticed, spreads nowhere, and is healed where it can be."""

import resource
import shutil
import signal
import sqlite3
import time
import unittest
from pathlib import Path

import mformer


def damage(file, at=-1):
    """Flips one bit; the size stays."""
    file.chmod(0o644)
    data = bytearray(file.read_bytes())
    data[at] ^= 4
    file.write_bytes(data)


def files_of(process):
    """What the running process has open."""
    return [str(link.readlink()) for link in (Path("/proc") / str(process.pid) / "fd").iterdir()]


class IntegrityTest(mformer.EndToEndTest):
    def workspace_to_damage(self, name="work"):
        """One that need not be sound when the test ends."""
        work = self.workspace(name)
        self.workspaces.remove(work)
        return work

    def untrained(self):
        """One without the folders of earlier runs, which wait_for_steps() would take for the new one."""
        work = self.workspace()
        shutil.rmtree(work / ".mformer" / "runs")
        return work

    def damaged_head(self, work):
        """The file of base's output head, damaged."""
        with sqlite3.connect(work / ".mformer" / "registry.db") as registry:
            (name,), = registry.execute(
                "SELECT objects.hash FROM models JOIN versions ON versions.hash = current_version "
                "JOIN version_parts ON version_id = versions.id JOIN parts ON parts.id = part_id "
                "JOIN objects ON objects.id = object_id WHERE parts.name = 'lm_head'")
        file = work / ".mformer" / "objects" / name[:2] / name
        damage(file)
        return file

    def test_a_damaged_object_is_refused_by_whatever_reads_it(self):
        work = self.workspace_to_damage()
        file = self.damaged_head(work)
        for command in (("eval",), ("export", "out"), ("generate", "--prompt", "a"), ("inspect", "routing", "--refresh"),
                        ("train", "--task", "english", "--steps", "2", *mformer.QUICK),
                        ("extend", "--data", "german", "--steps", "2", *mformer.QUICK),
                        ("prune", "--task", "english", "--keep", "0.5")):
            with self.subTest(command=command):
                work.refuses(*command, code=1, says=f"object {file.name} is damaged", hint="mformer fsck")
        self.assertFalse((work / "out").exists())

    def test_importing_the_same_bytes_heals_an_object(self):
        work = self.workspace_to_damage()
        self.damaged_head(work)
        self.assertEqual(work.run("fsck", code=1).out.count("damaged"), 1)
        work.run("import", "checkpoint", "--name", "again")
        work.check_sound()
        work.run("export", "out", "--model", "again")
        self.assertEqual((work / "out" / "model.safetensors").read_bytes(),
                         (work / "checkpoint" / "model.safetensors").read_bytes())

    def test_fsck_heals_objects_from_a_copy_and_says_what_it_did(self):
        good, work = self.workspace("good"), self.workspace_to_damage()
        shutil.rmtree(work / ".mformer")
        shutil.copytree(good / ".mformer", work / ".mformer")
        file = self.damaged_head(work)
        work.run("fsck", "--repair", code=1)
        healed = work.run("fsck", "--repair", "--from", good.path, "--json").json
        self.assertTrue(healed["sound"])
        self.assertIn(file.name, healed["healed"][0])
        work.check_sound()
        work.refuses("fsck", "--reseal", code=2, says="say how to repair", hint="add --repair")

    def test_rows_that_were_edited_are_found_and_stay_until_they_are_taken_for_right(self):
        work = self.workspace_to_damage()
        with sqlite3.connect(work / ".mformer" / "registry.db") as registry:
            registry.execute("UPDATE scores SET value = 1.5 * value")
        result = work.run("fsck", "--json", code=1)
        self.assertIn("table scores", result.json["problems"][0])
        self.assertIn("fsck --repair", result.err)
        work.run("fsck", "--repair", code=1)
        work.run("fsck", "--repair", "--reseal")
        work.check_sound()

    def test_an_emptied_registry_is_damage_and_costs_no_object(self):
        work = self.workspace_to_damage()
        folder = work / ".mformer"
        objects = sorted(path for path in (folder / "objects").rglob("*") if path.is_file())
        copy = (folder / "registry.db").read_bytes()
        for emptied in (True, False):
            for log in folder.glob("registry.db-*"):
                log.unlink()
            (folder / "registry.db").unlink()
            if emptied:
                (folder / "registry.db").touch()
            for command in (("gc", "--grace", "0"), ("fsck",), ("fsck", "--repair", "--reseal"), ("models",),
                            ("import", "checkpoint", "--name", "b")):
                with self.subTest(command=command, emptied=emptied):
                    result = work.run(*command, code=1)
                    work.check_refusal(result, f"{len(objects)} objects of it are there", "from a copy")
            work.check_refusal(work.run("init", "--preset", "tiny", code=1), "", "from a copy")
        self.assertEqual(sorted(path for path in (folder / "objects").rglob("*") if path.is_file()), objects)
        for log in folder.glob("registry.db-*"):
            log.unlink()
        (folder / "registry.db").write_bytes(copy)
        work.check_sound()

    def test_a_damaged_snapshot_is_refused_and_the_hint_helps(self):
        work = self.untrained()
        train = ("train", "--task", "english", "--steps", "40", "--snapshot-every", "1", *mformer.QUICK)
        process = work.start(*train)
        work.wait_for_steps(process, 3)
        process.kill()
        process.communicate()
        snapshot, = (work / ".mformer").glob("runs/*/snapshot.safetensors")
        damage(snapshot)
        work.refuses(*train, code=1, says="is damaged", hint="--restart")
        self.assertEqual(work.run(*train, "--restart", "--json").json["training"]["first_step"], 0)

    def test_a_limit_on_the_size_of_files_is_a_sentence_not_a_signal(self):
        work = self.workspace()

        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (40 * 1024, 40 * 1024))

        for command in (("import", "checkpoint", "--name", "b"), ("export", "out")):
            work.refuses(*command, code=1, says="can't write", hint="limit", prepare=limit)
        work.check_sound()

    def test_what_killed_commands_left_goes_and_what_lives_stays(self):
        work = self.untrained()
        process = work.start("train", "--task", "english", "--steps", "4000", *mformer.QUICK)
        work.wait_for_steps(process, 1)
        left = work / ".mformer" / "cache" / ".tmp-left"
        left.write_bytes(b"1234")
        work.run("gc", "--grace", "0")
        self.assertIsNone(process.poll())
        self.assertTrue(left.exists(), "it is younger than the running command")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=mformer.TIMEOUT_S)
        self.assertEqual(process.returncode, 130)
        self.assertEqual(work.run("gc", "--grace", "0", "--json").json["temporaries"], 1)
        self.assertFalse(left.exists())
        self.assertTrue(list((work / ".mformer").glob("runs/*/snapshot.safetensors")), "it can go on")

    def test_without_a_free_byte_readers_read_and_gc_makes_room(self):
        if not mformer.may_mount():
            self.skipTest("nobody may mount here: neither root in a container as a rule, nor any other user")
        work = self.workspace()
        script = f'''mount -t tmpfs -o size=16m none /mnt && cd /mnt && cp -a "{work.path}/.mformer" . || exit 76
                     head -c 300000 /dev/zero > .mformer/objects/00/.tmp-left; touch -d "3 hours ago" .mformer/objects/00/.tmp-left
                     cat /dev/zero > filler 2>/dev/null
                     "$@"; code=$?; df --output=avail . >&2; exit $code'''
        script = script.replace("cp -a", "mkdir -p .mformer/objects/00; cp -a")
        for command in (("models",), ("log",), ("fsck",), ("inspect", "modules"), ("gc",)):
            with self.subTest(command=command):
                result = mformer.run_mounted(script, *command)
                self.assertEqual(result.code, 0, result)
                if command == ("gc",):
                    self.assertIn("1 unfinished file", result.out)
        result = mformer.run_mounted(script, "freeze", "all")
        self.assertEqual(result.code, 1, result)
        work.check_refusal(result, "no space", "gc")

    def test_a_long_query_ends_at_ctrl_c(self):
        work = self.workspace_to_damage()
        with sqlite3.connect(work / ".mformer" / "registry.db") as registry:
            registry.execute(
                "INSERT INTO operations (uid, command, arguments_json, seed, code_version, started_ms, ended_ms, outcome, "
                "model) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000000) "
                "SELECT 'u' || i, 'c', '{}', 0, '', 0, 0, 'done', '' FROM n")
        process = work.start("fsck")
        while not any("registry.db" in name for name in files_of(process)):
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=mformer.TIMEOUT_S)
        self.assertEqual(process.returncode, 143, err)
        self.assertIn(b"interrupted: stopped while reading", err)


if __name__ == "__main__":
    unittest.main()
