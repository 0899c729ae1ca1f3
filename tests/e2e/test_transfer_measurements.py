"""What was measured of versions that both workspaces have goes from one to the other."""

import contextlib
import os
import sqlite3
import unittest
from pathlib import Path

import mformer

SCORES = ("SELECT version_hash, split, metric, part, token_limit, value, tokens, measured_by FROM v_scores "
          "JOIN tasks ON tasks.name = task WHERE content_hash = '{}' ORDER BY 1, 2, 3, 4, 5")
LOOKS = ("SELECT version_hash, split, token_limit, layer, kind, position, slots, gate_mass, weighted_output_norm, v_routing.tokens, measured_by "
         "FROM v_routing JOIN tasks ON tasks.name = task WHERE content_hash = '{}' ORDER BY 1, 2, 3, 4, 5, 6")


class TransferMeasurementsTest(mformer.EndToEndTest):
    def setUp(self):
        super().setUp()
        self.work = self.workspace()
        self.other = mformer.Folder(self, self.temporary / "other")
        self.workspaces.append(self.other)
        self.work.run("push", self.other.path)
        self.other.run("task", "add", "prose", "--data", self.work / "english")  # another name for the same data
        self.content, = self.rows(self.work, "SELECT content_hash FROM tasks WHERE name = 'english'")[0]

    def rows(self, work, query):
        with contextlib.closing(sqlite3.connect(work / ".mformer" / "registry.db")) as registry:
            return registry.execute(query).fetchall()

    def measured(self, work):
        return [self.rows(work, query.format(self.content)) for query in (SCORES, LOOKS)]

    def brings(self, work, *line, **more):
        """Of the only model: what became of it, measurements that came, and scores that have another value."""
        model, = work.run(*line, "--json", **more).json["models"]
        return model["arrival"], model["measurements"], model["different_measurements"]

    def measure(self, work, task, tokens):
        work.run("eval", "--task", task, "--max-tokens", tokens)
        work.run("inspect", "routing", "--task", task, "--max-tokens", tokens)

    def ssh(self):
        bin = self.temporary / "bin"
        bin.mkdir()
        (bin / "fake-ssh").write_text('#!/bin/sh\nfor last; do :; done\nexec sh -c "$last"\n')
        (bin / "mformer").write_text(f'#!/bin/sh\nexec {Path(mformer.BINARY).resolve()} "$@"\n')
        for program in bin.iterdir():
            program.chmod(0o755)
        return {"MFORMER_SSH": str(bin / "fake-ssh"), "PATH": f"{bin}:{os.environ['PATH']}"}

    def test_they_come_each_once_by_every_way_and_both_directions(self):
        work, other = self.work, self.other
        there_before = len(other.run("log", "--json").json["operations"])
        _, first, _ = self.brings(work, "push", other.path)  # those of the training
        self.assertGreater(first, 0)
        self.measure(work, "english", 70)
        self.assertEqual(self.brings(work, "push", other.path, "--dry-run"), ("same", 2, 0))
        self.assertEqual(self.brings(work, "push", other.path), ("same", 2, 0))
        self.assertEqual(self.measured(other), self.measured(work))
        operations = other.run("log", "--json").json["operations"]
        self.assertEqual(self.brings(work, "push", other.path), ("same", 0, 0))
        self.assertEqual(other.run("log", "--json").json["operations"], operations, "nothing came, nothing was done")
        self.assertGreaterEqual(len(operations), there_before + 2)
        # Back, by a folder, a wire and a bundle.
        ssh = self.ssh()
        self.measure(other, "prose", 60)
        self.assertEqual(self.brings(work, "pull", other.path), ("same", 2, 0))
        self.measure(other, "prose", 50)
        self.assertEqual(self.brings(work, "pull", f"host:{other.path}", env=ssh), ("same", 2, 0))
        self.measure(work, "english", 40)
        self.assertEqual(self.brings(work, "push", f"host:{other.path}", env=ssh), ("same", 2, 0))
        self.measure(other, "prose", 30)
        other.run("bundle", work / "all.bundle")
        self.assertEqual(self.brings(work, "pull", "all.bundle", "--dry-run"), ("same", 2, 0))
        self.assertIn("there already; 2 measurements", work.run("pull", "all.bundle").out)
        self.assertEqual(self.measured(other), self.measured(work))
        self.assertEqual(self.brings(work, "pull", "all.bundle"), ("same", 0, 0))
        self.assertEqual(self.brings(other, "pull", work.path), ("same", 0, 0))

    def test_they_come_where_the_model_has_gone_on_and_with_new_versions(self):
        work, other = self.work, self.other
        self.brings(work, "push", other.path)
        other.run("freeze", "layer=0")
        self.measure(work, "english", 70)
        self.assertEqual(self.brings(work, "push", other.path), ("behind", 2, 0))
        self.measure(other, "prose", 70)  # of base@3
        work.run("eval", "--max-tokens", 50)
        self.assertEqual(self.brings(work, "pull", other.path, "--dry-run"), ("forward", 2, 0))
        self.assertEqual(self.brings(work, "pull", other.path), ("forward", 2, 0))
        self.assertEqual(self.brings(work, "push", other.path), ("same", 1, 0))
        self.assertEqual(self.measured(other), self.measured(work))

    def test_one_that_has_another_value_there_stays_and_is_told(self):
        work, other = self.work, self.other
        self.measure(work, "english", 70)
        self.brings(work, "push", other.path)
        with contextlib.closing(sqlite3.connect(other / ".mformer" / "registry.db")) as registry:
            registry.execute("UPDATE scores SET value = value + 1 WHERE token_limit = 70")
            registry.commit()
        other.run("fsck", "--repair", "--reseal")
        theirs = self.measured(other)
        for line in (("push", other.path), ("push", other.path, "--dry-run")):
            self.assertEqual(self.brings(work, *line), ("same", 0, 1))
        self.assertIn("1 score with another value there, which stays", work.run("push", other.path).out)
        self.assertEqual(self.measured(other), theirs)

    def test_an_undo_passes_them_over(self):
        work, other = self.work, self.other
        other.run("freeze", "layer=0")
        self.measure(work, "english", 70)
        self.brings(work, "push", other.path)
        other.run("undo")
        self.assertEqual(other.versions(), ["base@2"])
        self.assertIn("measurements of base", other.run("log").out)


if __name__ == "__main__":
    unittest.main()
