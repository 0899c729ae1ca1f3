"""inspect module: which tokens use a module, held against inspect routing, and what its absence costs, against drop."""

import unittest

import mformer


class InspectModule(mformer.EndToEndTest):
    def started(self):
        work = self.workspace()
        work.run("task", "add", "german", "--data", "german")
        work.run("extend", "--task", "german", "--steps", "6", *mformer.QUICK)
        return work

    def rows(self, work, model, selector="all"):
        return work.run("inspect", "modules", selector, "--model", model, "--json").json["modules"]

    def inspected(self, work, uid, *arguments):
        return work.run("inspect", "module", uid, "--json", *arguments).json

    def test_slots_and_gates_are_those_of_inspect_routing(self):
        work = self.started()
        for row in work.run("inspect", "routing", "--model", "base@2", "--json").json["tasks"]:
            for module in row["modules"][::7]:
                made, = self.inspected(work, module["uid"], "--model", "base@2", "--task", row["task"], "--top", "9999")["tasks"]
                self.assertEqual((made["slots"], made["tokens"]), (module["slots"], row["tokens"]))
                self.assertEqual(sum(one["slots"] for one in made["by_token"]), made["slots"])
                self.assertTrue(all(one["slots"] <= one["seen"] for one in made["by_token"]))
                gates = [one["gate"] for one in made["contexts"]]
                self.assertEqual(gates, sorted(gates, reverse=True))

    def test_the_loss_without_it_is_that_of_a_version_from_which_it_was_dropped(self):
        work = self.started()
        new = self.rows(work, "base", "born=extend:german")[0]
        made = self.inspected(work, new["uid"], "--max-tokens", "0")
        self.assertEqual(made["hypothesis"], "german")
        losses = {row["task"]: row["loss"] for row in work.run("eval", "--json").json["tasks"]}
        work.run("drop", f"uid={new['uid']}", "--into", "without")
        without = {row["task"]: row["loss"] for row in work.run("eval", "--model", "without", "--json").json["tasks"]}
        for task in made["tasks"]:
            self.assertAlmostEqual(task["loss"], losses[task["task"]], delta=1e-9)
            self.assertAlmostEqual(task["loss_without"], without[task["task"]], delta=1e-9)

    def test_what_people_see_names_tokens_and_places_and_lets_none_speak_to_the_terminal(self):
        work = self.started()
        (work / "loud").mkdir()
        for i in range(200):
            (work / "loud" / f"{i}.txt").write_text(f"{i} \x1b[31m\u202e\u009b and more, {i * 7919} times \x07")
        work.run("task", "add", "loud", "--data", "loud")
        uid = self.rows(work, "base@2")[0]["uid"]
        out = work.run("inspect", "module", uid[:8], "--task", "loud", "--model", "base@2").out
        for says in ("tokens that take it most", "where its gate is largest", "without it"):
            self.assertIn(says, out)
        for bad in ("\x1b", "\u202e", "\u009b", "\x07"):
            self.assertNotIn(bad, out)

    def test_a_module_that_its_layer_can_not_spare_has_no_loss_without_it(self):
        work = self.workspace()
        work.run("prune", "--task", "english", "--keep", "0.1", "--into", "small", "--eval-tokens", "600")
        for module in self.rows(work, "small"):
            made, = self.inspected(work, module["uid"], "--model", "small", "--task", "english")["tasks"]
            if made["loss_without"] is None:
                self.assertIn("fewer modules than a token takes", work.run("inspect", "module", module["uid"], "--model", "small").out)
                break
        else:
            self.fail("every module could be spared")

    def test_unknown_modules_are_refused(self):
        work = self.started()
        work.refuses("inspect", "module", "zzzz", code=2, says="no module")
        work.refuses("inspect", "module", code=2, says="needs uid")
        new = self.rows(work, "base", "born=extend:german")[0]
        work.refuses("inspect", "module", new["uid"], "--model", "base@2", code=2, says="no module")


if __name__ == "__main__":
    unittest.main()
