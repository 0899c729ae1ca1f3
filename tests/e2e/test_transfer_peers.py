"""What the other end of a wire may send: anything. It is refused, by a sentence, in little memory, and changes nothing."""

import json
import os
import resource
import subprocess
import sys
import unittest
from pathlib import Path

import mformer

LITTLE_MEMORY = 500 << 20
# In the place of ssh: answers what is asked by what is written in a file, a request by its "do", a frame of a parcel passed over; after the
# last one that it knows, it ends.
PEER = """#!{python}
import json, sys
answers = eval(open({answers!r}).read())
while line := sys.stdin.buffer.readline():
    kind, size = line.split()
    text = sys.stdin.buffer.read(int(size))
    if kind == b"text":
        what = json.loads(text)["do"]
        sys.stdout.buffer.write(answers[what]() if what in answers else b"")
        sys.stdout.buffer.flush()
        if what not in answers or what == list(answers)[-1]:
            break
"""
HASH = "ab" * 32


def text(answer):
    written = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return b"text %d\n" % len(written) + written


def parcel(written):
    written = written if isinstance(written, bytes) else json.dumps(written).encode()
    return b"parcel %d\n" % len(written) + written


def limit():
    resource.setrlimit(resource.RLIMIT_AS, (LITTLE_MEMORY, LITTLE_MEMORY))


EMPTY = {"model": "base", "current": HASH, "operations": [], "modules": [], "versions": [], "scores": [], "statistics": [], "sizes": {}}
# Expressions, so that a file with them stays short. None of them is a text or parcel of ours.
HOSTILE_TEXTS = {
    "of a gigabyte": "b'text 1000000000\\n' + b'0' * 1000",
    "of 17 MiB": "b'text 17825793\\n' + b'[' + b'0,' * 8912895 + b'0]'",
    "of no size": "b'text -1\\n{}'",
    "of a huge size": "b'text 99999999999999999999999\\n'",
    "of another protocol": "b'HTTP/1.1 400 Bad Request\\r\\n\\r\\n'",
    "without an end": "b'x' * 1000000",
    "of many lists": "b'text 16000002\\n' + b'[' + b'{},' * 5333333 + b'1]'",
    "of many numbers": "b'text 16400003\\n' + b'[' + b'0,' * 8200000 + b'0]'",
    "nested deeply": "b'text 1000000\\n' + b'[' * 1000000",
    "that is no JSON": "b'text 2\\n{]'",
    "cut": "b'text 100\\n{}'",
    "in place of which an object comes": "b'object %s 3\\nabc'" % HASH,
    "in place of which a parcel comes": "b'parcel 2\\n{}'",
}
HOSTILE_PARCELS = {
    "of a long row": "b'parcel 17000013\\n' + b'{\"modules\":[[' + b'0,' * 8500000",
    "of a long name": "b'parcel 17000002\\n' + b'{\"' + b'x' * 17000000",
    "nested deeply": "b'parcel 1000000\\n' + b'{\"modules\":' + b'[' * 999989",
    "of a size that is none": "b'parcel x\\n{}'",
    "cut": "b'parcel 100\\n{\"model\":'",
    "of nothing": "b'parcel 0\\n'",
    "of half": "b'parcel 2\\n{}'",
    "longer than it says": "b'parcel 1\\n{}'",
    "in place of which an object comes": "b'object %s 3\\nabc'" % HASH,
    "in place of which a text comes": "b'text 2\\n{}'",
}


class TransferPeersTest(mformer.EndToEndTest):
    def setUp(self):
        super().setUp()
        self.work = self.folder()
        self.work.run("init", "--preset", "tiny", "--no-tokenizer")
        self.workspaces.append(self.work)
        self.answers, peer = self.temporary / "answers", self.temporary / "peer"
        peer.write_text(PEER.format(python=sys.executable, answers=str(self.answers)))
        peer.chmod(0o755)
        self.env = {"MFORMER_SSH": str(peer)}
        self.before = self.work.state()

    def refused(self, *arguments, says="", **answers):
        """`answers`: expressions by what is asked for."""
        written = ", ".join(f"{name!r}: lambda: {answer}" for name, answer in answers.items())
        self.answers.write_text("{" + written + "}")
        result = self.work.run(*arguments, code=None, env=self.env, prepare=limit, timeout=120)
        self.assertIn(result.code, (1, 2), result)
        self.work.check_refusal(result, says)
        self.assertNotIn("memory", result.err)
        self.assertEqual(self.work.state(), self.before)

    def test_texts_of_a_hostile_source_are_refused_in_little_memory(self):
        for name, answer in HOSTILE_TEXTS.items():
            with self.subTest(text=name):
                self.refused("pull", "host:x", models=answer)

    def test_parcels_of_a_hostile_source_are_refused_in_little_memory(self):
        offer = text({"offer": {"model": "base", "current": HASH, "versions": [HASH], "tags": {}}})
        more = {"of another model": repr(parcel({**EMPTY, "model": "other"})), "without what was asked for": repr(parcel(EMPTY)),
                "with what was not": repr(parcel({**EMPTY, "versions": [self.version("cd" * 32)]})),
                "whose version is not what its hash says": repr(parcel({**EMPTY, "versions": [self.version(HASH)]})),
                "that is an error": repr(text({"error": "not today", "hint": "tomorrow"}))}
        for name, answer in {**HOSTILE_PARCELS, **more}.items():
            with self.subTest(parcel=name):
                self.refused("pull", "host:x", "base", models=repr(text({"models": ["base"]})), offer=repr(offer), parcel=answer)

    def version(self, hash):
        manifest = {"config": "{}", "tokenizer": "", "parts": [], "layers": []}
        return {"hash": hash, "parent": "", "operation": "0123456789ab", "model": "base", "number": 1, "created_ms": 0, "manifest": manifest}

    def test_answers_of_a_hostile_target_are_refused(self):
        decision = {"arrival": "made", "into": "base", "seen": "", "want": [], "tags": []}
        current = self.work.run("models", "--json").json["models"][0]["version"]["hash"]
        decided = repr(text({"decision": {**decision, "want": [current]}}))
        for name, answer in HOSTILE_TEXTS.items():
            with self.subTest(text=name):
                self.refused("push", "host:x", decide=answer)
        for says, missing in (("none of the model's", [HASH]), ("", ["../../x"]), ("", "x"), ("", [1])):
            self.refused("push", "host:x", decide=decided, receive=repr(text({"missing": missing})), says=says)
        for change in ({"measured": [[current, "x", ["zz"]]]}, {"measured": [[1]]}, {"measured": 1}, {"different": -1}, {"want": ["../x"]}, {"arrival": "x"}):
            with self.subTest(change=change):
                self.refused("push", "host:x", decide=repr(text({"decision": {**decision, **change}})))

    def test_requests_of_a_hostile_client_are_answered_by_an_error_in_little_memory(self):
        ask = lambda **request: text({"protocol": 2, **request})
        decision = {"arrival": "made", "into": "x", "seen": "", "want": [], "tags": []}
        requests = [eval(answer) for answer in HOSTILE_TEXTS.values()]
        requests += [ask(do=what) + parcel(b"{}") for what in ("missing", "measurements")]
        requests += [ask(do="receive", decision=decision) + eval(answer) for answer in HOSTILE_PARCELS.values()]
        requests += [ask(do="receive", decision=decision) + parcel(EMPTY), ask(do="objects", hashes=[HASH]), ask(do="objects", hashes=["../x"]),
                     ask(do="offer", model="../x"), ask(do="x"), text({"protocol": 1, "do": "models"}), ask(do="receive", decision=1), ask(do="tag", name="x", version=HASH)]
        for request in requests:
            with self.subTest(request=request[:80]):
                done = subprocess.run(mformer.command_line(["--workspace", self.work.path, "transfer-peer"]), input=request, capture_output=True,
                                      env=mformer.environment(), preexec_fn=limit, timeout=120)
                self.assertIn(done.returncode, (0, 1, 2), done)
                self.assertRegex(done.stdout + done.stderr, rb'"error"|error: |at once', done)
                self.assertNotIn(b"memory", done.stderr)
                self.assertEqual(self.work.state(), self.before)


if __name__ == "__main__":
    unittest.main()
