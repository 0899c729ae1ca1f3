"""export --hub-cache: snapshots in the layout of a hub's local cache."""

import os
import shutil
import unittest

import mformer

NAME = "some-org/tiny.1"


class HubCacheTest(mformer.EndToEndTest):
    def setUp(self):
        super().setUp()
        self.hub = self.temporary / "hub"
        self.model = self.hub / "models--some-org--tiny.1"

    def export(self, work, *options, name=NAME, **more):
        return work.run("export", name, "--hub-cache", *options, env={"HF_HUB_CACHE": str(self.hub)}, **more)

    def state(self):
        """Every file and link below the cache: what it says."""
        return {str(path.relative_to(self.hub)): os.readlink(path) if path.is_symlink() else path.read_bytes()
                for path in self.hub.rglob("*") if path.is_symlink() or path.is_file()}

    def main(self):
        return self.model / "snapshots" / (self.model / "refs" / "main").read_text()

    def test_a_snapshot_is_what_an_export_writes_and_is_read_back_by_its_name(self):
        work = self.workspace()
        self.export(work, "--dry-run")
        self.assertFalse(self.hub.exists())
        self.assertEqual(self.export(work, "--json").json["folder"], str(self.model))
        work.run("export", "plain")
        self.assertRegex(self.main().name, "^[0-9a-f]{40}$")
        self.assertEqual(sorted(path.name for path in self.model.iterdir()), ["blobs", "refs", "snapshots"])
        self.assertEqual({path.name: path.read_bytes() for path in self.main().iterdir()},
                         {path.name: path.read_bytes() for path in (work / "plain").iterdir()})
        self.assertTrue(all(os.readlink(path).startswith("../../blobs/") for path in self.main().iterdir()))
        work.run("import", NAME, "--name", "again", env={"HF_HUB_CACHE": str(self.hub)})
        objects = lambda name: [row["object"] for row in work.run("inspect", "modules", "--model", name, "--json").json["modules"]]
        self.assertEqual(objects("again"), objects("base"))

    def test_each_version_is_a_snapshot_beside_the_earlier_ones(self):
        work = self.workspace()
        self.export(work)
        first, before = self.main(), self.state()
        self.export(work)
        self.assertEqual(self.state(), before)
        work.run("train", "--task", "english", "--steps", "1", *mformer.QUICK)
        self.export(work)
        after = self.state()
        self.assertNotEqual(self.main(), first)
        del before["models--some-org--tiny.1/refs/main"]
        self.assertEqual({name: after[name] for name in before}, before)
        self.export(work, "--model", "base@2")
        self.assertEqual(self.main(), first)
        # A blob that is damaged, and a snapshot that lacks a file, are healed by writing the same again.
        blob = (first / "config.json").resolve()
        blob.write_bytes(b"x")
        (first / "README.md").unlink()
        self.export(work, "--model", "base@2")
        self.assertEqual({**self.state(), "models--some-org--tiny.1/refs/main": b""}, {**after, "models--some-org--tiny.1/refs/main": b""})

    def test_what_mformer_did_not_write_keeps_its_place(self):
        work = self.workspace()
        work.run("export", "plain")
        (self.model / "snapshots" / ("0" * 40)).mkdir(parents=True)
        (self.model / "refs").mkdir()
        (self.model / "refs" / "main").write_text("0" * 40)
        shutil.copy(work / "plain" / "config.json", self.model / "snapshots" / ("0" * 40))
        for spoil in (lambda: None, lambda: (self.model / "refs" / "main").write_text("../../x"), lambda: (self.model / "notes").write_text("x")):
            spoil()
            before = self.state()
            for dry in ((), ("--dry-run",)):
                refused = self.export(work, *dry, code=1)
                self.assertIn("another name", refused.err)
                self.assertEqual(self.state(), before)
        for name in ("plain", "a/b/c", "../x", "a/..", "a--b/c", "a/b--c", "a/b-", "a/b.git", "a/" + 95 * "b", "a/ b", ""):
            self.assertIn("ORG/NAME", self.export(work, name=name, code=2).err)
        for option in (("--overwrite",), ("--format", "gguf")):
            self.export(work, *option, code=2)
        inside = work.run("export", NAME, "--hub-cache", code=1, env={"HF_HUB_CACHE": str(work / ".mformer")})
        self.assertIn("memory of a workspace", inside.err)
        self.assertIn("HF_HUB_CACHE", work.run("export", NAME, "--hub-cache", code=1,
                                               env={"HF_HUB_CACHE": "", "HUGGINGFACE_HUB_CACHE": "", "HF_HOME": "", "HOME": ""}).err)

    def test_two_at_once_leave_two_whole_snapshots_and_nothing_else(self):
        work = self.workspace()
        os.environ["HF_HUB_CACHE"] = str(self.hub)
        self.addCleanup(os.environ.pop, "HF_HUB_CACHE")
        both = [work.start("export", NAME, "--hub-cache", "--model", ref) for ref in ("base@1", "base@2")]
        for process in both:
            self.assertEqual(process.wait(timeout=mformer.TIMEOUT_S), 0, process.communicate())
            process.communicate()
        self.assertEqual(sorted(path.name for path in self.model.iterdir()), ["blobs", "refs", "snapshots"])
        snapshots = list((self.model / "snapshots").iterdir())
        self.assertEqual(len(snapshots), 2)
        for number, snapshot in enumerate(snapshots):
            work.run("import", snapshot, "--name", f"of-{number}")


if __name__ == "__main__":
    unittest.main()
