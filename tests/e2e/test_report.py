"""The page that `mformer report` writes: its data, what hostile names come to, and the page in a browser."""

import json
import re
import sys
import unittest
from pathlib import Path

import mformer

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import browser  # noqa: E402

HOSTILE = "a</script><img src=x onerror=alert(1)><!--\"' \u202e\x1b[31m"
TRAIN = ("--steps", "2", *mformer.QUICK)
NARROW, WIDE = 360, 1280
# What lies over other text, sticks out of its picture or is cut off, wherever the page's parts are shown.
MISPLACED = """(() => {
  const found = [], shown = (e) => e.checkVisibility() && !e.closest(".unseen");
  const texts = [...document.querySelectorAll("svg text")].filter(shown).map((e) => [e, e.getBoundingClientRect()]);
  texts.forEach(([e, b], i) => {
    const s = e.ownerSVGElement.getBoundingClientRect();
    if (b.left < s.left - 1 || b.right > s.right + 1 || b.top < s.top - 1 || b.bottom > s.bottom + 1) found.push("sticks out: " + e.textContent);
    texts.slice(0, i).forEach(([f, c]) => {
      const across = Math.min(b.right, c.right) - Math.max(b.left, c.left), down = Math.min(b.bottom, c.bottom) - Math.max(b.top, c.top);
      if (across > 1 && down > 4 && e.ownerSVGElement === f.ownerSVGElement) found.push(e.textContent + " over " + f.textContent);
    });
  });
  for (const e of document.querySelectorAll("main p, main li, main dd, main td, main th, main h2, main h3, main caption, main label, main button, nav a")) {
    const b = e.getBoundingClientRect();
    if (!shown(e) || !b.width || e.closest(".wide")) continue;
    if (b.left < -1 || b.right > innerWidth + 1) found.push("beyond the edge: " + e.textContent.slice(0, 60));
    if (getComputedStyle(e).overflowX !== "visible" && e.scrollWidth > e.clientWidth + 1) found.push("cut off: " + e.textContent.slice(0, 60));
  }
  return found;
})()"""
HAS_AXE = "axe's rules are not here: recipes/setup.sh --browser fetches them"
HAS_BROWSER = "there is no Chromium here: the page is not tried in a browser"


def data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])


class ReportTest(mformer.EndToEndTest):
    def reported(self, *more):
        """A workspace that was extended, its page written, and the page."""
        work = self.workspace()
        work.run("inspect", "routing", "--max-tokens", "300")
        work.run("extend", "--data", "german", *TRAIN)
        work.run("inspect", "routing", "--max-tokens", "300")
        work.run("eval", "--max-tokens", "300")
        work.run("tag", "first", "base@1")
        work.run("task", "add", "unread", "--data", "qa")
        result = work.run("report", "--out", "report.html", "--json", *more).json
        return work, result, (work / "report.html").read_text()

    def test_it_tells_what_the_registry_has(self):
        work, result, page = self.reported()
        data = data_of(page)
        graph = work.run("log", "--graph", "--json").json["versions"]
        self.assertEqual([v["ref"] for v in data["versions"]], [v["version"]["ref"] for v in graph])
        self.assertEqual((result["bytes"], result["holds"]["versions"]), (len(page.encode()), len(graph)))
        inspected = work.run("inspect", "routing", "--task", "german", "--json").json["tasks"][0]
        drawn = next(m for m in data["routing"] if m["task"] == "german" and data["versions"][m["version"]]["ref"] == data["shown"])
        layout = data["layouts"][data["versions"][drawn["version"]]["layout"]]
        self.assertEqual([data["modules"][m][0] for m in layout], [m["uid"] for m in inspected["modules"]])
        for share, module in zip(drawn["shares"], inspected["modules"]):
            self.assertAlmostEqual(share / 10000, module["share"], delta=6e-5)  # half of a ten thousandth, and its rounding
        matrix = work.run("eval", "--matrix", "--no-measure", "--max-tokens", str(data["matrix_tokens"]), "--json").json
        self.assertEqual([step["losses"] for step in data["matrix"]["steps"][1:]], [step["losses"] for step in matrix["steps"]])
        self.assertEqual(data["curves"][0]["steps"], 2)
        shift = next(s for s in data["shifts"] if s["task"] == "english" and data["versions"][s["to"]]["ref"] == data["shown"])
        told = work.run("diff", data["versions"][shift["from"]]["ref"], data["shown"], "--task", "english", "--json").json["routing"][0]
        self.assertAlmostEqual(shift["leak"], told["leak"])
        self.assertAlmostEqual(shift["divergence"], told["divergence"])
        self.assertEqual({p["task"] for p in data["posterior"]}, {"english", "german"})

    def test_the_same_registry_gives_the_same_page(self):
        work, _, page = self.reported()
        work.run("report", "--out", "report.html")
        self.assertEqual((work / "report.html").read_text(), page)

    def test_nothing_that_names_bring_gets_out_of_the_data(self):
        work = self.workspace()
        (work / HOSTILE).mkdir(parents=True)  # its slash makes a folder in a folder: its path is the whole
        (work / HOSTILE / "text.txt").write_text("Some words of a text.\n" * 50)
        work.run("task", "add", "evil", "--data", HOSTILE)
        evil = work / ("keep" + HOSTILE.replace("/", "_"))
        evil.write_text("task,split,scope,criterion,keep,seed,att_kept,mlp_kept,tokens,loss\n" + HOSTILE + ",held-out,layer,reap,0.5,,1,1,9,3\n")
        work.run("report", "--out", "report.html", "--keep-curve", evil)
        page = (work / "report.html").read_text()
        self.assertEqual(page.count("</script>"), 2)
        self.assertNotIn("<img", page)
        data = data_of(page)
        self.assertIn(HOSTILE, data["keep"][0]["name"])
        self.assertIn("onerror", data["operations"][0]["command"])
        self.assertNotIn("\x1b", page)
        self.assertNotIn("\u202e", page)
        page = re.sub(r'(id="data">).*?(</script>)', r"\1\2", page, flags=re.S)
        for word in ("http://", "https://", "src=", "@import", "url("):
            self.assertNotIn(word, page)

    def test_24_layers_of_48_modules_stay_below_two_megabytes(self):
        work = self.workspace()
        config = json.loads((work / "checkpoint" / "config.json").read_text())
        config.update(n_layer=24, n_att_experts=48, n_mlp_experts=48, n_embd=8, n_head=2, att_hidden=4, ffd_hidden=4, gating_size=4, k_att=1, k_mlp=1)
        (work / "wide.json").write_text(json.dumps(config))
        work.run("init", "--config", "wide.json", "--tokenizer", "tokenizer.json", "--name", "wide")
        work.run("use", "wide")
        for layers in ("0", "1", "2"):
            work.run("freeze", "layer=" + layers)
        work.run("inspect", "routing", "--max-tokens", "64")
        work.run("report", "--out", "report.html")
        page = (work / "report.html").read_bytes()
        data = data_of(page.decode())
        self.assertEqual(sum(module[4] == data["modules"][0][4] for module in data["modules"]), 24 * 2 * 48)
        self.assertLess(len(page), 2_000_000)

    def test_only_reports_are_replaced_and_bad_files_refused(self):
        work = self.workspace()
        (work / "notes.html").write_text("<!DOCTYPE html>")
        work.refuses("report", "--out", "notes.html", code=1, says="is no report")
        work.refuses("report", "--out", "none/report.html", code=2, says="no folder", hint="mkdir")
        work.refuses("report", "--out", ".mformer/report.html", code=1, says="memory of a workspace")
        work.refuses("report", "--out", "r.html", "--keep-curve", "notes.html", code=1, says="no table of a keep curve", hint="inspect keep-curve")
        work.refuses("report", "--out", "r.html", "--documents", "0", code=2, says="--documents")

    def test_documents_and_keep_curves_are_shown_where_they_are_asked_for(self):
        work, _, _ = self.reported()
        work.run("inspect", "keep-curve", "--task", "english", "--fractions", "1,0.5", "--criteria", "norm", "--domain", "base", "--max-tokens", "100", "--csv", "k.csv")
        work.run("report", "--out", "report.html", "--keep-curve", "k.csv", "--documents", "2")
        data = data_of((work / "report.html").read_text())
        self.assertEqual([len(curve["points"]) for curve in data["keep"]], [2])
        self.assertEqual(len([d for d in data["documents"] if d["task"] == "german"]), 2)
        self.assertAlmostEqual(sum(share for _, share in data["documents"][0]["shares"]), 1, places=4)

    @unittest.skipUnless(browser.PROGRAM, HAS_BROWSER)
    def test_the_page_works_in_a_browser_wide_and_narrow_light_and_dark(self):
        work, _, _ = self.reported()
        with browser.Browser(self.temporary) as page:
            backgrounds = set()
            for width, dark in ((WIDE, False), (WIDE, True), (NARROW, False), (NARROW, True)):
                page.open(work / "report.html", width=width, dark=dark)
                self.assertEqual(page.complaints(), [])
                self.assertEqual(len(page.requests()), 1)  # the page itself
                self.assertEqual(page.value("document.documentElement.scrollWidth"), width)
                self.assertEqual(page.value("document.querySelectorAll('main > section').length"), 8)
                backgrounds.add(page.value("getComputedStyle(document.body).backgroundColor"))
            self.assertEqual(len(backgrounds), 2)
            self.try_interactions(page, work)
            self.assertEqual(page.complaints(), [])

    @unittest.skipUnless(browser.PROGRAM, HAS_BROWSER)
    def test_no_text_covers_another_sticks_out_or_is_cut_off(self):
        work, _, _ = self.reported()
        work.run("branch", "a-model-whose-name-is-long-" + "x" * 60)
        work.run("report", "--out", "report.html")
        with browser.Browser(self.temporary) as page:
            for width in (WIDE, NARROW):
                page.open(work / "report.html", width=width)
                page.value("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
                self.assertEqual(page.value(MISPLACED), [], width)
                self.assertEqual(page.value("document.documentElement.scrollWidth"), width)

    @unittest.skipUnless(browser.PROGRAM, HAS_BROWSER)
    def test_dark_and_light_are_the_same_picture_in_other_colours(self):
        work, _, _ = self.reported()
        boxes = "JSON.stringify([...document.querySelectorAll('main *')].map((e) => { const b = e.getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; }))"
        with browser.Browser(self.temporary) as page:
            shots, places = [], []
            for dark in (False, True, False):
                page.open(work / "report.html", dark=dark)
                page.picture(self.temporary / "page.png")
                shots.append((self.temporary / "page.png").read_bytes())
                places.append(page.value(boxes))
        self.assertEqual(shots[0], shots[2])  # the same page twice, in the same browser
        self.assertNotEqual(shots[0], shots[1])
        self.assertEqual(places[0], places[1])

    @unittest.skipUnless(browser.PROGRAM, HAS_BROWSER)
    @unittest.skipUnless(browser.AXE.exists(), HAS_AXE)
    def test_axe_finds_nothing_that_keeps_people_out(self):
        work, _, _ = self.reported()
        (work / "bad.html").write_text((work / "report.html").read_text().replace('<html lang="en">', "<html>"))
        work.run("inspect", "keep-curve", "--task", "english", "--fractions", "1,0.5", "--criteria", "norm", "--domain", "base", "--max-tokens", "100", "--csv", "k.csv")
        work.run("report", "--out", "report.html", "--keep-curve", "k.csv", "--documents", "1")
        with browser.Browser(self.temporary) as page:
            for width, dark in ((WIDE, False), (WIDE, True), (NARROW, False), (NARROW, True)):
                page.open(work / "report.html", width=width, dark=dark)
                self.assertEqual(page.breaches(), [], (width, dark))
            page.value("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
            page.pointer("td[data-module]", click=True)
            self.assertEqual(page.breaches(), [])
            page.open(work / "bad.html")
            self.assertTrue(any("html-has-lang" in breach for breach in page.breaches()))

    def try_pointer(self, page):
        """What the mouse shows and chooses."""
        page.pointer("#routing td[data-module]")
        details = "document.querySelector('#routing [role=status]').textContent"
        self.assertIn("layer 0, attention module 0", page.value(details))
        page.pointer("#routing tr:nth-child(2) td[data-module]")
        self.assertIn("layer 1, attention module 0", page.value(details))
        page.pointer("#routing tr:nth-child(2) td[data-module]", click=True)
        uid = page.value("report.modules[Number(document.querySelector('#routing tr:nth-child(2) td[data-module]').dataset.module)][0]")
        self.assertIn(uid, page.value("document.getElementById('module').textContent"))
        page.pointer('[data-version="2"]', click=True)
        self.assertIn(page.value("report.versions[2].ref"), page.value("document.querySelector('#version h3').textContent"))
        self.assertEqual(page.value("document.querySelector('[data-version=\"2\"]').getAttribute('aria-pressed')"), "true")

    def try_interactions(self, page, work):
        page.open(work / "report.html", width=WIDE)
        page.value("document.querySelector('td[data-module]').click()")
        uid = page.value("report.modules[Number(document.querySelector('td[data-module]').dataset.module)][0]")
        self.assertIn(uid, page.value("document.getElementById('module').textContent"))
        self.assertIn("operation 1", page.value("document.getElementById('module').textContent"))
        page.value("document.querySelector('#routing td[data-module]').focus()")
        page.key("ArrowRight")
        page.key("ArrowDown")
        self.assertIn("layer 1, attention module 1", page.value("document.activeElement.getAttribute('aria-label')"))
        page.key("Enter")
        self.assertEqual(page.value("document.activeElement.getAttribute('aria-selected')"), "true")
        page.value("document.querySelector('[data-version=\"0\"]').focus()")
        page.key("ArrowDown")
        self.assertEqual(page.value("document.activeElement.dataset.version"), "1")
        self.assertIn(page.value("report.versions[1].ref"), page.value("document.getElementById('version').textContent"))
        self.try_pointer(page)
        before = page.value("getComputedStyle(document.body).backgroundColor")
        page.value("document.getElementById('theme').click()")
        self.assertNotEqual(page.value("getComputedStyle(document.body).backgroundColor"), before)


if __name__ == "__main__":
    unittest.main()
