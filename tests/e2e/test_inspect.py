import unittest

import mformer

EXTEND = ("extend", "--data", "german", "--single-mask", "--rehearse", "0", "--experts", "4", "--heads", "2", "--steps", "4", *mformer.QUICK)


class InspectTest(mformer.EndToEndTest):
    def extended(self):
        work = self.workspace()
        work.run(*EXTEND)
        return work

    def routing(self, work, *arguments):
        return work.run("inspect", "routing", "--json", *arguments).json

    def test_routing_shows_all_tasks_with_shares_that_add_up(self):
        work = self.extended()
        result = self.routing(work)
        self.assertEqual([task["task"] for task in result["tasks"]], ["english", "german"])
        for task in result["tasks"]:
            sums = {}
            for module in task["modules"]:
                bank = (module["layer"], module["kind"])
                sums[bank] = sums.get(bank, 0) + module["share"]
            self.assertEqual(sorted(sums), [(0, "att"), (0, "mlp"), (1, "att"), (1, "mlp")])
            for share in sums.values():
                self.assertAlmostEqual(share, 1, places=9)
            self.assertTrue(0 < task["ninety_percent"] <= 1)
        self.assertEqual([(pair["a"], pair["b"]) for pair in result["divergence"]], [("english", "german")])
        self.assertTrue(0 <= result["divergence"][0]["bits"] <= 1)

    def test_routing_is_kept_and_measured_again_only_on_demand(self):
        work = self.workspace()
        measured = [self.routing(work, *flags)["tasks"][0] for flags in ((), (), ("--refresh",))]
        self.assertEqual([task["measured_now"] for task in measured], [True, False, True])
        self.assertEqual(measured[0]["modules"], measured[1]["modules"])
        self.assertEqual(measured[0]["modules"], measured[2]["modules"])

    def test_routing_is_a_picture_with_later_modules_marked(self):
        work = self.extended()
        text = work.run("inspect", "routing", "--task", "german").out
        self.assertIn("german: attention modules", text)
        self.assertIn("german: feed-forward modules", text)
        self.assertIn("a born by extend:german", text)
        self.assertNotIn("born by", work.run("inspect", "routing", "--task", "english", "--model", "base@2").out)

    def test_routing_passes_over_a_task_whose_data_is_gone_unless_it_is_named(self):
        work = self.workspace()
        work.run("task", "add", "gone", "--data", "german")
        work.run("task", "add", "here", "--data", "qa")
        (work / "german" / "text.jsonl").unlink()
        result = work.run("inspect", "routing", "--json")
        self.assertIn("here", [task["task"] for task in result.json["tasks"]])
        self.assertNotIn("gone", [task["task"] for task in result.json["tasks"]])
        self.assertIn("'gone' is left out", result.err)
        work.refuses("inspect", "routing", "--task", "gone", code=1, says="german")

    def test_routing_without_tasks_says_how_to_get_one(self):
        work = self.workspace()
        empty = self.folder("empty")
        empty.run("init", "--preset", "tiny", "--tokenizer", work / "tokenizer.json")
        empty.refuses("inspect", "routing", code=2, says="no task", hint="task add")

    def test_modules_lists_places_births_and_shares(self):
        work = self.extended()
        rows = work.run("inspect", "modules", "--json").json["modules"]
        self.assertEqual(len(rows), len(work.modules("base@3")))
        added = [row for row in rows if row["born_by"] == "extend"]
        old = {row["uid"] for row in rows if row["born_by"] == "init"}
        self.assertEqual({row["born_for"] for row in added}, {"german"})
        self.assertTrue({row["copied_from"] for row in added} <= old)
        self.assertTrue(all(set(row["share"]) == {"english", "german"} for row in rows))  # extend measured them

    def test_modules_takes_a_selector(self):
        work = self.extended()
        rows = work.run("inspect", "modules", "kind=mlp,layer=1,born=extend:german", "--json").json["modules"]
        self.assertEqual({(row["kind"], row["layer"], row["born_by"]) for row in rows}, {("mlp", 1, "extend")})
        work.refuses("inspect", "modules", "kindd=mlp", code=2, says="kindd")
        work.run("freeze", "layer=0")
        frozen = work.run("inspect", "modules", "frozen", "--json").json["modules"]
        self.assertEqual({row["layer"] for row in frozen}, {0})

    def test_lineage_says_what_each_operation_did(self):
        work = self.extended()
        work.run("freeze", "kind=att")
        versions = work.run("inspect", "lineage", "--json").json["versions"]
        self.assertEqual([row["version"]["ref"] for row in versions], ["base@4", "base@3", "base@2", "base@1"])
        self.assertEqual([row["command"] for row in versions], ["freeze", "extend", "train", "init"])
        freeze, extend, train, init = versions
        self.assertEqual((freeze["frozen"], freeze["retrained"], freeze["added_bytes"]), (12, 0, 0))
        self.assertEqual((extend["added"], extend["removed"], extend["trunk"]), (12, 0, []))
        self.assertEqual((train["retrained"], train["added"]), (24, 0))
        self.assertEqual((init["added"], init["parent"]), (24, None))
        self.assertEqual([row["current"] for row in versions], [True, False, False, False])

    def test_lineage_of_a_pruned_model_leads_back_to_the_full_one(self):
        work = self.workspace()
        work.run("prune", "--task", "english", "--keep", "0.5", "--into", "small", "--eval-tokens", "600")
        versions = work.run("inspect", "lineage", "--model", "small", "--json").json["versions"]
        self.assertEqual([row["version"]["ref"] for row in versions], ["small@1", "base@2", "base@1"])

    def test_lineage_of_a_module_tells_its_life(self):
        work = self.extended()
        uid = next(iter(work.modules("base@2")))
        life = work.run("inspect", "lineage", uid[:8], "--json").json
        self.assertEqual(life["module"]["uid"], uid)
        self.assertEqual([row["command"] for row in life["revisions"]], ["train", "init"])
        self.assertEqual(life["revisions"][0]["parent"], life["revisions"][1]["id"])
        self.assertEqual([place["version"]["ref"] for place in life["now_in"]], ["base@3"])
        work.refuses("inspect", "lineage", "zzzz", code=2, says="zzzz")

    def test_a_limit_leaves_out_what_is_older_and_says_so(self):
        work = self.workspace()
        work.run("freeze", "kind=att")
        whole, limited = (work.run("inspect", "lineage", *limit, "--json").json for limit in ((), ("-n", "2")))
        self.assertEqual((limited["versions"], limited["older"]), (whole["versions"][:2], 1))
        self.assertIn("1 older version is not shown", work.run("inspect", "lineage", "-n", "2").out)
        uid = next(iter(work.modules("base")))
        life = work.run("inspect", "lineage", uid, "-n", "1", "--json").json
        self.assertEqual(([row["command"] for row in life["revisions"]], life["older"]), (["train"], 1))
        work.refuses("inspect", "lineage", "-n", "0", code=2, says="0")

    def test_the_beginning_of_many_modules_is_refused(self):
        work = self.workspace()
        uids = sorted(work.modules("base@2"))
        shared = next(a[0] for a, b in zip(uids, uids[1:]) if a[0] == b[0])  # 24 modules, 16 digits
        work.refuses("inspect", "lineage", shared, code=2, says="more than one module", hint="digits")


if __name__ == "__main__":
    unittest.main()
