"""A sample of what recipes/faults/run.sh does: what the disk holds after a power failure is all before or all after."""

import random
import tempfile
import unittest
from pathlib import Path

import points  # first: it tells where mformer.py lies
import cases
import disk
import power
import run

THIN = ("tag", "undo", "model remove")
COMPUTING = ("init", "extend")


class Power(unittest.TestCase):
    def test_a_power_failure_at_any_moment_leaves_all_as_before_or_after(self):
        chosen = [case for case in (*cases.THIN, *cases.COMPUTING) if case.name in (*THIN, *COMPUTING)]
        tallies = run.run_all(chosen, lambda case, prepared: power.run_case(case, prepared, power.BY_KIND), 2)
        for name, tally in tallies.items():
            with self.subTest(command=name):
                self.assertGreater(tally.tried, 5)
                self.assertEqual(tally.passed, tally.tried, tally.examples)

    def test_a_disk_that_passes_over_what_it_is_to_wait_for_is_found(self):
        chosen = [case for case in cases.THIN if case.name == "tag"]
        tallies = run.run_all(chosen, lambda case, prepared: power.run_case(case, prepared, 1000, "SY"), 1, lambda text: None)
        problems = " ".join(tallies["tag"].examples.values())
        self.assertIn("the command had ended, and its work is lost", problems)


class DiskTest(unittest.TestCase):
    """The model of a disk itself."""

    def setUp(self):
        self.start = Path(tempfile.mkdtemp(prefix="mformer-disk-"))
        self.addCleanup(lambda: (self.start / "old").unlink() or self.start.rmdir())
        (self.start / "old").write_bytes(b"old")
        self.disk = disk.Disk(self.start, "/w")

    def found(self, names, data):
        tree = self.disk.after_failure(names, data, random.Random(1))
        return {str(path): None if file is None else file[0].content(file[1]) for path, file in tree.items()}

    def test_what_was_not_synced_may_be_lost(self):
        self.disk.apply("O", 7, 1, 0, "/w/new", b"")
        self.disk.apply("W", 7, 0, 3, "/w/new", b"abc")
        self.assertEqual(self.found("all", "all"), {"old": b"old", "new": b"abc"})
        self.assertEqual(self.found("all", "none"), {"old": b"old", "new": b""})
        self.assertEqual(self.found("none", "all"), {"old": b"old"})
        self.disk.apply("S", 7, 0, 0, "/w/new", b"")
        self.assertEqual(self.found("all", "none"), {"old": b"old", "new": b"abc"})
        self.assertEqual(self.found("none", "none"), {"old": b"old"})
        self.disk.apply("S", 1, 0, 0, "/w", b"")
        self.assertEqual(self.found("none", "none"), {"old": b"old", "new": b"abc"})

    def test_a_rename_is_whole_and_lost_until_its_folder_is_synced(self):
        self.disk.apply("O", 7, 1, 0, "/w/new", b"")
        self.disk.apply("Y", 0, 0, 0, "/w", b"")
        self.disk.apply("R", 0, 0, 0, "/w/new\t/w/old", b"")
        self.assertEqual(self.found("all", "none"), {"old": b""})
        self.assertEqual(self.found("none", "none"), {"old": b"old", "new": b""})

    def test_writes_may_reach_the_disk_in_any_order_and_by_the_sector(self):
        self.disk.apply("O", 7, 1, 0, "/w/new", b"")
        self.disk.apply("W", 7, 0, 2048, "/w/new", b"a" * 2048)
        self.disk.apply("W", 7, 1024, 1024, "/w/new", b"b" * 1024)
        rolls, seen = random.Random(3), set()
        for _ in range(200):
            content = self.disk.files[7].content(self.disk.files[7].some_of("some", rolls))
            seen.add(tuple(bytes(content[at:at + 1]) for at in range(0, 2048, 512)))
        self.assertIn((b"\0", b"\0", b"b", b""), seen)
        self.assertIn((b"a", b"a", b"a", b"b"), seen)


if __name__ == "__main__":
    unittest.main()
