import contextlib
import hashlib
import json
import os
import resource
import shutil
import signal
import sqlite3
import stat
import subprocess
import time
import unittest
from pathlib import Path

import mformer

TRAIN = ("--steps", "1", *mformer.QUICK)
# In the place of ssh: passes so many bytes on as a file says, then hangs up.
CUT = """#!/usr/bin/env python3
import os, subprocess, sys
left = int(open({limit!r}).read())
there = subprocess.Popen(["sh", "-c", sys.argv[-1]], stdin=subprocess.PIPE)
while left > 0 and (piece := os.read(0, min(left, 1 << 16))):
    there.stdin.write(piece)
    there.stdin.flush()
    left -= len(piece)
there.stdin.close()
sys.exit(there.wait())
"""

# In the place of ssh: just before a tag is asked for, another command makes one of that name there.
FASTER = """#!/usr/bin/env python3
import os, subprocess, sys
there = subprocess.Popen(["sh", "-c", sys.argv[-1]], stdin=subprocess.PIPE)
while piece := os.read(0, 1 << 16):
    if b'"do":"tag"' in piece:
        subprocess.run({faster!r}, check=True, stdout=subprocess.DEVNULL)
    there.stdin.write(piece)
    there.stdin.flush()
there.stdin.close()
sys.exit(there.wait())
"""


class TransferTest(mformer.EndToEndTest):
    def other(self, name="other"):
        """Where a push makes a workspace; sound at the end."""
        self.workspaces.append(mformer.Folder(self, self.temporary / name))
        return self.workspaces[-1]

    def ssh(self, work):
        """The environment in which ssh runs the command here, after it has written down what it was given."""
        bin = self.temporary / "bin"
        bin.mkdir(exist_ok=True)
        (bin / "fake-ssh").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {self.temporary}/asked\nfor last; do :; done\nexec sh -c "$last"\n')
        (bin / "fake-ssh").chmod(0o755)
        link = bin / "mformer"
        if not link.exists():
            link.write_text(f'#!/bin/sh\nexec {Path(mformer.BINARY).resolve()} "$@"\n')
            link.chmod(0o755)
        return {"MFORMER_SSH": str(bin / "fake-ssh"), "PATH": f"{bin}:{os.environ['PATH']}"}

    def hashes(self, work):
        return {row["name"]: row["version"]["hash"] for row in work.run("models", "--json").json["models"]}

    def manifests(self, work):
        return {name: work.modules(name) for name in self.hashes(work)}

    def rows(self, work, query):
        with contextlib.closing(sqlite3.connect(work / ".mformer" / "registry.db")) as registry:
            return registry.execute(query).fetchall()

    def arrivals(self, work, *line, **more):
        return {row["model"]: (row["arrival"], row["into"], row["objects"])
                for row in work.run(*line, "--json", **more).json["models"]}

    def same_objects(self, one, other):
        names = lambda work: {path.name for path in (work / ".mformer" / "objects").rglob("*") if path.is_file()}
        self.assertEqual(names(one), names(other))

    def test_a_model_goes_there_and_back_with_its_provenance(self):
        work, other = self.workspace(), self.other()
        work.run("extend", "--data", "german", "--into", "grown", *TRAIN)
        planned = self.arrivals(work, "push", other.path, "--dry-run")
        self.assertFalse(other.path.exists())
        sent = self.arrivals(work, "push", other.path)
        self.assertEqual({name: row[:2] for name, row in sent.items()}, {"base": ("made", "base"), "grown": ("made", "grown")})
        self.assertGreaterEqual(planned["grown"][2], sent["grown"][2])
        self.assertEqual(self.hashes(other), self.hashes(work))
        self.assertEqual(self.manifests(other), self.manifests(work))
        self.same_objects(work, other)
        self.assertEqual(self.rows(other, "SELECT uid FROM operations WHERE origin <> '' ORDER BY uid"),
                         self.rows(work, "SELECT uid FROM operations WHERE version_after IS NOT NULL ORDER BY uid"))
        query = "SELECT hash, parent_hash, versions.model, number, uid FROM versions JOIN operations ON operations.id = operation_id ORDER BY hash"
        self.assertEqual(self.rows(other, query), self.rows(work, query))
        query = ("SELECT revisions.module_uid, revisions.object_hash, parent.object_hash, operations.uid FROM revisions JOIN operations "
                 "ON operations.id = revisions.operation_id LEFT JOIN revisions AS parent ON parent.id = revisions.parent_id ORDER BY 1, 2")
        self.assertEqual(self.rows(other, query), self.rows(work, query))
        self.assertIn("elsewhere: ", other.run("log").out)
        self.assertNotIn("train", other.run("log", "--script").out)
        self.assertEqual(other.run("generate", "--model", "grown", "--max-tokens", "3").out,
                         work.run("generate", "--model", "grown", "--max-tokens", "3").out)
        self.assertEqual(self.arrivals(work, "push", other.path), {"base": ("same", "base", 0), "grown": ("same", "grown", 0)})
        other.run("freeze", "layer=0")
        self.assertEqual(other.versions(), ["base@3", "grown@1"])
        self.assertEqual(self.arrivals(work, "push", other.path, "base"), {"base": ("behind", "base", 0)})
        self.assertEqual(self.arrivals(work, "pull", other.path, "base"), {"base": ("forward", "base", 0)})
        self.assertEqual(self.hashes(work), self.hashes(other))
        work.run("undo", "--model", "base")
        self.assertEqual(work.versions(), ["base@2", "grown@1"])
        work.run("redo", "--model", "base")
        self.assertEqual(work.versions(), ["base@3", "grown@1"])

    def test_what_went_two_ways_is_refused_by_push_and_kept_beside_by_pull(self):
        work, other = self.workspace(), self.other()
        work.run("push", other.path)
        work.run("freeze", "layer=0")
        other.run("freeze", "layer=1")
        before = other.state()
        refused = work.run("push", other.path, code=1)
        self.assertIn("'base' went another way there", refused.err)
        self.assertIn("mformer pull", refused.err)
        self.assertEqual(other.state(), before)
        self.assertIn("kept as base-2 at base-2@1", work.run("pull", other.path).out)
        self.assertEqual(work.versions(), ["base@3", "base-2@1"])
        self.assertEqual(self.arrivals(work, "pull", other.path), {"base": ("same", "base-2", 0)})
        other.run("freeze", "kind=mlp", "--model", "base")
        self.assertEqual(self.arrivals(work, "pull", other.path), {"base": ("forward", "base-2", 0)})
        self.assertEqual(work.versions(), ["base@3", "base-2@2"])
        # From A to B to A, with changes on both sides.
        self.assertEqual(self.arrivals(other, "pull", work.path, "base"), {"base": ("beside", "base-2", 0)})
        self.assertEqual(self.hashes(other)["base-2"], self.hashes(work)["base"])
        self.assertIn("'base-2' went another way", other.run("push", work.path, "base-2", code=1).err)
        work.run("undo", "--model", "base-2")
        work.run("model", "rename", "base-2", "theirs")
        work.run("tag", "base-2")
        self.assertEqual(self.arrivals(work, "pull", other.path, "base"), {"base": ("beside", "base-3", 0)})

    def test_it_goes_through_ssh(self):
        work, there = self.workspace(), self.other("with space")
        ssh = self.ssh(work)
        sent = self.arrivals(work, "push", f"me@host:{there.path}", env=ssh)
        self.assertEqual(sent["base"][:2], ("made", "base"))
        self.assertEqual((self.temporary / "asked").read_text().splitlines()[:1], ["me@host"])
        self.assertEqual(self.hashes(there), self.hashes(work))
        self.same_objects(work, there)
        there.run("freeze", "layer=0")
        work.run("pull", f"ssh://host:2222{there.path}", env=ssh)
        self.assertEqual((self.temporary / "asked").read_text().splitlines()[:3], ["-p", "2222", "host"])
        self.assertEqual(self.hashes(there), self.hashes(work))
        self.assertEqual(self.arrivals(work, "push", f"host:{there.path}", "--dry-run", env=ssh), {"base": ("same", "base", 0)})
        work.run("freeze", "layer=1")
        there.run("freeze", "kind=mlp")
        self.assertIn("went another way", work.run("push", f"host:{there.path}", code=1, env=ssh).err)
        self.assertIn("no model 'bose'", work.run("pull", f"host:{there.path}", "bose", code=2, env=ssh).err)
        for place in ("-oProxyCommand=x:/tmp", "ssh://-host/x", "ssh://host", "a b:c", "host:"):
            self.assertIn("names no workspace on another machine", work.run("push", "--", place, code=2, env=ssh).err)
        self.assertIn("can't start", work.run("push", "host:x", code=1, env={"MFORMER_SSH": "/nowhere/ssh"}).err)
        self.assertRegex(work.run("pull", "host:x", code=1, env={"MFORMER_SSH": "true"}).err, "the other end (ended|is gone)")
        self.assertIn("no workspace", work.run("pull", f"host:{self.temporary}/none", code=1, env=ssh).err)

    def test_a_bundle_is_whole_or_nothing(self):
        work, other = self.workspace(), self.folder("fresh")
        work.run("extend", "--data", "german", "--into", "grown", *TRAIN)
        work.run("bundle", "all.bundle", "--dry-run")
        self.assertFalse((work / "all.bundle").exists())
        work.run("bundle", "all.bundle")
        work.refuses("bundle", "all.bundle", code=1, says="exists already")
        self.assertEqual((work / "all.bundle").read_bytes()[:17], b"mformer bundle 1\n")
        copy = self.other()
        work.run("push", copy.path, "base")
        copy.run("pull", work / "all.bundle")
        self.assertEqual(self.hashes(copy), self.hashes(work))
        self.same_objects(work, copy)
        whole = (work / "all.bundle").read_bytes()
        second = self.other("second")
        work.run("push", second.path, "base")
        before = second.state()
        at = whole.index(b"}object ") + 100
        damaged = {"cut": whole[:-200], "half": whole[:len(whole) // 2], "longer": whole + b"x", "bit": whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:],
                   "index": whole.replace(b'"seed":', b'"sead":', 1), "empty": b"", "text": b"hello\n" * 100, "long": b"x" * 10000,
                   "size": b"mformer bundle 1\ntext 99999999999999\n{}", "minus": b"mformer bundle 1\ntext -1\n{}"}
        for name, content in damaged.items():
            (work / "bad.bundle").write_bytes(content)
            with self.subTest(damage=name):
                self.assertIn("error:", second.run("pull", work / "bad.bundle", code=1).err)
                self.assertEqual(second.state(), before)
        second.refuses("pull", work / "none.bundle", code=1, says="can't read")
        os.mkfifo(work / "pipe.bundle")  # nobody writes it
        second.refuses("pull", work / "pipe.bundle", code=1, says="can't read")
        second.refuses("pull", work / "all.bundle", "bose", code=2, says="no model 'bose'", hint="base")

    def crafted(self, work, change):
        """A bundle whose index was changed, with a checksum that is right."""
        whole = (work / "all.bundle").read_bytes()
        begin = whole.index(b"text ") + 5
        line_end = whole.index(b"\n", begin)
        size = int(whole[begin:line_end])
        index = json.loads(whole[line_end + 1:line_end + 1 + size])
        change(index["models"][0])
        text = json.dumps(index).encode()
        body = whole[:begin] + str(len(text)).encode() + b"\n" + text + whole[line_end + 1 + size:whole.rindex(b"end ")]
        (work / "crafted.bundle").write_bytes(body + b"end " + hashlib.sha256(body).hexdigest().encode() + b"\n")
        return work / "crafted.bundle"

    def test_a_hostile_bundle_takes_nothing_over(self):
        work, other = self.workspace(), self.folder("victim")
        work.run("bundle", "all.bundle")
        other.run("init", "--preset", "tiny", "--no-tokenizer", "--name", "own")
        self.workspaces.append(other)
        before = other.state()
        changes = {
            "a config of another": lambda m: m["parcel"]["versions"][1]["manifest"].update(config="{}"),
            "a frozen module": lambda m: m["parcel"]["versions"][1]["manifest"]["layers"][1]["mlp"][0].__setitem__(2, True),
            "an unknown parent": lambda m: m["parcel"]["versions"].pop(0) and m["offer"]["versions"].pop(0),
            "no operation": lambda m: m["parcel"]["operations"].clear(),
            "no module": lambda m: m["parcel"]["modules"].clear(),
            "a module elsewhere": lambda m: m["parcel"]["modules"][0].__setitem__(2, 7),
            "a name with a path": lambda m: (m["offer"].update(model="../x"), m["parcel"].update(model="../x")),
            "a removed name": lambda m: (m["offer"].update(model="x (removed 1)"), m["parcel"].update(model="x (removed 1)")),
            "a hash with a path": lambda m: m["parcel"]["versions"][0]["manifest"]["parts"][0].__setitem__(1, "../../x"),
            "a number as text": lambda m: m["parcel"]["versions"][0].update(number="1"),
            "a huge number": lambda m: m["parcel"]["versions"][0].update(number=2**63),
            "a running operation": lambda m: m["parcel"]["operations"][0].update(outcome="running"),
            "another current": lambda m: (m["offer"].update(current="0" * 64), m["parcel"].update(current="0" * 64)),
            "a tag of an unknown version": lambda m: m["offer"].update(tags={"x": "0" * 64}),
            "a tag with a path": lambda m: m["offer"].update(tags={"../x": m["offer"]["current"]}),
            "tags that are a list": lambda m: m["offer"].update(tags=["x"]),
            "no list": lambda m: m["parcel"].update(versions={}), "nothing": lambda m: m.clear()}
        for name, change in changes.items():
            with self.subTest(change=name):
                bundle = self.crafted(work, change)
                result = other.run("pull", bundle, code=None)
                self.assertIn(result.code, (1, 2), result)
                self.assertIn("error:", result.err)
                self.assertEqual(other.state(), before)
                other.check_sound()
        shown = lambda m: m["parcel"]["operations"][0].update(message="a\x1b[31mb", line='["x\\u001b[31m"]', folder="/a\x1b[2J", arguments="{}")
        other.run("pull", self.crafted(work, shown))
        for line in (("log",), ("log", str(len(other.run("log", "--json").json["operations"])))):
            self.assertNotIn("\x1b", other.run(*line, code=None).out)

    def test_a_bundle_takes_no_more_memory_than_a_small_multiple_of_what_it_says(self):
        other = self.folder("victim")
        other.run("init", "--preset", "tiny", "--no-tokenizer")
        self.workspaces.append(other)
        before = other.state()
        many, row = 15_000_000, '{"models": [{"offer": {"model": %s}, "parcel": {"modules": [%s'
        for text in ("0," * many, row % ("[" + "0," * many, ""), row % ('"x"', "[" + "0," * many), '{"a":' * many, row % ('"x"', "[" * many), '{"models": [' + "{}," * many, row % ('"' + "x" * 100_000_000, "")):
            body = b"mformer bundle 1\ntext %d\n" % len(text) + text.encode()
            (other / "big.bundle").write_bytes(body + b"end " + hashlib.sha256(body).hexdigest().encode() + b"\n")
            limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20))
            self.assertIn("the index of the bundle", other.run("pull", "big.bundle", code=1, prepare=limit).err)
            self.assertEqual(other.state(), before)

    def test_an_index_that_is_not_what_it_should_be_is_refused(self):
        work = self.workspace()
        work.run("bundle", "all.bundle")
        whole = (work / "all.bundle").read_bytes()
        changes = {"no offer": lambda m: m.pop("offer"), "no parcel": lambda m: m.pop("parcel"), "no versions": lambda m: m["offer"].pop("versions"),
                   "no scores": lambda m: m["parcel"].pop("scores"), "sizes that are a list": lambda m: m["parcel"].update(sizes=[]),
                   "an offer that is a list": lambda m: m.update(offer=[1]), "two models": lambda m: m["parcel"].update(model="other"),
                   "a version that is a number": lambda m: m["parcel"].update(versions=[1]), "a deep row": lambda m: m["parcel"].update(scores=[json.loads("[" * 40 + "]" * 40)])}
        for name, change in changes.items():
            with self.subTest(change=name):
                work.refuses("pull", self.crafted(work, change), code=1, says="")
        # What a newer program may add is passed over.
        fresh = self.folder("fresh")
        fresh.run("init", "--preset", "tiny", "--no-tokenizer", "--name", "own")
        fresh.run("pull", self.crafted(work, lambda m: (m.update(more=[{"a": [1, {}]}], other=None), m["parcel"].update(new=[[1], {"b": 2}], text="x"), m["offer"].update(new={"x": [1]}))))
        self.assertEqual(self.hashes(fresh)["base"], self.hashes(work)["base"])
        for index in (b"[]", b"1", b'"x"', b'{"models": {}}', b'{"models": [1]}', b"{}", b"", b'{"models": [', b'{"models": []} x'):
            body = b"mformer bundle 1\ntext %d\n" % len(index) + index
            (work / "odd.bundle").write_bytes(body + b"end " + hashlib.sha256(body).hexdigest().encode() + b"\n")
            work.refuses("pull", "odd.bundle", code=1, says="index")

    def test_what_came_before_the_end_of_the_wire_is_not_sent_again(self):
        work, there = self.workspace(), self.other()
        work.run("push", there.path)
        work.run("train", "--task", "english", *TRAIN)
        ssh = self.ssh(work)
        objects = there / ".mformer" / "objects"
        known = sum(path.is_file() for path in objects.rglob("*"))
        # The wire is cut after so many bytes; every time a little more of what is missing has come.
        cut = self.temporary / "bin" / "cut-ssh"
        cut.write_text(CUT.format(limit=str(self.temporary / "limit")))
        cut.chmod(0o755)
        counts = []
        for limit in (10, 5000, 300000, 1200000):
            (self.temporary / "limit").write_text(str(limit))
            result = work.run("push", f"host:{there.path}", code=1, env={**ssh, "MFORMER_SSH": str(cut)})
            self.assertIn("error:", result.err)
            there.check_sound()
            counts.append(sum(path.is_file() for path in objects.rglob("*")) - known)
        self.assertEqual(counts, sorted(counts))
        self.assertGreater(counts[-1], 0)
        self.assertEqual(there.versions(), ["base@2"])
        total = len(self.rows(work, "SELECT 1 FROM objects"))
        sent = self.arrivals(work, "push", f"host:{there.path}", env=ssh)["base"][2]
        self.assertEqual(sent, total - known - counts[-1])
        self.assertEqual(self.hashes(there), self.hashes(work))

    def test_killed_at_either_end_leaves_two_sound_workspaces(self):
        work, there = self.workspace(), self.other()
        work.run("push", there.path)
        work.run("train", "--task", "english", *TRAIN)
        ssh = self.ssh(work)
        for victim in ("here", "there"):
            for pause in (0.0, 0.01, 0.02, 0.04):
                process = subprocess.Popen(mformer.command_line(["push", f"host:{there.path}"]), cwd=work.path, stdout=subprocess.DEVNULL,
                                           stderr=subprocess.DEVNULL, env=mformer.environment(**ssh), start_new_session=True)
                time.sleep(pause)
                if victim == "here":
                    process.kill()
                else:
                    for other in Path("/proc").glob("[0-9]*"):
                        with contextlib.suppress(OSError):
                            if os.getsid(int(other.name)) == process.pid and b"\0transfer-peer\0" in (other / "cmdline").read_bytes() + b"\0":
                                os.kill(int(other.name), signal.SIGKILL)
                process.wait(timeout=mformer.TIMEOUT_S)
                work.check_sound()
                there.check_sound()
        work.run("push", f"host:{there.path}", env=ssh)
        self.assertEqual(self.hashes(there), self.hashes(work))

    def test_killed_on_its_way_into_a_new_folder_it_leaves_no_workspace_and_goes_on_with_what_came(self):
        work, there = self.workspace(), self.folder("new")
        ssh = self.ssh(work)
        cut = self.temporary / "bin" / "cut-ssh"
        cut.write_text(CUT.format(limit=str(self.temporary / "limit")))
        cut.chmod(0o755)
        (self.temporary / "limit").write_text("1500000")
        work.run("push", f"host:{there.path}", code=1, env={**ssh, "MFORMER_SSH": str(cut)})
        self.assertEqual([path.name[:18] for path in there.path.iterdir()], [".tmp-init-receive-"])
        there.refuses("models", code=1, says="no workspace")
        came = len([path for path in there.path.rglob("*") if path.is_file() and "/objects/" in str(path)])
        self.assertGreater(came, 0)
        self.assertEqual(self.arrivals(work, "push", there.path, "--dry-run")["base"][0], "made")
        total = len(self.rows(work, "SELECT 1 FROM objects"))
        self.assertEqual(self.arrivals(work, "push", f"host:{there.path}", env=ssh)["base"], ("made", "base", total - came))
        self.assertEqual([path.name for path in there.path.iterdir()], [".mformer"])
        there.check_sound()
        self.same_objects(work, there)
        # What is left of a creation that an older program was killed in is none either; an init takes the rest away.
        empty = self.other("folders")
        (empty.path / ".mformer" / "objects").mkdir(parents=True)
        work.run("push", empty.path)
        third = self.other("third")
        third.path.mkdir()
        work.run("push", f"host:{third.path}", code=1, env={**ssh, "MFORMER_SSH": str(cut)})
        third.run("init", "--preset", "tiny", "--no-tokenizer")
        self.assertEqual([path.name for path in third.path.iterdir()], [".mformer"])

    def test_two_pushes_into_one_new_folder_leave_one_whole_workspace(self):
        work, there = self.workspace(), self.other("new")
        for _ in range(4):
            both = [work.start("push", there.path) for _ in range(2)]
            for process in both:
                process.wait(timeout=mformer.TIMEOUT_S)
                said = process.communicate()
                self.assertIn(process.returncode, (0, 1), said)
            self.assertIn(0, [process.returncode for process in both])
            self.assertEqual([path.name for path in there.path.iterdir()], [".mformer"])
            there.check_sound()
            self.assertEqual(self.hashes(there), self.hashes(work))
            shutil.rmtree(there.path)
        work.run("push", there.path)

    def test_a_collection_beside_it_takes_nothing_of_what_comes(self):
        work, there = self.workspace(), self.other()
        work.run("push", there.path)
        for steps in (1, 2, 3):
            work.run("train", "--task", "english", "--steps", str(steps), *mformer.QUICK)
            process = work.start("push", there.path)
            while process.poll() is None:
                there.run("gc", "--grace", "0", code=None)
            self.assertEqual(process.returncode, 0, process.communicate())
            there.check_sound()
            self.assertEqual(self.hashes(there), self.hashes(work))

    @unittest.skipUnless(mformer.may_mount(), "needs the right to mount")
    def test_a_full_disk_at_the_other_end_is_said_and_what_came_is_used(self):
        work = self.workspace()
        script = ('mount -t tmpfs -o size=1800k none /mnt && cd /mnt && "$@"; echo "exit $?"; mount -o remount,size=20m /mnt; "$@"; echo "exit $?"; '
                  f'{Path(mformer.BINARY).resolve()} --workspace /mnt/there fsck')
        result = mformer.run_mounted(script, "--workspace", work.path, "push", "/mnt/there")
        self.assertIn("exit 1", result.out, result)
        self.assertIn("No space left", result.err)
        self.assertIn("exit 0", result.out)
        self.assertIn("sound", result.out)

    def test_measurements_come_with_tasks_of_the_same_data_and_replace_nothing(self):
        work, other = self.workspace(), self.other()
        work.run("eval", "--max-tokens", "100")
        work.run("inspect", "routing")
        work.run("push", other.path)
        self.assertEqual(self.rows(other, "SELECT count(*) FROM scores"), [(0,)])
        other.run("task", "add", "prose", "--data", work / "english")
        work.run("freeze", "layer=0")
        work.run("eval", "--max-tokens", "100")
        work.run("push", other.path)
        query = "SELECT version_hash, split, metric, part, token_limit, value FROM v_scores WHERE task = '{}' ORDER BY 1, 2, 3, 4, 5"
        scores = self.rows(work, query.format("english"))
        self.assertIn(self.hashes(work)["base"], {row[0] for row in scores})
        self.assertEqual(self.rows(other, query.format("prose")), scores)

    def looks(self, work):
        """What routing was measured on, how, and what came out."""
        return self.rows(work, "SELECT version_hash, split, token_limit, layer, kind, position, slots, gate_mass, weighted_output_norm, tokens, measured_by "
                               "FROM v_routing ORDER BY 1, 2, 3, 4, 5, 6")

    def test_statistics_of_routing_travel_with_what_they_were_taken_on_and_by(self):
        work, other = self.workspace(), self.other()
        work.run("push", other.path)
        other.run("task", "add", "english", "--data", work / "english")
        work.run("extend", "--data", "german", *TRAIN)
        work.run("inspect", "routing", "--task", "english", "--max-tokens", "70")
        work.run("inspect", "routing", "--task", "english", "--max-tokens", "50")
        other.run("task", "add", "german", "--data", work / "german")
        work.run("bundle", "all.bundle")
        work.run("push", other.path)
        version = self.hashes(work)["base"]
        measured = [row for row in self.looks(work) if row[0] == version]
        self.assertGreaterEqual({(row[2], row[10]) for row in measured}, {(70, None), (50, None)})
        self.assertIn("extend", {row[10] for row in measured})
        self.assertEqual(self.looks(other), measured)
        scores = ("SELECT version_hash, split, metric, part, token_limit, value, measured_by FROM v_scores "
                  f"WHERE version_hash = '{version}' ORDER BY 1, 2, 3, 4, 5")
        self.assertTrue(self.rows(work, scores))
        self.assertEqual(self.rows(other, scores), self.rows(work, scores))
        # By a bundle and by a wire the same.
        for name, line in (("third", ("pull", work / "all.bundle")), ("fourth", ("pull", f"host:{work.path}"))):
            fresh = self.folder(name)
            fresh.run("init", "--preset", "tiny", "--tokenizer", work / "tokenizer.json", "--name", "own")
            for name in ("english", "german"):
                fresh.run("task", "add", name, "--data", work / name)
            fresh.run(*line, env=self.ssh(work))
            self.assertEqual([row for row in self.looks(fresh) if row[0] == version], measured)
            fresh.check_sound()

    def tags(self, work):
        return {tag["name"]: tag["version"]["hash"] for tag in work.run("tag", "--json").json["tags"]}

    def told(self, result):
        return {tag["name"]: (tag["made"], tag["there"]) for model in result.json["models"] for tag in model["tags"]}

    def test_a_tag_that_another_command_makes_meanwhile_is_left_alone(self):
        work, other = self.workspace(), self.other()
        work.run("push", other.path)
        work.run("tag", "first", "base@1")
        program = self.temporary / "bin" / "faster-ssh"
        ssh = {**self.ssh(work), "MFORMER_SSH": str(program)}
        for version, told in (("base@2", {"first": (False, "base@2")}), ("base@1", {"first": (True, None)})):
            faster = [str(Path(mformer.BINARY).resolve()), "--workspace", str(other.path), "tag", "first", version]
            program.write_text(FASTER.format(faster=faster))
            program.chmod(0o755)
            self.assertEqual(self.told(work.run("push", f"host:{other.path}", "--json", env=ssh)), told)
            other.run("tag", "first", "--remove")

    def test_tags_travel_and_none_is_moved(self):
        work, other = self.workspace(), self.other()
        work.run("tag", "first", "base@1")
        work.run("branch", "twig", "base@1")
        ssh = self.ssh(work)
        self.assertEqual(self.told(work.run("push", other.path, "--dry-run", "--json")), {"first": (True, None)})
        self.assertIn("tag first: made", work.run("push", other.path).out)
        self.assertEqual(self.tags(other), self.tags(work))
        self.assertNotIn("tag", work.run("push", other.path).out)
        # The models stand where they stood, and a tag comes all the same; one that names another version there stays.
        work.run("tag", "second", "base@2")
        work.run("tag", "mine", "base@2")
        work.run("tag", "taken", "base@2")
        other.run("tag", "mine", "base@1")
        other.run("branch", "taken", "base@1")
        before = self.tags(other)
        for dry in (["--dry-run"], []):
            pushed = work.run("push", f"host:{other.path}", "--json", *dry, env=ssh)
            self.assertEqual(self.told(pushed), {"second": (True, None), "mine": (False, "base@1"), "taken": (False, "the model taken")})
        self.assertEqual(self.tags(other), {**before, "second": self.hashes(work)["base"]})
        self.assertIn("tag mine: not taken over, since base@1 has that name there", work.run("push", other.path).out)
        # It is an operation, which can be taken back, and comes again.
        other.run("undo")
        self.assertEqual(self.tags(other), before)
        work.run("bundle", "all.bundle", "base")
        other.run("pull", work / "all.bundle")
        self.assertEqual(self.tags(other), {**before, "second": self.hashes(work)["base"]})
        self.assertEqual(self.told(other.run("pull", f"host:{work.path}", "--json", env=ssh)), {"mine": (False, "base@1"), "taken": (False, "the model taken")})
        # Not along with a model that lacks its version.
        work.run("freeze", "layer=0")
        work.run("tag", "third")
        third = self.other("third")
        work.run("push", third.path, "twig")
        self.assertEqual(set(self.tags(third)), {"first"})

    def test_places_that_are_none_are_refused(self):
        work = self.workspace()
        for line in (("push", "."), ("pull", ".mformer"), ("push", work.path / "english" / "..")):
            work.refuses(*line, code=2, says="is this workspace itself")
        work.refuses("push", "english", code=1, says="no empty folder", hint="mformer bundle")
        work.refuses("pull", "english", code=1, says="no workspace")
        work.refuses("push", "english/text.jsonl", code=1, says="no empty folder")
        there = self.other()
        work.run("push", there.path)
        work.run("freeze", "layer=0")
        for path in (there.path / ".mformer").rglob("*"):
            path.chmod(0o555 if path.is_dir() else 0o444)
        (there.path / ".mformer").chmod(0o555)
        self.assertIn("read-only", work.run("push", there.path, code=1, prepare=mformer.obey_modes).err)
        work.run("pull", there.path, prepare=mformer.obey_modes)
        for path in ((there.path / ".mformer"), *(there.path / ".mformer").rglob("*")):
            path.chmod(path.stat().st_mode | stat.S_IWUSR)
        with contextlib.closing(sqlite3.connect(there / ".mformer" / "registry.db")) as registry:
            registry.execute("INSERT INTO schema_migrations VALUES (999, 'of the future', 0)" if len(registry.execute("SELECT * FROM schema_migrations").fetchone()) == 3
                             else "INSERT INTO schema_migrations SELECT 999, 'of the future', 0, ''")
            registry.commit()
        self.assertIn("newer", work.run("push", there.path, code=1).err)
        self.assertIn("newer", work.run("pull", there.path, code=1).err)
        self.workspaces.remove(there)


if __name__ == "__main__":
    unittest.main()
