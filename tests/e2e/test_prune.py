import sqlite3
import unittest

import mformer

PRUNE = ("prune", "--task", "english", "--eval-tokens", "600", "--stat-tokens", "2000")


class PruneTest(mformer.EndToEndTest):
    def files(self, work):
        """Everything in the workspace but the token cache, which is no result."""
        root = work / ".mformer"
        return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*"))
                if path.is_file() and path.relative_to(root).parts[0] in ("objects", "runs")}

    def rows(self, work, table):
        with sqlite3.connect(work / ".mformer" / "registry.db") as database:
            return database.execute(f"SELECT * FROM {table}").fetchall()

    def test_a_dry_run_writes_nothing_and_expects_what_the_real_run_finds(self):
        work = self.workspace()
        tables = ("operations", "versions", "tasks", "scores")
        before = [self.rows(work, table) for table in tables], self.files(work)
        expected = work.run(*PRUNE, "--keep", "0.5", "--dry-run", "--json").json
        self.assertEqual(([self.rows(work, table) for table in tables], self.files(work)), before)
        self.assertTrue(expected["dry_run"])
        self.assertNotIn("model", expected)
        real = work.run(*PRUNE, "--keep", "0.5", "--json").json
        self.assertFalse(real["dry_run"])
        for key in ("kept", "map", "parameters", "memory_bytes"):
            self.assertEqual(real[key], expected[key], key)
        self.assertEqual([task["after"] for task in real["tasks"]], [task["after"] for task in expected["tasks"]])

    def test_the_pruned_version_is_smaller_in_memory_and_on_disk(self):
        work = self.workspace()
        result = work.run(*PRUNE, "--keep", "0.3", "--into", "small", "--json").json
        for key in ("parameters", "memory_bytes", "disk_bytes"):
            self.assertLess(result[key]["after"], result[key]["before"], key)
        sizes = {model["name"]: model["bytes"] for model in work.run("models", "--json").json["models"]}
        self.assertEqual(sizes["small"], result["disk_bytes"]["after"])
        self.assertEqual(sizes["base"], result["disk_bytes"]["before"])
        for model, folder in (("base", "full"), ("small", "pruned")):
            work.run("export", folder, "--model", model)
        exported = [(work / folder / "model.safetensors").stat().st_size for folder in ("full", "pruned")]
        self.assertLess(exported[1], exported[0])

    def test_keep_1_changes_no_object(self):
        work = self.workspace()
        work.run(*PRUNE, "--keep", "1.0", "--into", "same")
        difference = work.run("diff", "base", "same", "--json").json
        self.assertTrue(difference["same"], difference)
        self.assertEqual(work.modules("base"), work.modules("same"))

    def test_the_map_leads_from_old_places_to_new_ones(self):
        work = self.workspace()
        result = work.run(*PRUNE, "--keep", "0.5", "--into", "small", "--json").json
        place = {}
        for model in ("base", "small"):
            rows = work.run("inspect", "modules", "--model", model, "--json").json["modules"]
            place[model] = {row["uid"]: (row["layer"], row["kind"], row["index"]) for row in rows}
        self.assertEqual({row["uid"] for row in result["map"]}, set(place["small"]))
        for row in result["map"]:
            self.assertEqual(place["base"][row["uid"]], (row["layer"], row["kind"], row["old"]))
            self.assertEqual(place["small"][row["uid"]], (row["layer"], row["kind"], row["new"]))
        text = work.run(*PRUNE, "--keep", "0.5", "--dry-run", "--map").out
        self.assertIn(result["map"][0]["uid"], text)

    def test_counts_follow_the_scope(self):
        work = self.workspace()
        by_scope = {scope: work.run(*PRUNE, "--keep", "0.6", "--scope", scope, "--dry-run", "--json").json["kept"]
                    for scope in ("layer", "global")}
        for kind, all_modules in (("att", 4), ("mlp", 8)):
            kept = {scope: [row[kind]["after"] for row in rows] for scope, rows in by_scope.items()}
            each = -(-6 * all_modules // 10)  # rounded up
            self.assertEqual(kept["layer"], [each, each])
            self.assertEqual(sum(kept["global"]), -(-12 * all_modules // 10))
            self.assertGreaterEqual(min(kept["global"]), 2)  # a token uses two

    def test_never_fewer_than_a_token_uses(self):
        kept = self.workspace().run(*PRUNE, "--keep", "0.01", "--dry-run", "--json").json["kept"]
        self.assertEqual([(row["att"]["after"], row["mlp"]["after"]) for row in kept], [(2, 2), (2, 2)])

    def test_every_criterion_works_and_random_follows_the_seed(self):
        work = self.workspace()
        maps = {}
        for criterion in ("frequency", "gate-mass", "reap", "norm", "random"):
            arguments = (*PRUNE, "--keep", "0.5", "--criterion", criterion, "--dry-run", "--json")
            maps[criterion] = work.run(*arguments).json["map"]
        random = (*PRUNE, "--keep", "0.5", "--criterion", "random", "--dry-run", "--json")
        self.assertEqual(work.run(*random).json["map"], maps["random"])
        self.assertNotEqual(work.run(*random, "--seed", "5").json["map"], maps["random"])
        work.refuses(*PRUNE, "--keep", "0.5", "--criterion", "frequenzy", code=2, says="frequenzy", hint="frequency")
        work.refuses(*PRUNE, "--keep", "0.5", "--scope", "world", code=2, says="world", hint="global")

    def test_healing_changes_routers_only(self):
        work = self.workspace()
        arguments = ("--keep", "0.5", "--batch", "2", "--context", "32")
        work.run(*PRUNE, *arguments, "--into", "pruned")
        work.run(*PRUNE, *arguments, "--heal-steps", "5", "--into", "healed")
        difference = work.run("diff", "pruned", "healed", "--json").json
        self.assertEqual((difference["trunk"], difference["modules"], difference["config"]), ([], [], []))
        self.assertEqual(len(difference["routers"]), 4)
        self.assertEqual(work.modules("pruned"), work.modules("healed"))

    def test_a_task_or_its_data_is_needed(self):
        work = self.workspace()
        work.refuses("prune", "--task", "englisch", "--keep", "0.5", code=2, says="englisch", hint="english")
        work.refuses("prune", "--keep", "0.5", code=2, says="no task")
        work.refuses("prune", "--task", "english", code=2, says="--keep")
        for value in ("0", "1.5", "nan", "30%"):
            work.refuses("prune", "--task", "english", "--keep", value, code=2, says=value)

    def test_the_first_line_of_the_manual_works(self):
        work = self.workspace()
        work.run("task", "add", "qa", "--data", "qa")
        work.run("prune", "--task", "qa", "--keep", "0.3")
        self.assertEqual(work.versions(), ["base@3"])
        work.check_sound()


if __name__ == "__main__":
    unittest.main()
