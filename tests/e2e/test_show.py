"""show: one verb for everything that has a name, a number or an identity."""

import csv
import io
import unittest

import mformer


class ShowTest(mformer.EndToEndTest):
    def show(self, work, *arguments):
        return work.run("show", *arguments, "--json").json

    def test_an_operation_is_told_as_log_tells_it(self):
        work = self.workspace()
        shown, logged = self.show(work, 2), work.run("log", 2, "--json").json
        self.assertEqual(shown.pop("what"), "operation")
        self.assertEqual({**shown, "command": "log"}, logged)
        self.assertEqual(work.run("show", 2).out, work.run("log", 2).out)

    def test_a_version_has_its_parent_what_changed_and_who_stands_there(self):
        work = self.workspace()
        work.run("tag", "first", "base@1")
        work.run("extend", "--data", "german", "--steps", "2", *mformer.QUICK)
        shown = self.show(work, "base@3")
        self.assertEqual((shown["what"], shown["model_version"]["ref"], shown["parent"]["ref"], shown["models"]),
                         ("version", "base@3", "base@2", ["base"]))
        self.assertGreater(shown["added"], 0)
        self.assertEqual((shown["nothing_old_changed"], shown["trunk"], shown["made_by"]), (True, [], "extend"))
        self.assertEqual([part["domain"] for part in shown["parts"]], [None, "german"])
        self.assertEqual(sum(birth["modules"] for birth in shown["births"]), shown["modules"])
        self.assertEqual({score["task"] for score in shown["scores"]}, {"english", "german"})
        lineage = work.run("inspect", "lineage", "--json").json["versions"][0]
        self.assertEqual({name: shown[name] for name in ("added", "added_bytes", "private_parts")},
                         {name: lineage[name] for name in ("added", "added_bytes", "private_parts")})
        text = work.run("show", "base").out
        self.assertIn("nothing old changed", text)
        self.assertRegex(text, r"changed +\d+ modules added; trunk: same; \d+ private parts of domain german, ")
        tagged = self.show(work, "first")
        self.assertEqual((tagged["tags"], [child["ref"] for child in tagged["children"]], tagged["nothing_old_changed"]), (["first"], ["base@2"], None))
        self.assertEqual(self.show(work, tagged["model_version"]["hash"][:9]), tagged)

    def test_a_module_and_a_task(self):
        work = self.workspace()
        uid = next(iter(work.modules("base")))
        life = self.show(work, uid[:7], "--as", "module")
        self.assertEqual((life["what"], life["module"]["uid"], [row["command"] for row in life["revisions"]]), ("module", uid, ["train", "init"]))
        limited = self.show(work, uid, "-n", "1")
        self.assertEqual((len(limited["revisions"]), limited["older"]), (1, 1))
        task = self.show(work, "english")
        listed = work.run("tasks", "--json").json["tasks"][0]
        self.assertEqual({name: task[name] for name in listed}, listed)
        self.assertEqual({score["model_version"]["ref"] for score in task["scores"]}, {"base@1", "base@2"})
        rows = list(csv.DictReader(io.StringIO(work.run("show", "english", "--format", "csv").out)))
        self.assertEqual(len(rows), len(task["scores"]))

    def test_a_word_with_two_meanings_is_refused_with_the_choices(self):
        work = self.workspace()
        work.run("tag", "english", "base@1")
        refused = work.refuses("show", "english", code=2, says="version base@1 (tag english), the task english", hint="--as version, or --as task")
        self.assertIn("mformer show english --as", refused.err)
        self.assertEqual(self.show(work, "english", "--as", "task")["what"], "task")
        self.assertEqual(self.show(work, "english", "--as", "version")["what"], "version")
        work.run("tag", "2", "base@1")
        work.refuses("show", "2", code=2, says="operation 2 (train)", hint="--as operation")
        work.refuses("show", "english", "--as", "module", code=2, says="no module 'english'")
        work.refuses("show", "english", "--as", "modul", code=2, says="modul", hint="operation, version, module or task")

    def test_what_is_not_known_is_refused(self):
        work = self.workspace()
        work.refuses("show", "englsh", code=2, says="'englsh'", hint="english")
        work.refuses("show", "99", code=2, says="'99'")
        work.refuses("show", "99999999999999999999999", code=2, says="no model, version, task, operation or module")
        work.refuses("show", "base@9", code=2, says="no version '9'", hint="base@2")
        work.refuses("show", "", code=2, says="")
        work.refuses("show", "\x1b[31m", code=2, says="\\x1b")
        work.refuses("show", code=2, says="THING")


if __name__ == "__main__":
    unittest.main()
