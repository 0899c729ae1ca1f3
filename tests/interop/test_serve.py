"""`serve` as the programs see it for which it is there: OpenAI's own client, and lm-evaluation-harness's local-completions.

They lie in a Python of their own (recipes/interop/clients.sh), which is given what to ask and answers in JSON."""

import json
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

import mformer
import served
import test_harness

HERE = Path(__file__).resolve().parent
CLIENTS = subprocess.run([HERE.parents[1] / "recipes" / "interop" / "clients.sh", "--if-there"], capture_output=True, text=True)
HARNESS_TEST = test_harness.HarnessTest
TEMPLATE = "{% for m in messages %}{{ m.role + ': ' + m.content + ' ' }}{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"


@unittest.skipIf(CLIENTS.returncode != 0, "there is no Python with openai; ./recipes/interop/clients.sh makes one")
class ServeTest(HARNESS_TEST):
    def served(self, *arguments):
        work = self.started()
        (work / "published" / "chat_template.jinja").write_text(TEMPLATE)
        work.run("import", "published", "--name", "m2", "--tokenizer", "tokenizer.json")
        work.run("use", "m2")
        server = served.Server(work, "--context", "200", "--dtype", "float32", *arguments)
        self.addCleanup(server.stop)
        return work, server

    def client(self, work, script, asked):
        done = subprocess.run([CLIENTS.stdout.strip(), "-B", HERE / script, json.dumps(asked)], cwd=work.path, capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stderr[:4000])
        return json.loads(done.stdout.splitlines()[-1])

    def test_openais_client_gets_what_generate_writes(self):
        work, server = self.served()
        told = self.client(work, "openai_answers.py", {"server": server.started["address"], "model": "m2", "prompt": "In the beginning"})
        text = work.run("generate", "--prompt", "In the beginning", "--temperature", "0", "--max-tokens", "9", "--json").json["text"]
        chat = work.run("generate", "--chat", "--prompt", "In the beginning", "--temperature", "0", "--max-tokens", "9", "--json").json["text"]
        self.assertEqual(told["models"], ["m2", "m2@1"])
        self.assertEqual((told["text"], told["streamed"]), (text, text))
        self.assertEqual((told["chat"], told["chat_streamed"]), (chat, chat))
        self.assertEqual((len(told["top"]), max(told["top"])), (9, 3))  # halves of characters look alike, and share a place
        self.assertEqual(told["refused"], ["BadRequestError", "NotFoundError"])

    def test_the_harness_scores_a_server_as_eval_does(self):
        work, server = self.served()
        self.write(work, "questions.jsonl", test_harness.questions(60, 0))
        result, lines = self.ours(work)
        theirs = self.client(work, "harness_answers.py", {
            "model": "out", "questions": "questions.jsonl", "kind": "multiple_choice", "server": server.started["address"], "served": "m2", "context": 96})
        for line, sample in zip(lines, theirs["samples"], strict=True):
            for a, b in zip(line["log_probs"], sample, strict=True):
                self.assertAlmostEqual(a, b, delta=test_harness.TOLERANCE)
        self.assertGreater(result["cut"], 0)
        for ours, name in (("accuracy", "acc"), ("accuracy_normalised", "acc_norm")):
            self.assertAlmostEqual(result[ours]["mean"], theirs["results"][name], places=9)
            self.assertAlmostEqual(result[ours]["standard_error"], theirs["results"][name + "_stderr"], places=9)


for _name in [name for name in dir(HARNESS_TEST) if name.startswith("test_")]:
    setattr(ServeTest, _name, None)  # those are tried in their own file
del HARNESS_TEST

if __name__ == "__main__":
    unittest.main()
