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

    def test_routing_holds_two_versions_against_each_other_module_by_module(self):
        work = self.extended()
        before, after = "base@2", work.versions()[0]
        old, new = work.modules(before), work.modules(after)
        result = self.routing(work, "--task", "english", "--diff", before, after)
        self.assertEqual((result["before"]["ref"], result["model_version"]["ref"]), (before, after))
        rows = result["tasks"][0]["modules"]
        self.assertEqual({row["uid"] for row in rows}, set(old) | set(new))
        for row in rows:
            self.assertEqual((row["share_before"] is None, row["share"] is None), (row["uid"] not in old, row["uid"] not in new))
            self.assertAlmostEqual(row["change"], (row["share"] or 0) - (row["share_before"] or 0))
        plain = {row["uid"]: row["share"] for row in self.routing(work, "--task", "english", "--model", before)["tasks"][0]["modules"]}
        self.assertEqual({row["uid"]: row["share_before"] for row in rows if row["uid"] in old}, plain)
        back = self.routing(work, "--task", "english", "--diff", after, before)["tasks"][0]
        # The same sum of logarithms, with the two sides of each exchanged: the last bit may differ.
        self.assertAlmostEqual(back["divergence"], result["tasks"][0]["divergence"], places=12)
        self.assertEqual({row["uid"]: -row["change"] for row in back["modules"]}, {row["uid"]: row["change"] for row in rows})
        text = work.run("inspect", "routing", "--task", "english", "--diff", before, after).out
        self.assertIn("+ new, x gone", text)
        same = self.routing(work, "--diff", after, after)
        self.assertEqual({row["change"] for task in same["tasks"] for row in task["modules"]}, {0})
        work.refuses("inspect", "routing", "--diff", before, code=2, says="--diff")
        work.refuses("inspect", "routing", "--diff", before, "nothing", code=2, says="nothing")

    def test_routing_lists_the_modules_with_the_largest_shares_or_changes(self):
        work = self.extended()
        task = self.routing(work, "--task", "german", "--top", "3")["tasks"][0]
        shares = sorted((row["share"] for row in task["modules"]), reverse=True)
        self.assertEqual([row["share"] for row in task["top"]], shares[:3])
        text = work.run("inspect", "routing", "--task", "german", "--top", "3", "--format", "csv").out
        self.assertEqual([line.split(",")[3] for line in text.splitlines()[1:4]], [row["uid"] for row in task["top"]])
        self.assertNotIn("attention modules", text)
        changed = self.routing(work, "--task", "english", "--diff", "base@2", "base@3", "--top", "2")["tasks"][0]
        sizes = sorted((abs(row["change"]) for row in changed["modules"]), reverse=True)
        self.assertEqual([abs(row["change"]) for row in changed["top"]], sizes[:2])
        self.assertEqual(len(self.routing(work, "--task", "german", "--top", "100000")["tasks"][0]["top"]), len(task["modules"]))
        work.refuses("inspect", "routing", "--top", "0", code=2, says="--top")

    def test_routing_says_how_much_of_the_work_an_extension_s_modules_do(self):
        work = self.extended()
        task = self.routing(work, "--task", "german", "--by", "birth")["tasks"][0]
        self.assertEqual([row["born"] for row in task["births"]], ["init", "extend:german"])
        self.assertEqual(sum(row["modules"] for row in task["births"]), len(task["modules"]))
        for kind in ("att", "mlp"):
            self.assertAlmostEqual(sum(row[kind] for row in task["births"]), 1)
            banks = {row["layer"] for row in task["modules"] if row["kind"] == kind}
            of_extension = sum(row["share"] for row in task["modules"] if row["kind"] == kind and row["born"] == "extend:german")
            self.assertAlmostEqual(task["births"][1][kind], of_extension / len(banks))
        changed = self.routing(work, "--task", "german", "--by", "birth", "--diff", "base@2", "base@3")["tasks"][0]["births"]
        self.assertAlmostEqual(sum(row["mlp_change"] for row in changed), 0)
        work.refuses("inspect", "routing", "--by", "death", code=2, says="'death'", hint="birth")
        work.refuses("inspect", "routing", "--by", "birth", "--top", "2", code=2, says="--top")

    def test_routing_writes_every_choice_of_a_router(self):
        work = self.extended()
        result = self.routing(work, "--task", "german", "--max-tokens", "200", "--trace", "trace.csv")
        header, *lines = (work / "trace.csv").read_text().splitlines()
        self.assertEqual(header, "window,position,token,hypothesis,layer,kind,slot,module,gate")
        self.assertEqual(result["trace"], {"file": "trace.csv", "choices": len(lines)})
        rows = [dict(zip(header.split(","), line.split(","))) for line in lines]
        counted = {}
        for row in rows:
            place = (int(row["layer"]), row["kind"], int(row["module"]))
            slots, gates = counted.get(place, (0, 0))
            counted[place] = (slots + 1, gates + float(row["gate"]))
        modules = result["tasks"][0]["modules"]
        tokens = result["tasks"][0]["tokens"]
        for module in modules:
            slots, gates = counted.get((module["layer"], module["kind"], module["index"]), (0, 0))
            self.assertEqual(slots, module["slots"])
            self.assertAlmostEqual(gates / tokens, module["mean_gate"], places=5)  # float32 gates, summed in another order
        self.assertEqual(len({(row["window"], row["position"]) for row in rows}), tokens)
        self.assertEqual({row["hypothesis"] for row in rows}, {"base"})
        first = (work / "trace.csv").read_bytes()
        self.routing(work, "--task", "german", "--max-tokens", "200", "--trace", "trace.csv")  # an earlier one is replaced
        self.assertEqual((work / "trace.csv").read_bytes(), first)

    def test_a_trace_names_the_hypothesis_that_read_each_window(self):
        work = self.workspace()
        work.run("extend", "--data", "german", "--steps", "60", "--lr", "0.02", "--batch", "4", "--context", "64", "--eval-tokens", "600")
        result = self.routing(work, "--task", "german", "--max-tokens", "400", "--trace", "trace.csv")
        lines = [line.split(",") for line in (work / "trace.csv").read_text().splitlines()[1:]]
        self.assertIn("german", {line[3] for line in lines})
        counted = {}
        for line in lines:
            place = (int(line[4]), line[5], int(line[7]))
            counted[place] = counted.get(place, 0) + 1
        for module in result["tasks"][0]["modules"]:  # places are those of the whole model, whichever hypothesis reads
            self.assertEqual(counted.get((module["layer"], module["kind"], module["index"]), 0), module["slots"])

    def test_a_trace_replaces_nothing_else_and_is_of_one_task_of_one_version(self):
        work = self.extended()
        (work / "notes.csv").write_text("a,b\n")
        work.refuses("inspect", "routing", "--task", "german", "--trace", "notes.csv", code=1, says="is no trace of routing")
        work.refuses("inspect", "routing", "--trace", "t.csv", code=2, says="one task", hint="--task")
        work.refuses("inspect", "routing", "--task", "german", "--task", "english", "--trace", "t.csv", code=2, says="one task")
        work.refuses("inspect", "routing", "--task", "german", "--trace", "t.csv", "--diff", "base@1", "base@2", code=2, says="--diff")
        work.refuses("inspect", "routing", "--task", "german", "--trace", "none/t.csv", code=2, says="no folder", hint="mkdir")
        work.refuses("inspect", "routing", "--task", "none", "--trace", "t.csv", code=2, says="none")
        self.assertFalse((work / "t.csv").exists())

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
