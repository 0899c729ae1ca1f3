import http.client
import json
import signal
import socket
import threading
import time
import unittest

import checkpoints
import mformer
import served

LONG = {"prompt": "In", "max_tokens": 100000, "temperature": 0}
FOREVER = ("--context", "1000000")
HEAD = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


class ServeLimitsTest(mformer.EndToEndTest):
    def served(self, *arguments, work=None, **options):
        server = served.Server(work or self.workspace(), *arguments, **options)
        self.addCleanup(server.process.kill)
        return server

    def finish(self, server, by=signal.SIGINT):
        code, err = server.stop(by)
        self.assertRegex(err, r"^(--context \d+ is longer than the model's own, \d+, for which it was made\n)?$")
        self.assertEqual(code, 0)

    def begun(self, server):
        """A stream whose text never ends; its connection and the answer."""
        connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
        self.addCleanup(connection.close)
        connection.request("POST", "/v1/completions", json.dumps({"model": "base", **LONG, "stream": True}),
                           {"Content-Type": "application/json"})
        response = connection.getresponse()
        self.assertTrue(response.readline())
        return connection, response

    def test_a_token_keeps_strangers_out(self):
        work = self.workspace()
        (work / "token").write_text("s3cret\n")
        server = self.served("--host", "0.0.0.0", "--token-file", "token", work=work)
        server.host = "127.0.0.1"
        for headers, status in (({}, 401), ({"Authorization": "Bearer s3creT"}, 401), ({"Authorization": "s3cret"}, 401),
                                ({"Authorization": "Bearer s3cret"}, 200)):
            self.assertEqual(server.get("/v1/models", **headers).status, status, headers)
        refused = server.complete(**LONG)
        self.assertEqual((refused.status, refused.error["code"]), (401, "invalid_api_key"))
        self.assertEqual(server.get("/health").status, 200)
        self.finish(server)

    def test_other_machines_need_a_token_and_options_must_go_together(self):
        work = self.workspace()
        (work / "empty").write_text("\n")
        (work / "spaces").write_text("a b")
        work.refuses("serve", "--host", "0.0.0.0", code=2, says="no token", hint="--token-file")
        work.refuses("serve", "--token-file", "empty", code=2, says="no token in it", hint="openssl rand")
        work.refuses("serve", "--token-file", "spaces", code=2, says="no header can bring")
        (work / "long").write_text("a" * 5000)
        work.refuses("serve", "--token-file", "long", code=1, says="longer than a token can be: more than 4096 bytes")
        work.refuses("serve", "--token-file", "nowhere", code=1, says="nowhere")
        work.refuses("serve", "--port", "70000", code=2, says="--port")
        work.refuses("serve", "--dtype", "float8", code=2, says="--dtype")
        work.refuses("serve", "--max-connections", "901", code=2, says="--max-connections")
        work.refuses("serve", "--stop-within", "9" * 18, code=2, says="--stop-within")
        work.refuses("serve", "--max-body", "9" * 18, code=2, says="--max-body")
        work.refuses("serve", "--host", "203.0.113.1", "--token-file", "token", code=1, says="token")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            work.refuses("serve", "--port", str(taken.getsockname()[1]), code=1, says="can't listen", hint="--port 0")

    def test_a_request_that_never_comes_to_its_end_is_cut_off(self):
        server = self.served("--head-within", "1", "--body-within", "1")
        slow = [server.raw(b"GET /health HTTP/1.1\r\n"), server.raw(HEAD + b"Content-Length: 1000\r\n\r\n{")]
        stop = threading.Event()

        def drip():  # a byte now and then would keep a time limit of each read from running out
            while not stop.wait(0.2):
                for one in slow:
                    try:
                        one.sendall(b"a")
                    except OSError:
                        pass
        thread = threading.Thread(target=drip)
        thread.start()
        self.assertEqual(server.get("/health").status, 200)
        answers = [served.read_all(one) for one in slow]
        stop.set()
        thread.join()
        self.assertTrue(answers[0].startswith(b"HTTP/1.1 408"), answers[0])
        self.assertTrue(answers[1].startswith(b"HTTP/1.1 408"), answers[1])
        self.finish(server)

    def test_heads_and_bodies_have_a_limit(self):
        server = self.served("--max-body", "1000")
        for data, status in ((b"GET / HTTP/1.1\r\nX: " + b"a" * 20000 + b"\r\n\r\n", 431), (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n", 414),
                             (b"a" * 20000, 431), (HEAD + b"Content-Length: 1001\r\n\r\n", 413), (HEAD + b"Content-Length: -1\r\n\r\n", 400),
                             (HEAD + b"Content-Length: 9999999999999999999999\r\n\r\n", 400), (HEAD + b"Content-Length: 1\r\ncontent-length: 2\r\n\r\n", 400),
                             (HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400), (HEAD + b"Transfer-Encoding: gzip\r\n\r\n", 501),
                             (HEAD + b"no colon\r\n\r\n", 400), (b"\r\n\r\n", 400), (b"GET\r\n\r\n", 400), (b"\0\xff\r\n\r\n", 400)):
            with self.subTest(data=data[:80]):
                answer = served.read_all(server.raw(data))
                self.assertTrue(answer.startswith(b"HTTP/1.1 %d " % status), answer)
                self.assertIn(b'{"error":{"message":', answer)
        endless = server.raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(1000):
                endless.sendall(b"400\r\n" + b" " * 1024 + b"\r\n")
        except OSError:
            pass
        self.assertTrue(served.read_all(endless).startswith(b"HTTP/1.1 413"))
        small = served.read_all(server.raw(HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"))
        self.assertIn(b"'model' is missing", small)
        self.assertEqual(server.get("/health").status, 200)
        self.finish(server)

    def test_two_requests_in_one_go_get_two_answers(self):
        server = self.served()
        both = server.raw(b"GET /health HTTP/1.1\r\n\r\nGET /health HTTP/1.1\r\nConnection: close\r\n\r\n")
        self.assertEqual(served.read_all(both).count(b'{"status":"ok"}'), 2)
        self.finish(server)

    def test_what_a_client_left_behind_stops_whether_it_streams_or_waits(self):
        server = self.served(*FOREVER)
        self.begun(server)[0].close()
        waits = server.raw(HEAD + b"Content-Length: %d\r\n\r\n" % len(body := json.dumps({"model": "base", **LONG}).encode()) + body)
        server.wait_for(lambda figures: figures["mformer_texts_running"] > 0)
        waits.close()
        server.wait_for(lambda figures: figures["mformer_texts_running"] == 0)
        self.assertEqual(server.metrics()['mformer_texts_total{end="abandoned"}'], 2)
        self.assertEqual(server.complete(prompt="In", max_tokens=2).status, 200)
        self.finish(server)

    def test_a_full_queue_and_a_full_memory_say_so(self):
        server = self.served(*FOREVER, "--max-running", "1", "--max-waiting", "0", "--max-memory", "1000000")
        too_much = server.complete(prompt="In", max_tokens=900000)
        self.assertEqual(too_much.status, 400, too_much)
        self.assertIn("--max-memory", too_much.error["message"])
        self.assertEqual(server.complete(prompt="In", max_tokens=3).status, 200)
        self.finish(server)
        server = self.served(*FOREVER, "--max-running", "1", "--max-waiting", "1", work=self.workspace("other"))
        connection, _ = self.begun(server)
        waiting = server.raw(HEAD + b"Content-Length: %d\r\n\r\n" % len(body := json.dumps({"model": "base", **LONG}).encode()) + body)
        server.wait_for(lambda figures: figures["mformer_texts_waiting"] == 1)
        refused = server.complete(**LONG)
        self.assertEqual((refused.status, refused.error["code"], refused.headers["Retry-After"]), (429, "queue_full", "1"))
        waiting.close()
        connection.close()
        server.wait_for(lambda figures: figures["mformer_texts_running"] == 0)
        self.assertEqual(server.complete(prompt="In", max_tokens=1).status, 200)
        self.finish(server)

    def test_too_many_connections_are_told_to_come_later(self):
        server = self.served("--max-connections", "4")
        held = [server.raw() for _ in range(4)]
        server_full = served.read_all(server.raw())
        self.assertTrue(server_full.startswith(b"HTTP/1.1 503"), server_full)
        self.assertIn(b"Retry-After: 1", server_full)
        for one in held:
            one.close()
        deadline = time.monotonic() + 20
        while (answer := served.read_all(server.raw(b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n"))).startswith(b"HTTP/1.1 503"):
            self.assertLess(time.monotonic(), deadline)
        self.assertIn(b"200 OK", answer)
        self.finish(server)

    def test_stopping_lets_what_runs_come_to_its_end(self):
        server = self.served(*FOREVER)
        connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
        connection.request("POST", "/v1/completions", json.dumps({"model": "base", **LONG, "max_tokens": 1500, "stream": True}),
                           {"Content-Type": "application/json"})
        response = connection.getresponse()
        self.assertTrue(response.readline())
        server.process.send_signal(signal.SIGTERM)
        rest = response.read()
        self.assertTrue(rest.endswith(b"data: [DONE]\n\n"), rest[-200:])
        self.assertIn(b'"finish_reason":"length"', rest)
        self.finish(server, by=None)

    def test_stopping_ends_what_runs_on_at_its_limit(self):
        for by in (signal.SIGINT, signal.SIGTERM):
            server = self.served(*FOREVER, "--stop-within", "0", work=self.workspace(str(by)))
            _, response = self.begun(server)
            server.process.send_signal(by)
            self.assertIn(b"the server is stopping", response.read())
            self.finish(server, by=None)

    def test_domains_are_models_of_their_own(self):
        work = self.workspace()
        work.run("extend", "--data", "german", "--into", "grown", "--steps", "2", *mformer.QUICK)
        server = self.served("--model", "grown", work=work)
        names = [name + domain for name in ("grown", "grown@1") for domain in ("", ":base", ":german")]
        self.assertEqual(server.started["models"], names)
        for name, domain in (("grown", ()), ("grown:base", ("--domain", "base")), ("grown@1:german", ("--domain", "german"))):
            expected = work.run("generate", "--model", "grown", *domain, "--prompt", "Es war", "--temperature", "0",
                                "--max-tokens", "8", "--json").json
            answer = server.complete(model=name, prompt="Es war", temperature=0, max_tokens=8, mformer={"posterior": True}).json["choices"][0]
            self.assertEqual(answer["text"], expected["text"], name)
            weights = answer["mformer"]["posterior"]["weights"]
            self.assertAlmostEqual(sum(weights.values()), 1, places=6)
            self.assertEqual(len(answer["mformer"]["posterior"]["tokens"]), 8)
            if domain:
                self.assertEqual(weights[domain[1]], 1.0)
        self.finish(server)

    def test_chats_in_the_models_own_template(self):
        work = self.folder()
        checkpoints.write_checkpoint(work / "published", checkpoints.weights())
        (work / "published" / "chat_template.jinja").write_text(
            "{% for m in messages %}{{ '<' + m.role + '>' + m.content | trim }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}")
        work.run("init", "--preset", "tiny", "--no-tokenizer")
        work.run("import", "published", "--name", "chatty")
        work.run("use", "chatty")
        question = {"role": "user", "content": "Hi"}
        expected = work.run("generate", "--chat", "--prompt", "Hi", "--temperature", "0", "--max-tokens", "6", "--json").json
        server = self.served("--context", "64", work=work)
        answer = server.chat(question, temperature=0, max_tokens=6, logprobs=True, top_logprobs=2)
        self.assertEqual(answer.status, 200, answer)
        choice = answer.json["choices"][0]
        self.assertEqual(choice["message"], {"role": "assistant", "content": expected["text"]})
        self.assertEqual(answer.json["usage"]["prompt_tokens"], expected["prompt_tokens"])
        self.assertEqual([len(one["top_logprobs"]) for one in choice["logprobs"]["content"]], [2] * 6)
        streamed = served.events(server.chat(question, temperature=0, max_completion_tokens=6, stream=True).body)
        self.assertEqual(streamed[0]["choices"][0]["delta"], {"role": "assistant", "content": ""})
        self.assertEqual("".join(one["choices"][0]["delta"].get("content", "") for one in streamed), expected["text"])
        parts = [{"type": "text", "text": "Hi"}]
        self.assertEqual(server.chat({"role": "user", "content": parts}, temperature=0, max_tokens=6).json["choices"][0]["message"]["content"],
                         expected["text"])
        for messages, says in (([], "no question at its end"), ([{"role": "tool", "content": "x"}], "messages"), ([{"role": "user"}], "messages"), ("Hi", "messages"),
                               ([question, {"role": "assistant", "content": "Ho"}], "no question at its end")):
            refused = server.ask("POST", "/v1/chat/completions", {"model": "chatty", "messages": messages})
            self.assertEqual(refused.status, 400, refused)
            self.assertIn(says, refused.error["message"])
        self.finish(server)


if __name__ == "__main__":
    unittest.main()
