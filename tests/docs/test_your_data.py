"""docs/your-data.md, pasted from top to bottom into one shell."""

import shutil
import unittest

import pages
import mformer  # noqa: E402  the helper of the end-to-end tests


class YourDataTest(mformer.EndToEndTest):
    def test_the_page_runs_from_top_to_bottom(self):
        clone = self.folder("clone")
        shutil.copytree(pages.ROOT / "tests" / "data" / "sample", clone / "tests" / "data" / "sample")
        (clone / "build" / "release").mkdir(parents=True)
        (clone / "build" / "release" / "bin").symlink_to(pages.program().parent)
        if (pages.program().parents[1] / "libexec").exists():
            (clone / "build" / "release" / "libexec").symlink_to(pages.program().parents[1] / "libexec")
        text = "\n".join("\n".join(block) for block in pages.blocks(pages.ROOT / "docs" / "your-data.md"))
        done = mformer.Result(mformer.subprocess.run(["bash", "-euo", "pipefail", "-c", text], cwd=clone.path, capture_output=True,
                                                     env=mformer.environment(), timeout=500, check=False))
        self.assertEqual(done.code, 0, done)
        for said in ("nothing old changed", "holds: base@3", "wrote ", "tagged base@3 as shipped"):
            self.assertIn(said, done.out)
        self.assertTrue((clone / "own-data" / "handed-on" / "README.md").exists())


if __name__ == "__main__":
    unittest.main()
