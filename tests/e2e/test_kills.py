"""kill -9 at many moments: the next command finds a registry that is whole, and nothing half there."""

import random
import time
import unittest

import mformer

POINTS = 6  # for each of five commands
LEAST_S = 0.05


class KillTest(mformer.EndToEndTest):
    def prepared(self, name, dense):
        work = self.workspace(name)
        if dense:
            work.make_dense()
        return work

    def kill_over_the_run(self, *arguments, dense=False):
        """Kills the command at random moments over its whole run, then lets it finish."""
        work = self.prepared("work", dense)
        before, whole = work.versions(), self.duration(*arguments, dense=dense)
        moments = random.Random(" ".join(map(str, arguments)))
        for point in range(POINTS):
            with self.subTest(point=point):
                process = work.start(*arguments)
                time.sleep(max(LEAST_S, whole * (point + moments.random()) / POINTS))
                process.kill()
                process.communicate()
                if self.check_whole(work, before):
                    work = self.prepared(f"after-{point}", dense)  # the kill came too late: it had committed
        work.run(*arguments)
        self.assertNotEqual(work.versions(), before)

    def duration(self, *arguments, dense):
        work = self.prepared("timed", dense)
        start = time.monotonic()
        work.run(*arguments)
        return time.monotonic() - start

    def check_whole(self, work, before):
        """Whether the command had made its version."""
        work.check_sound()
        log = work.run("log", "--json").json["operations"]
        after = work.versions()
        self.assertLessEqual({operation["outcome"] for operation in log}, {"done", "failed", "interrupted"})
        if after == before:
            self.assertNotEqual(log[0]["outcome"], "failed")
        for version in after:
            work.run("--model", version, "export", "check", "--overwrite")
        return after != before

    def test_train(self):
        self.kill_over_the_run("train", "--task", "english", "--steps", "20", "--snapshot-every", "3", *mformer.QUICK)

    def test_extend(self):
        self.kill_over_the_run("extend", "--data", "german", "--steps", "10", "--snapshot-every", "3", *mformer.QUICK)

    def test_prune(self):
        self.kill_over_the_run("prune", "--task", "english", "--keep", "0.5")

    def test_upcycle(self):
        self.kill_over_the_run("upcycle", "--experts", "3", "--k", "2", "--model", "dense", "--noise", "0.1", "--eval-tokens", "600",
                               dense=True)

    def test_import(self):
        # Weights that the workspace has not got yet: the same ones would write no object.
        self.workspace("source").run("export", self.temporary / "half", "--dtype", "bfloat16")
        self.kill_over_the_run("import", self.temporary / "half", "--name", "other")


if __name__ == "__main__":
    unittest.main()
