"""What differs between versions, in weights and routing, and to which births a task owes its performance."""

import csv
import io
import math
import os
import unittest

import mformer
import tensors

TRAIN = ("--steps", "3", *mformer.QUICK)


def bits(p, q):
    """The Jensen-Shannon divergence of two banks' shares, by its formula."""
    total = 0.0
    for uid in {*p, *q}:
        a, b = p.get(uid, 0.0), q.get(uid, 0.0)
        total += sum(0.5 * x * math.log2(2 * x / (a + b)) for x in (a, b) if x > 0)
    return total


class DiffTest(mformer.EndToEndTest):
    def object_of(self, work, name):
        return tensors.read(work / ".mformer" / "objects" / name[:2] / name)

    def test_norms_are_those_of_the_weights(self):
        work = self.workspace()
        old, new = work.modules("base@1"), work.modules("base@2")
        result = work.run("diff", "base@1", "base@2", "--norms", "--json").json
        rows = {row["uid"]: row for row in result["weight_changes"]}
        self.assertEqual(set(rows), set(old))
        sums = {}
        for uid, row in rows.items():
            before, after = (self.object_of(work, modules[uid]) for modules in (old, new))
            change = sum((b - a) ** 2 for name, tensor in before.items() for a, b in zip(tensor.values, after[name].values))
            norm = sum(a * a for tensor in before.values() for a in tensor.values)
            self.assertAlmostEqual(row["change"], math.sqrt(change), places=9)
            self.assertAlmostEqual(row["relative"], math.sqrt(change / norm), places=9)
            bank = sums.setdefault((row["layer"], row["kind"]), [0, 0.0, 0.0])
            sums[row["layer"], row["kind"]] = [bank[0] + 1, bank[1] + change, bank[2] + norm]
        for row in result["weight_changes_by_layer"]:
            count, change, norm = sums.pop((row["layer"], row["kind"]))
            self.assertEqual(row["retrained"], count)
            self.assertAlmostEqual(row["relative"], math.sqrt(change / norm), places=9)
        self.assertFalse(sums)
        self.assertIn("norms of the change", work.run("diff", "base@1", "base@2", "--norms").out)

    def test_where_no_weights_changed_there_are_no_norms(self):
        work = self.workspace()
        work.run("freeze", "layer=0")
        result = work.run("diff", "base@2", "base@3", "--norms", "--json").json
        self.assertEqual((result["weight_changes"], result["weight_changes_by_layer"]), ([], []))
        self.assertIn("no module of both has other weights", work.run("diff", "base@2", "base@3", "--norms").out)

    def test_routing_of_a_task_is_compared_layer_by_layer(self):
        work = self.workspace()
        work.run("extend", "--data", "german", "--single-mask", "--rehearse", "0", *TRAIN)
        shares = []
        for version in ("base@2", "base@3"):
            banks = {}
            for module in work.run("inspect", "routing", "--task", "english", "--model", version, "--json").json["tasks"][0]["modules"]:
                banks.setdefault((module["layer"], module["kind"]), {})[module["uid"]] = module["share"]
            shares.append(banks)
        result, = work.run("diff", "base@2", "base@3", "--task", "english", "--json").json["routing"]
        self.assertEqual([(row["layer"], row["kind"]) for row in result["layers"]], sorted(shares[0]))
        for row in result["layers"]:
            before, after = (banks[row["layer"], row["kind"]] for banks in shares)
            self.assertAlmostEqual(row["divergence"], bits(before, after), places=9)
            self.assertAlmostEqual(row["leak"], sum(share for uid, share in after.items() if uid not in before), places=9)
        self.assertAlmostEqual(result["leak"], sum(row["leak"] for row in result["layers"]) / len(result["layers"]), places=9)
        same, = work.run("diff", "base@3", "base@3", "--task", "english", "--json").json["routing"]
        self.assertEqual((same["divergence"], same["leak"]), (0, 0))
        anew, = work.run("diff", "base@2", "base@3", "--task", "english", "--max-tokens", "64", "--json").json["routing"]
        self.assertLess(anew["tokens_before"], result["tokens_before"])

    def test_what_can_not_be_compared_is_refused(self):
        work = self.workspace()
        work.refuses("diff", "base@1", "base@2", "--task", "englsh", code=2, says="englsh", hint="english")
        work.refuses("diff", "base@1", "base@2", "--max-tokens", "5", code=2, says="--task")
        work.refuses("diff", "base@1", "base@7", "--norms", code=2, says="base", hint="base@2")

    def test_a_long_list_of_parts_is_cut_in_text_alone(self):
        work = self.workspace()
        named = work.run("diff", "base@1", "base@2", "--json").json["trunk"]
        line = next(line for line in work.run("diff", "base@1", "base@2").out.splitlines() if line.startswith("trunk"))
        self.assertIn(f" and {len(named) - 8} more", line)

    def test_the_private_parts_of_a_domain_are_no_change_of_the_trunk(self):
        work = self.workspace()
        work.run("extend", "--data", "german", *TRAIN)
        text = work.run("diff", "base@2", "base@3").out
        self.assertIn("trunk     the same\n", text)
        self.assertRegex(text, r"private   \d+ private parts of domain german, [\d.]+ [kM]B\n")
        self.assertIn("nothing old changed: all that the first has is in the second, bit for bit\n", text)


class BlameTest(mformer.EndToEndTest):
    def extended(self):
        work = self.workspace()
        for data in ("german", "qa"):
            work.run("extend", "--data", data, "--single-mask", "--rehearse", "0", "--experts", "2", "--heads", "2", *TRAIN)
        return work

    def test_a_birth_has_its_share_and_what_the_loss_rises_without_it(self):
        work = self.extended()
        result = work.run("blame", "--task", "german", "--max-tokens", "600", "--json").json
        births = {(row["born_by"], row["born_for"]): row for row in result["births"]}
        self.assertEqual(list(births), [("init", ""), ("extend", "german"), ("extend", "qa")])
        self.assertAlmostEqual(sum(row["share"] for row in births.values()), 1, places=9)
        for row in births.values():
            self.assertAlmostEqual(sum(layer["share"] for layer in row["layers"]) / len(row["layers"]), row["share"], places=9)
        measured = work.run("eval", "--task", "german", "--max-tokens", "600", "--json").json["tasks"][0]
        self.assertEqual((result["loss"], result["tokens"]), (measured["loss"], measured["tokens"]))
        work.run("drop", "--born", "extend:qa", "--into", "less", "--eval-tokens", "600")
        dropped = work.run("eval", "--model", "less", "--task", "german", "--max-tokens", "600", "--json").json["tasks"][0]["loss"]
        self.assertEqual(births["extend", "qa"]["masked_loss"], dropped)
        self.assertEqual(births["extend", "qa"]["gain"], dropped - result["loss"])
        self.assertAlmostEqual(result["sum_of_gains"], births["extend", "german"]["gain"] + births["extend", "qa"]["gain"], places=9)
        work.run("drop", "--born", "extend:german", "--model", "less", "--into", "least", "--eval-tokens", "600")
        least = work.run("eval", "--model", "least", "--task", "german", "--max-tokens", "600", "--json").json["tasks"][0]["loss"]
        self.assertAlmostEqual(result["gain_of_all"], least - result["loss"], places=9)

    def test_text_says_what_masks_do_to_each_other(self):
        work = self.extended()
        text = work.run("blame", "--task", "german", "--max-tokens", "600").out
        self.assertRegex(text, r"extend:german +\d+ +\d+ +[\d.]+ % +\d+\.\d+ +[+-]\d")
        self.assertIn("their gains above add up to", text)
        tables = work.run("blame", "--task", "german", "--max-tokens", "600", "--format", "csv").out.split("\n\n")
        self.assertEqual(len(list(csv.DictReader(io.StringIO(tables[0])))), 3)

    def test_modules_that_a_layer_can_not_do_without_have_no_gain(self):
        work = self.workspace()
        result = work.run("blame", "base@1", "--task", "english", "--max-tokens", "600", "--json").json
        first, = result["births"]
        self.assertEqual((first["share"], first["masked_loss"], first["gain"], result["gain_of_all"]), (1, None, None, None))
        self.assertIn("would keep 0", first["refusal"])
        text = work.run("blame", "base@2", "--task", "english", "--max-tokens", "600").out
        self.assertIn("init can't be masked: layer 0 would keep 0", text)
        self.assertNotIn("add up", text)

    def test_a_domain_goes_with_its_private_parts(self):
        work = self.workspace()
        work.run("extend", "--data", "german", *TRAIN)
        birth = work.run("blame", "--task", "german", "--max-tokens", "600", "--json").json["births"][1]
        self.assertEqual(birth["domains"], ["german"])
        self.assertGreater(birth["gain"], 0)

    def test_what_can_not_be_blamed_is_refused(self):
        work = self.workspace()
        work.refuses("blame", code=2, says="--task")
        work.refuses("blame", "--task", "englsh", code=2, says="englsh", hint="english")
        work.refuses("blame", "base@9", "--task", "english", code=2, says="base", hint="base@2")
        work.refuses("blame", "base@1", "--model", "base", "--task", "english", code=2, says="twice", hint="leave one out")
        work.run("task", "add", "gone", "--data", "german")
        (work / "german" / "text.jsonl").unlink()
        work.refuses("blame", "--task", "gone", code=1, says="german")

    def test_a_workspace_that_can_only_be_read_is_blamed_too(self):
        work = self.workspace()
        if os.geteuid() == 0:
            self.skipTest("root may write everywhere")
        (work / ".mformer").chmod(0o555)
        self.addCleanup((work / ".mformer").chmod, 0o755)
        work.run("blame", "--task", "english", "--max-tokens", "600")


if __name__ == "__main__":
    unittest.main()
