import concurrent.futures
import functools
import unittest

import mformer
import served

PROMPT = "In the beginning"


class SharedServer:
    """One server for the tests of this file that only ask."""

    def __init__(self):
        folder = mformer.Folder(unittest.TestCase(), mformer.trained_folder())
        self.server = served.Server(folder)
        unittest.addModuleCleanup(self.server.stop)
        self.folder = folder


shared = functools.cache(SharedServer)


class ServeTest(mformer.EndToEndTest):
    def setUp(self):
        super().setUp()
        self.server, self.work = shared().server, shared().folder

    def complete(self, code=200, **fields):
        answer = self.server.complete(**{"prompt": PROMPT, "temperature": 0, **fields})
        self.assertEqual(answer.status, code, answer)
        return answer.json

    def text(self, **fields):
        return self.complete(**fields)["choices"][0]["text"]

    def test_says_where_it_listens_and_what_it_serves(self):
        self.assertRegex(self.server.started["address"], r"^http://127\.0\.0\.1:\d+$")
        self.assertEqual(self.server.started["models"], ["base", "base@2"])
        listed = self.server.get("/v1/models").json
        self.assertEqual([one["id"] for one in listed["data"]], ["base", "base@2"])
        self.assertEqual({one["root"] for one in listed["data"]}, {"base@2"})
        self.assertEqual(self.server.get("/v1/models/base%402").json["id"], "base@2")
        self.assertEqual(self.server.get("/v1/models/other").status, 404)

    def test_completes_as_generate_does(self):
        expected = self.work.run("generate", "--prompt", PROMPT, "--temperature", "0", "--max-tokens", "12", "--json").json
        answer = self.complete(max_tokens=12)
        choice = answer["choices"][0]
        self.assertEqual((choice["text"], choice["finish_reason"], choice["logprobs"]), (expected["text"], "length", None))
        usage = {"prompt_tokens": expected["prompt_tokens"], "completion_tokens": 12}
        self.assertEqual(answer["usage"], {**usage, "total_tokens": sum(usage.values())})
        self.assertEqual((answer["object"], answer["model"]), ("text_completion", "base"))

    def test_a_seed_decides_what_is_drawn(self):
        drawn = [self.text(temperature=1.5, max_tokens=20, seed=seed) for seed in (1, 1, 2)]
        self.assertEqual(drawn[0], drawn[1])
        self.assertNotEqual(drawn[0], drawn[2])

    def test_streams_the_same_text_in_pieces(self):
        whole = self.text(max_tokens=12)
        answer = self.server.complete(prompt=PROMPT, temperature=0, max_tokens=12, stream=True,
                                      stream_options={"include_usage": True})
        self.assertEqual(answer.headers["Content-Type"], "text/event-stream")
        chunks = served.events(answer.body)
        texts = [chunk["choices"][0]["text"] for chunk in chunks if chunk["choices"]]
        self.assertEqual("".join(texts), whole)
        self.assertEqual(chunks[-2]["choices"][0]["finish_reason"], "length")
        self.assertEqual(chunks[-1]["usage"]["completion_tokens"], 12)
        self.assertEqual(len({chunk["id"] for chunk in chunks}), 1)

    def test_stops_before_a_stop_text_whether_streamed_or_not(self):
        whole = self.text(max_tokens=20)
        stop = whole[5:8]
        choice = self.complete(max_tokens=20, stop=["nowhere", stop])["choices"][0]
        self.assertEqual((choice["text"], choice["finish_reason"]), (whole[:whole.index(stop)], "stop"))
        answer = self.server.complete(prompt=PROMPT, temperature=0, max_tokens=20, stop=stop, stream=True)
        chunks = served.events(answer.body)
        self.assertEqual("".join(chunk["choices"][0]["text"] for chunk in chunks), choice["text"])
        self.assertEqual(chunks[-1]["choices"][0]["finish_reason"], "stop")

    def test_says_the_same_of_a_text_whether_it_writes_or_reads_it(self):
        written = self.complete(max_tokens=8, logprobs=3)["choices"][0]
        said = written["logprobs"]
        self.assertEqual("".join(said["tokens"]), written["text"])
        self.assertEqual([len(top) for top in said["top_logprobs"]], [3] * 8)
        self.assertEqual([max(top.values()) for top in said["top_logprobs"]], said["token_logprobs"])
        read = self.complete(prompt=PROMPT + written["text"], max_tokens=0, echo=True, logprobs=1)["choices"][0]
        self.assertEqual(read["text"], PROMPT + written["text"])
        again = read["logprobs"]
        self.assertIsNone(again["token_logprobs"][0])
        self.assertEqual(again["tokens"][-8:], said["tokens"])
        for a, b in zip(said["token_logprobs"], again["token_logprobs"][-8:]):
            self.assertAlmostEqual(a, b, places=4)
        self.assertEqual(again["text_offset"][:2], [0, len(again["tokens"][0])])

    def test_offsets_count_characters(self):
        prompt = "Größe über Öl and more"
        said = self.complete(prompt=prompt, max_tokens=0, echo=True, logprobs=1)["choices"][0]["logprobs"]
        whole = [(token, at) for token, at in zip(said["tokens"], said["text_offset"]) if "�" not in token]
        for token, at in whole:
            self.assertEqual(prompt[at:at + len(token)], token)
        self.assertGreater(whole[-1][1], prompt.index("l"), "no token stands behind characters of two bytes")

    def test_reads_tokens_and_several_prompts_at_once(self):
        ids = self.work.run("tokenizer", "encode", "--text", PROMPT, "--json").json
        texts = [self.text(prompt=prompt, max_tokens=5) for prompt in (PROMPT, "God")]
        self.assertEqual(self.text(prompt=ids, max_tokens=5), texts[0])
        both = self.complete(prompt=[PROMPT, "God"], max_tokens=5)["choices"]
        self.assertEqual([(one["index"], one["text"]) for one in both], [(0, texts[0]), (1, texts[1])])
        listed = self.complete(prompt=[ids, ids], max_tokens=0, echo=True, logprobs=1)["choices"]
        self.assertEqual(listed[0]["logprobs"], listed[1]["logprobs"])

    def test_many_at_once_get_what_each_gets_alone(self):
        def ask(i):
            return self.text(prompt=f"And {'light ' * (i % 7)}{i}", max_tokens=6 + i % 9)
        alone = [ask(i) for i in range(16)]
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            self.assertEqual(list(pool.map(ask, range(16))), alone)

    def test_tells_the_routing_where_it_is_asked_for(self):
        answer = self.complete(max_tokens=3, mformer={"routing": True, "posterior": True})["choices"][0]["mformer"]
        self.assertEqual(answer["posterior"]["weights"], {"base": 1.0})
        layers = answer["routing"]["base"]
        for layer in layers:
            for kind in ("att", "mlp"):
                self.assertAlmostEqual(sum(layer[kind]), 1)
        self.assertNotIn("mformer", self.complete(max_tokens=1)["choices"][0])

    def test_every_bad_request_gets_one_sentence_in_the_form_of_openai(self):
        for fields, says in (({"prompt": 7}, "'prompt' must be"), ({"prompt": None}, "'prompt' is missing"),
                             ({"prompt": [1, "a"]}, "'prompt' must be"), ({"prompt": [-1]}, "-1"), ({"prompt": [10**9]}, "has not"),
                             ({"n": 2}, "'n' must be 1"), ({"max_tokens": -1}, "'max_tokens'"), ({"max_tokens": "many"}, "'max_tokens'"),
                             ({"temperature": "hot"}, "'temperature'"), ({"temperature": -1}, "'temperature'"), ({"top_p": 0}, "'top_p'"),
                             ({"top_p": 2}, "'top_p'"), ({"seed": 1.5}, "'seed'"), ({"stop": [""]}, "'stop'"), ({"stop": ["a"] * 17}, "'stop'"),
                             ({"logprobs": 99}, "'logprobs'"), ({"stream": 1}, "'stream'"), ({"stream": True, "prompt": ["a", "b"]}, "streamed"),
                             ({"frequency_penalty": 1}, "'frequency_penalty'"), ({"logit_bias": {"5": 1}}, "'logit_bias'"),
                             ({"mformer": {"other": True}}, "'mformer.other'"), ({"grammar": "x"}, "'grammar' is not a field"),
                             ({"max_tokens": 100000}, "context"), ({"x" * 9000: 1}, "is not a field")):
            with self.subTest(fields=str(fields)[:60]):
                answer = self.server.complete(**{"prompt": PROMPT, **fields})
                self.assertEqual(answer.status, 400, answer)
                self.assertIn(says, answer.error["message"])
                self.assertLess(len(answer.error["message"]), 300)
                self.assertEqual(answer.error["type"], "invalid_request_error")
        for body, says in ((b"", "no JSON"), (b"{", "no JSON"), (b"[]", "no JSON object"), (b'{"model": "base"', "no JSON"),
                           (b'{"a":' * 50 + b"1" + b"}" * 50, "too deeply"), (b"[" * 100000, "too deeply"), (b'{"model": "\xff"}', "no JSON"),
                           (b"{}", "'model' is missing")):
            answer = self.server.ask("POST", "/v1/completions", body)
            self.assertEqual((answer.status, answer.error["type"]), (400, "invalid_request_error"), body[:20])
            self.assertIn(says, answer.error["message"])

    def test_other_addresses_methods_and_models_are_not_found(self):
        for method, path in (("GET", "/nowhere"), ("GET", "/v1/completions"), ("POST", "/v1/models"), ("PUT", "/v1/models"), ("DELETE", "/")):
            answer = self.server.ask(method, path, b"{}" if method != "GET" else None)
            self.assertEqual((answer.status, answer.error["code"]), (404, "not_found"), answer)
        answer = self.server.ask("POST", "/v1/completions", {"model": "other", "prompt": "a"})
        self.assertEqual((answer.status, answer.error["code"]), (404, "model_not_found"))

    def test_a_model_without_a_chat_template_refuses_to_chat(self):
        answer = self.server.chat({"role": "user", "content": "Hi"})
        self.assertEqual(answer.status, 400, answer)
        self.assertIn("has no chat template", answer.error["message"])

    def test_pages_of_other_sites_and_bodies_that_are_not_called_json_are_refused(self):
        body = b'{"model": "base", "prompt": "a", "max_tokens": 1}'
        for headers, status in (({"Content-Type": "text/plain"}, 415), ({"Origin": "http://elsewhere"}, 403), ({"Host": "elsewhere"}, 403),
                                ({"Content-Encoding": "gzip"}, 415), ({"Host": f"localhost:{self.server.port}"}, 200)):
            answer = self.server.ask("POST", "/v1/completions", body, **headers)
            self.assertEqual(answer.status, status, (headers, answer))

    def test_tells_its_health_and_figures(self):
        self.assertEqual(self.server.get("/health").json, {"status": "ok"})
        before = self.server.metrics()
        self.complete(max_tokens=5)
        after = self.server.metrics()
        name = "mformer_generated_tokens_total"
        self.assertEqual(after[name] - before[name], 5)
        self.assertEqual(after["mformer_texts_running"], 0)
        self.assertEqual(after["mformer_cache_reserved_bytes"], 0)
        self.assertIn(b"<!-- mformer report -->", self.server.get("/").body)


if __name__ == "__main__":
    unittest.main()
