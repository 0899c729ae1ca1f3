import unittest

import mformer

PROMPT = ("generate", "--prompt", "And the LORD said", "--max-tokens", "12")


class GenerateTest(mformer.EndToEndTest):
    def test_the_same_seed_gives_the_same_text_and_another_seed_another(self):
        work = self.workspace()
        text = work.run(*PROMPT, "--seed", "7").out
        self.assertEqual(work.run(*PROMPT, "--seed", "7").out, text)
        self.assertNotEqual(work.run(*PROMPT, "--seed", "8").out, text)

    def test_temperature_zero_needs_no_seed(self):
        work = self.workspace()
        greedy = work.run(*PROMPT, "--temperature", "0", "--seed", "1").out
        self.assertEqual(work.run(*PROMPT, "--temperature", "0", "--seed", "2").out, greedy)
        self.assertEqual(work.run(*PROMPT, "--top-k", "1", "--seed", "3").out, greedy)

    def test_json_is_the_streamed_text_with_its_counts(self):
        work = self.workspace()
        streamed = work.run(*PROMPT)
        result = work.run(*PROMPT, "--json").json
        self.assertEqual(result["text"] + "\n", streamed.out)
        self.assertEqual(result["stopped_by"], "length")
        self.assertEqual(result["tokens"], 12)
        self.assertGreater(result["prompt_tokens"], 0)

    def test_the_rate_goes_to_stderr_and_quiet_silences_it(self):
        work = self.workspace()
        self.assertRegex(work.run(*PROMPT).err, r"12 tokens in .* tokens/s")
        self.assertEqual(work.run(*PROMPT, "--quiet").err, "")

    def test_a_stop_string_ends_the_text_before_it(self):
        work = self.workspace()
        text = work.run(*PROMPT, "--json").json["text"]
        stop = [character for character in text if character.isascii()][4]  # not U+FFFD, which stands for bytes
        result = work.run(*PROMPT, "--json", "--stop", stop).json
        self.assertEqual(result["text"], text[:text.index(stop)])
        self.assertEqual(result["stopped_by"], "stop string")

    def test_an_empty_prompt_starts_a_document(self):
        self.assertEqual(self.workspace().run("generate", "--max-tokens", "3", "--json").json["prompt_tokens"], 0)

    def test_wrong_values_are_refused(self):
        work = self.workspace()
        for option, value in (("--temperature", "-1"), ("--top-p", "0"), ("--top-k", "0"), ("--max-tokens", "0"),
                              ("--stop", "")):
            work.refuses("generate", option, value, code=2, says=option)


if __name__ == "__main__":
    unittest.main()
