"""Data as people have it: what is read, what is left out and said, and data that changes or has nothing to learn."""

import json
import os
import time
import unittest

import mformer


def write_lines(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


class DataTest(mformer.EndToEndTest):
    def test_each_form_of_record_is_trained_on(self):
        work = self.workspace()
        (work / "chats").mkdir()
        write_lines(work / "chats" / "a.JSONL", [
            {"messages": [{"role": "user", "content": f"What is {i}+1?"}, {"role": "assistant", "content": str(i + 1)}]}
            for i in range(150)])
        (work / "chats" / "b.json").write_text(json.dumps(
            [{"instruction": f"Add one to {i}.", "input": "", "output": str(i + 1)} for i in range(50)]))
        (work / "chats" / "c.csv").write_text("question,answer\n" + "".join(f"{i}?,{i}\n" for i in range(50)))
        added = work.run("task", "add", "chats", "--data", "chats", "--json").json
        self.assertEqual((added["files"], added["documents"]), (3, 250))
        report = work.run("finetune", "--task", "chats", "--steps", "2", *mformer.QUICK, "--json").json
        self.assertGreater(report["training"]["loss"], 0)

    def test_what_is_left_out_is_said_by_task_add_tasks_and_training(self):
        work = self.workspace()
        (work / "mixed").mkdir()
        (work / "mixed" / "a.txt").write_bytes("Grüße aus Köln\n".encode("utf-16"))
        (work / "mixed" / "b.txt").write_text("plain text " * 2000)
        (work / "mixed" / "c.html").write_text("<p>no</p>")
        (work / "mixed" / "d.jsonl").write_text('{"text": "one"}\n{"text": NaN}\n{"text": 5}\n{"text": "t", "n": NaN}\n')
        os.mkfifo(work / "mixed" / "pipe")
        left_out = work.run("task", "add", "mixed", "--data", "mixed", "--json", "--dry-run").json["left_out"]
        self.assertEqual((left_out["files"], left_out["records"]), (3, 2), left_out)
        self.assertEqual((left_out["binary"], left_out["unread"], left_out["other"]), (1, 1, 1), left_out)
        self.assertEqual((left_out["empty_records"], left_out["bad_records"]), (1, 1), left_out)
        self.assertTrue(any("line 3" in example for example in left_out["examples"]), left_out)
        said = work.run("train", "--data", "mixed", "--steps", "1", *mformer.QUICK).err
        self.assertIn("left out of the data: 1 binary file", said)
        self.assertNotIn("left out", work.run("train", "--data", "mixed", "--steps", "2", *mformer.QUICK).err)
        told = work.run("task", "add", "again", "--data", "mixed").out
        self.assertIn("left out: 1 binary file, 1 file of a kind that is not read, 1 link or special file; "
                      "1 record without text, 1 record that can't be read", told)
        self.assertIn("'a.txt' is UTF-16", told)
        self.assertIn("3 files, 2 records", work.run("tasks").out)
        row = next(row for row in work.run("tasks", "--json").json["tasks"] if row["task"] == "again")
        self.assertEqual((row["left_out_files"], row["left_out_records"], row["fields"]), (3, 2, ""))

    def test_named_fields_are_kept_with_the_task(self):
        work = self.workspace()
        records = [{"ask": f"What is {i}+1?", "say": str(i + 1), "text": "not this"} for i in range(200)]
        write_lines(work / "pairs.jsonl", records)
        fields = "completion=say,prompt=ask"
        added = work.run("task", "add", "pairs", "--data", "pairs.jsonl", "--fields", "prompt=ask,completion=say",
                         "--json").json
        self.assertEqual(added["fields"], fields)
        again = work.run("task", "add", "pairs", "--data", "pairs.jsonl", "--json").json
        self.assertEqual(again["content_hash"], added["content_hash"])
        work.run("finetune", "--task", "pairs", "--steps", "1", *mformer.QUICK)
        work.run("finetune", "--task", "pairs", "--fields", "prompt=ask,completion=say", "--steps", "1", *mformer.QUICK)
        work.refuses("finetune", "--task", "pairs", "--fields", "text=say", code=2, says="is read with --fields",
                     hint="--data DIR --fields text=say")
        work.refuses("task", "add", "pairs", "--data", "pairs.jsonl", "--fields", "text=say", code=1,
                     says="is not what is recorded", hint="--fields text=say --replace")
        work.refuses("task", "add", "x", "--data", "pairs.jsonl", "--fields", "prompt=ask", code=2, says="--fields")
        replaced = work.run("task", "add", "pairs", "--data", "pairs.jsonl", "--fields", "text=say", "--replace", "--json")
        self.assertEqual(replaced.json["fields"], "text=say")
        work.run("tokenizer", "train", "--data", "pairs.jsonl", "--fields", "text=say", "--vocab-size", "260",
                 "--out", "t.json")

    def test_models_of_two_tokenizers_read_one_task_each_by_its_own(self):
        work = self.workspace()
        work.run("tokenizer", "train", "--data", "german", "--vocab-size", "300", "--out", "other.json")
        work.run("init", "--preset", "tiny", "--tokenizer", "other.json", "--name", "two")
        def rows(model):
            return work.run("--model", model, "eval", "--task", "english", "--json").json["tasks"]
        base, two = rows("base"), rows("two")
        self.assertGreater(two[0]["tokens"], base[0]["tokens"], "fewer words make more tokens of a text")
        tokens = {file: file.stat().st_mtime_ns for file in (work / ".mformer" / "cache").rglob("*.tokens")}
        self.assertEqual(len(tokens), 2 * 3, "a file for each split")
        work.run("train", "--model", "two", "--task", "english", "--steps", "1", *mformer.QUICK)
        self.assertEqual(rows("base"), base)
        self.assertEqual({file: file.stat().st_mtime_ns for file in tokens}, tokens, "the tokens of one were taken for the other's")

    def test_what_is_no_data_is_refused_and_never_read_as_prose(self):
        work = self.workspace()
        (work / "page.html").write_text("<p>Hello</p>")
        (work / "people.csv").write_text("name,age\nAnna,5\n")
        (work / "other.jsonl").write_text('{"body": "x"}\n')
        (work / "broken.jsonl").write_text('{"text": "' + "word " * 1_000_000 + "\n")
        work.refuses("task", "add", "x", "--data", "page.html", code=1, says="marked-up text", hint=".txt")
        work.refuses("task", "add", "x", "--data", "people.csv", code=1, says="'age', 'name'", hint="--fields")
        work.refuses("task", "add", "x", "--data", "other.jsonl", code=1, says="'body'", hint="--fields")
        told = work.refuses("task", "add", "x", "--data", "broken.jsonl", code=1, says="line 1, column 5000011")
        self.assertLess(len(told.err), 1500)

    def test_a_file_that_is_cut_while_it_is_read_ends_the_command_with_a_sentence(self):
        work = self.workspace()
        with open(work / "grow.txt", "w") as out:
            out.writelines(f"line {i} of a log file that grows and is rotated\n" for i in range(400_000))
        running = work.start("--quiet", "task", "add", "grow", "--data", "grow.txt")
        time.sleep(0.5)
        os.truncate(work / "grow.txt", 4096)
        _, err = running.communicate(timeout=60)
        self.assertIn(running.returncode, (0, 1), err)  # it may have been done before
        if running.returncode == 1:
            self.assertIn(b"while it was read", err)

    def test_a_token_file_that_is_cut_is_made_anew(self):
        work = self.workspace()
        for file in (work / ".mformer" / "cache").glob("*.tokens"):
            os.truncate(file, file.stat().st_size // 2)
        work.run("eval", "--max-tokens", "256")

    def test_long_prompts_without_a_target_in_the_sample_are_measured_and_stop_no_training(self):
        work = self.workspace()
        write_lines(work / "long.jsonl", [{"prompt": f"word{i} " * 60, "completion": f"x{i}"} for i in range(220)])
        work.run("task", "add", "long", "--data", "long.jsonl")
        rows = work.run("eval", "--task", "long", "--max-tokens", "64", "--json").json["tasks"]
        self.assertGreater(rows[0]["tokens"], 0)
        report = work.run("train", "--task", "english", "--steps", "2", "--batch", "2", "--eval-tokens", "64", "--json")
        self.assertTrue(all(row["before"] is not None for row in report.json["tasks"]), report)
        work.run("finetune", "--task", "long", "--steps", "12", "--batch", "1", "--eval-tokens", "64")

    def test_accumulated_batches_are_steps_of_their_own_run(self):
        work = self.workspace()
        options = ["--task", "english", "--steps", "2", "--eval-tokens", "256", "--json"]
        once = work.run("train", *options, "--batch", "4", "--into", "once").json["training"]
        twice = work.run("train", *options, "--batch", "2", "--accumulate", "2", "--into", "twice").json["training"]
        self.assertEqual(once["tokens"], twice["tokens"])
        self.assertAlmostEqual(once["loss"], twice["loss"], delta=1e-3)
        work.refuses("train", *options[:-1], "--accumulate", "0", code=2, says="--accumulate")


class StandardInputTest(mformer.EndToEndTest):
    def test_closed_input_and_a_folder_for_input_are_errors(self):
        work = self.workspace()
        for command in ("encode", "decode"):
            for tokenizer in ([], ["--tokenizer", "tokenizer.json"]):
                arguments = ["tokenizer", command, *tokenizer]
                work.refuses(*arguments, code=1, says="standard input can't be read", prepare=lambda: os.close(0))
                work.refuses(*arguments, code=1, says="standard input can't be read: Is a directory",
                             prepare=lambda: os.dup2(os.open("/", os.O_RDONLY), 0))

    def test_a_closed_output_never_reaches_the_registry(self):
        work = self.workspace()
        before = (work / ".mformer" / "registry.db").read_bytes()[:100]
        work.run("models", code=1, prepare=lambda: (os.close(0), os.close(1)))
        self.assertEqual((work / ".mformer" / "registry.db").read_bytes()[:100], before)


if __name__ == "__main__":
    unittest.main()
