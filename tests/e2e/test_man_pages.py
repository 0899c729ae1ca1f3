"""The manual pages, as `man` and groff read them."""

import re
import shutil
import subprocess
import unittest

import mformer


class ManPagesTest(mformer.EndToEndTest):
    def test_there_is_a_page_for_every_command(self):
        work = self.folder()
        work.run("man-pages", "man1")
        names = {path.name for path in (work / "man1").iterdir()}
        listed = [line.split()[0] for line in work.run("--help").out.splitlines() if line.startswith("  ") and line[2].isalpha()]
        self.assertGreater(len(listed), 30)
        self.assertLessEqual({f"mformer-{command}.1" for command in listed}, names)
        self.assertIn("mformer-inspect-routing.1", names)

    @unittest.skipUnless(shutil.which("groff"), "no groff here")
    def test_groff_finds_nothing_to_complain_about(self):
        work = self.folder()
        files = [work / "man1" / name for name in work.run("man-pages", "man1", "--json").json["files"]]
        done = subprocess.run(["groff", "-man", "-ww", "-Tascii", "-rLL=78n", *files], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        text = re.sub(".\b", "", done.stdout)  # bold is a letter on itself
        self.assertIn("mformer-extend - ", re.sub(" +", " ", text))
        self.assertTrue("--experts N|auto" in text, "the value of an option stands behind it")

    def test_pages_are_written_again_but_nothing_else_is_replaced(self):
        work = self.folder()
        work.run("man-pages", "man1")
        first = (work / "man1" / "mformer.1").read_bytes()
        work.run("man-pages", "man1")
        self.assertEqual((work / "man1" / "mformer.1").read_bytes(), first)
        (work / "man1" / "mformer-log.1").write_text("somebody's own\n")
        work.refuses("man-pages", "man1", code=1, says="nothing else is ever replaced")
        self.assertEqual((work / "man1" / "mformer-log.1").read_text(), "somebody's own\n")
        (work / "file").write_text("")
        work.refuses("man-pages", "file/man1", code=1, says="can't be made a folder")
        inside = self.workspace("inside")
        inside.refuses("man-pages", ".mformer/man1", code=1, says="memory of a workspace")


if __name__ == "__main__":
    unittest.main()
