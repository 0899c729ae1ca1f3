"""Pictures that `mformer plot` writes: what they show, that the same registry gives the same bytes, and what they refuse."""

import math
import os
import re
import shutil
import struct
import sys
import unittest
import xml.etree.ElementTree as ElementTree
import zlib
from pathlib import Path

import mformer

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import browser  # noqa: E402

TRAIN = ("--steps", "2", *mformer.QUICK)
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "a</script><img src=x onerror=alert(1)>&amp;\"' \u202e\x1b[31m\ufffe"
HAS_RSVG = "rsvg-convert (Debian: librsvg2-bin) is not here: PNG is not tried"
HAS_BROWSER = "there is no Chromium here: the pictures are not tried in a browser"
CURVE_HEAD = "task,split,scope,criterion,keep,seed,att_kept,mlp_kept,tokens,loss\n"


def texts(picture):
    return [element.text or "" for element in picture.iter(SVG + "text")]


class PlotTest(mformer.EndToEndTest):
    def known(self):
        """A workspace with something for every picture."""
        work = self.workspace()
        work.run("inspect", "routing", "--max-tokens", "300")
        work.run("extend", "--data", "german", *TRAIN)
        work.run("inspect", "routing", "--max-tokens", "300")
        work.run("eval", "--max-tokens", "300")
        work.run("eval", "--matrix", "--max-tokens", "300")
        (work / "k.csv").write_text(CURVE_HEAD + "english,held-out,layer,reap,0.5,,1,1,9,3\nenglish,held-out,layer,reap,1,,2,2,9,2.5\n")
        return work

    def drawn(self, work, *line):
        """The SVG, parsed: well-formed, without anything to fetch or to run."""
        out = work / "picture.svg"
        out.unlink(missing_ok=True)
        told = work.run("plot", *line, "--out", "picture.svg", "--json").json
        text = out.read_text()
        self.assertEqual(told["bytes"], out.stat().st_size)
        root = ElementTree.fromstring(text)
        self.assertEqual((root.get("width"), root.get("height")), (str(told["width"]), str(told["height"])))
        described = told["description"]  # in JSON as it is; what XML can't hold or doesn't show is escaped in the picture
        for raw, escape in (("\u202e", "\\u202e"), ("\x1b", "\\x1b"), ("\ufffe", "\\ufffe")):
            described = described.replace(raw, escape)
        self.assertEqual(root.find(SVG + "desc").text, described)
        self.assertTrue(root.find(SVG + "title").text)
        used = {element.tag.removeprefix(SVG) for element in root.iter()}
        self.assertLessEqual(used, {"svg", "title", "desc", "rect", "line", "polyline", "polygon", "path", "circle", "text"})
        for element in root.iter():
            for name, value in element.attrib.items():
                self.assertNotRegex(f"{name}={value}", r"https?:|url\(|href|style|^on|nan|inf\b")
        self.check_texts_lie_inside(root)
        return root

    def check_texts_lie_inside(self, root):
        """By the width that half of each text's letters would take: less than any font's."""
        width, height = float(root.get("width")), float(root.get("height"))
        for element in root.iter(SVG + "text"):
            x, y, size = float(element.get("x")), float(element.get("y")), float(element.get("font-size"))
            self.assertTrue(0 < x <= width and size * 0.7 < y < height, element.text)

    def test_every_picture_shows_what_the_registry_has(self):
        work = self.known()
        head = work.run("models", "--json").json["models"][0]["version"]["ref"]
        routing = self.drawn(work, "routing")
        self.assertIn(f"Routing of {head}", texts(routing))
        modules = len(work.modules(head))
        tasks = len(work.run("inspect", "routing", "--json").json["tasks"])
        scale_and_page = 24 + 1
        self.assertEqual(len(list(routing.iter(SVG + "rect"))), modules * tasks + scale_and_page)
        self.assertIn("a born by extend:german", texts(routing))
        self.assertEqual(len(list(self.drawn(work, "routing", "--task", "german").iter(SVG + "rect"))), modules + scale_and_page)
        matrix = work.run("eval", "--matrix", "--no-measure", "--max-tokens", "300", "--json").json
        shown = texts(self.drawn(work, "matrix"))
        for step in matrix["steps"]:
            for loss in step["losses"]:
                self.assertIn("-" if loss is None else f"{loss:.3f}", shown)
        lines = self.drawn(work, "forgetting")
        self.assertEqual(len(list(lines.iter(SVG + "polyline"))), len(matrix["tasks"]))
        self.assertIn("held-out loss (nats per token)", texts(lines))
        self.assertIn("english, reap", texts(self.drawn(work, "keep-curve", "k.csv")))
        extended = next(row["id"] for row in work.run("log", "--json").json["operations"] if row["command"] == "extend")
        training = self.drawn(work, "training", extended)
        self.assertTrue(any(text.startswith(f"operation {extended}: ") and "extend --data german" in text for text in texts(training)))
        versions = self.drawn(work, "versions")
        self.assertEqual(len(list(versions.iter(SVG + "circle"))), len(work.run("log", "--graph", "--json").json["versions"]))
        self.assertTrue(any(text.startswith(f"{head} (base*") for text in texts(versions)))
        posterior = work.run("eval", "--max-tokens", "300", "--json").json
        shown = self.drawn(work, "posterior")
        self.assertIn("english", texts(shown))
        self.assertEqual({"base", "german"} & set(texts(shown)), {"base", "german"}, posterior)

    def test_a_change_of_routing_is_drawn_module_by_module(self):
        work = self.known()
        refs = [row["ref"] for row in (v["version"] for v in work.run("log", "--graph", "--json").json["versions"])]
        newest, before = refs[0], "base@2"
        changed = self.drawn(work, "routing", "--task", "english", "--diff", before, newest)
        shown = texts(changed)
        self.assertEqual(shown.count("+"), len(work.modules(newest)) - len(work.modules(before)))
        self.assertEqual(self.drawn(work, "routing", "--task", "english", "--diff", newest, before).find(SVG + "title").text,
                         f"Change of routing from {newest} to {before}")
        self.assertEqual(texts(self.drawn(work, "routing", "--task", "english", "--diff", newest, before)).count("x"), shown.count("+"))
        same = self.drawn(work, "routing", "--task", "english", "--diff", newest, newest)
        self.assertIn("+0.0 % more", texts(same))

    def test_documents_are_read_where_they_are_asked_for(self):
        work = self.known()
        shown = texts(self.drawn(work, "posterior", "--documents", "2"))
        self.assertEqual(sum(text.startswith("german, document ") for text in shown), 2)

    def test_the_same_registry_gives_the_same_bytes(self):
        work = self.known()
        for name in ("routing", "matrix", "forgetting", "training", "versions", "posterior"):
            work.run("plot", name, "--out", "a.svg")
            first = (work / "a.svg").read_bytes()
            work.run("plot", name, "--out", "a.svg")  # an earlier picture is replaced
            self.assertEqual((work / "a.svg").read_bytes(), first)
            work.run("plot", name, "--out", "a.svg", "--dark")
            self.assertNotEqual((work / "a.svg").read_bytes(), first)

    def test_what_names_and_files_bring_is_text(self):
        work = self.workspace()
        (work / HOSTILE).mkdir(parents=True)
        (work / HOSTILE / "text.txt").write_text("Some words of a text.\n" * 50)
        work.run("train", "--data", HOSTILE, "--task", "evil", *TRAIN)
        evil = work / "evil.csv"
        evil.write_text(CURVE_HEAD + HOSTILE + ",held-out,layer,reap,0.5,,1,1,9,3\n")
        for line in (("versions",), ("training",), ("keep-curve", evil)):
            root = self.drawn(work, *line)
            text = (work / "picture.svg").read_text()
            self.assertTrue(any("onerror" in shown for shown in texts(root)), line)
            for bad in ("<img", "\x1b", "\u202e", "\ufffe"):
                self.assertNotIn(bad, text)

    @unittest.skipUnless(shutil.which("rsvg-convert"), HAS_RSVG)
    def test_png_has_the_pixels_that_scale_asks_for_and_is_known_again(self):
        work = self.known()
        svg = self.drawn(work, "matrix")
        for scale in ((), ("--scale", "1"), ("--scale", "1.5")):
            told = work.run("plot", "matrix", "--out", "m.png", *scale, "--json").json
            first = (work / "m.png").read_bytes()
            width, height = struct.unpack(">II", first[16:24])
            factor = float(scale[1]) if scale else 2
            self.assertEqual((width, height), (told["width"], told["height"]))
            self.assertEqual((width, height), (math.ceil(int(svg.get("width")) * factor), math.ceil(int(svg.get("height")) * factor)))
            work.run("plot", "matrix", "--out", "m.png", *scale)
            self.assertEqual((work / "m.png").read_bytes(), first)
        at = 8
        while at < len(first):  # every chunk is whole, ours too
            length, kind = struct.unpack(">I4s", first[at:at + 8])
            checksum = struct.unpack(">I", first[at + 8 + length:at + 12 + length])[0]
            self.assertEqual(checksum, zlib.crc32(first[at + 4:at + 8 + length]), kind)
            at += 12 + length
        (work / "photo.png").write_bytes(first[:33] + first[33 + 12 + len(b"Software\0mformer plot"):])
        work.refuses("plot", "matrix", "--out", "photo.png", code=1, says="is no picture of mformer")
        work.refuses("plot", "matrix", "--out", "m.png", "--scale", "100", code=2, says="too large", hint=".svg")

    def test_png_without_its_program_is_refused_with_what_to_install(self):
        work = self.workspace()
        work.refuses("plot", "versions", "--out", "v.png", env={"PATH": str(self.temporary)}, code=1, says="rsvg-convert", hint="librsvg2-bin")
        self.assertFalse((work / "v.png").exists())
        fake = self.temporary / "rsvg-convert"
        for script in ("exit 3", "echo no picture", "cat"):  # one that fails, one that isn't it
            fake.write_text("#!/bin/sh\n" + script + "\n")
            fake.chmod(0o755)
            work.refuses("plot", "versions", "--out", "v.png", env={"PATH": f"{self.temporary}:{os.environ['PATH']}"}, code=1, says="could not draw")
            self.assertFalse((work / "v.png").exists())

    def test_nothing_but_pictures_is_replaced(self):
        work = self.known()
        (work / "logo.svg").write_text("<svg/>")
        work.refuses("plot", "versions", "--out", "logo.svg", code=1, says="is no picture of mformer")
        work.refuses("plot", "versions", "--out", "versions.pdf", code=2, says="what kind of picture", hint=".svg or .png")
        work.refuses("plot", "versions", "--out", "none/v.svg", code=2, says="no folder", hint="mkdir")
        work.refuses("plot", "versions", "--out", ".mformer/v.svg", code=1, says="memory of a workspace")
        work.refuses("plot", "versions", "--out", "v.svg", "--scale", "2", code=2, says="--scale")
        (work / "device.svg").symlink_to("/dev/null")
        work.refuses("plot", "versions", "--out", "device.svg", code=1, says="is not a file")
        self.assertEqual((work / "logo.svg").read_text(), "<svg/>")

    def test_what_is_not_known_is_refused_with_the_command_that_measures_it(self):
        work = self.workspace()
        work.refuses("plot", "routing", "--out", "r.svg", "--model", "base@1", code=1, says="no routing of base@1", hint="mformer inspect routing --model base@1")
        work.refuses("plot", "routing", "--out", "r.svg", "--task", "nothing", code=2, says="nothing")
        work.refuses("plot", "posterior", "--out", "p.svg", code=1, says="posterior", hint="mformer eval")
        work.refuses("plot", "matrix", "--out", "m.svg", "--model", "base@1", code=1, says="was trained", hint="mformer train")
        work.refuses("plot", "keep-curve", "english/text.jsonl", "--out", "k.svg", code=1, says="no table of a keep curve", hint="inspect keep-curve")
        work.refuses("plot", "training", "1", "--out", "t.svg", code=1, says="trained nothing", hint="mformer log")
        work.refuses("plot", "training", "99", "--out", "t.svg", code=2, says="99")
        work.refuses("plot", "versions", code=2, says="--out")

    @unittest.skipUnless(browser.PROGRAM, HAS_BROWSER)
    def test_no_text_covers_another_and_none_is_cut_off_in_a_browser(self):
        work = self.known()
        lines = (("routing",), ("routing", "--diff", "base@2", "base@3"), ("matrix",), ("forgetting",), ("keep-curve", "k.csv"), ("training",), ("versions",), ("posterior",))
        with browser.Browser(self.temporary) as page:
            for line in lines:
                root = self.drawn(work, *line)
                page.open(work / "picture.svg")
                boxes = page.value("[...document.querySelectorAll('text')].map((t) => { const b = t.getBoundingClientRect(); return [t.textContent, b.left, b.top, b.right, b.bottom]; })")
                self.assertEqual(len(boxes), len(texts(root)))
                for i, (text, left, top, right, bottom) in enumerate(boxes):
                    self.assertTrue(left >= 0 and top >= 0 and right <= float(root.get("width")) and bottom <= float(root.get("height")), (line, text))
                    for other in boxes[:i]:  # by more than the line's own leading
                        across = min(right, other[3]) - max(left, other[1])
                        down = min(bottom, other[4]) - max(top, other[2])
                        self.assertFalse(across > 1 and down > 4, (line, text, other[0]))


if __name__ == "__main__":
    unittest.main()
