"""recipes/benchmarks without a measurement: the table's arithmetic, what is compared, and wrong arguments."""

import os
import pathlib
import subprocess
import sys
import unittest
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "recipes/benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import contenders  # noqa: E402
import rows  # noqa: E402
import run  # noqa: E402
from summary import Goal, Line, Spread, markdown_table, shown, text_table  # noqa: E402


def line(ours, theirs=(), goal=None, unit="tokens/s"):
    return Line("row", "work", unit, tuple(ours), "peer", tuple(theirs), goal)


class Table(unittest.TestCase):
    def test_the_ratio_is_median_over_median_and_not_the_mean(self):
        self.assertEqual(line([10, 1000, 20], [5, 4, 900]).ratio, 4)

    def test_a_spread_tells_the_lowest_and_the_highest(self):
        self.assertEqual(Spread.of([3, 1, 2, 9]), Spread(2.5, 1, 9))

    def test_a_goal_of_the_ratio_looks_at_the_ratio(self):
        self.assertTrue(line([60], [10], Goal("at_least", 6)).met)
        self.assertFalse(line([59], [10], Goal("at_least", 6)).met)
        self.assertTrue(line([0.7], [1], Goal("at_most", 0.7), "seconds").met)
        self.assertFalse(line([0.71], [1], Goal("at_most", 0.7), "seconds").met)

    def test_a_goal_of_the_value_needs_no_peer(self):
        self.assertTrue(line([2.1e9], goal=Goal("at_most", 2.2e9, of="value"), unit="bytes").met)
        self.assertFalse(line([2.3e9], goal=Goal("at_most", 2.2e9, of="value"), unit="bytes").met)

    def test_without_a_peer_nothing_is_claimed(self):
        alone = line([10, 20], goal=Goal("at_least", 6))
        self.assertIsNone(alone.ratio)
        self.assertIsNone(alone.met)
        self.assertEqual(alone.cells()[2:], ["-", "-", "-", "≥ 6×", "-"])

    def test_values_have_their_unit_and_about_three_digits(self):
        self.assertEqual(shown(3713.2, "tokens/s"), "3,713")
        self.assertEqual(shown(15.61, "tokens/s"), "15.6")
        self.assertEqual(shown(1.704e9, "bytes"), "1.70 GB")
        self.assertEqual(shown(0.0641, "seconds"), "64.1 ms")
        self.assertEqual(shown(2.629, "seconds"), "2.63 s")

    def test_both_tables_hold_the_same_cells(self):
        lines = [line([10, 30, 20], [5, 4, 6], Goal("at_least", 3)), line([1])]
        cells = ["work, tokens/s", "20.0 (10.0 – 30.0)", "peer", "5.0 (4.0 – 6.0)", "4.00×", "≥ 3×", "yes"]
        self.assertIn("| " + " | ".join(cells) + " |", markdown_table(lines))
        text = text_table(lines).splitlines()
        self.assertEqual([cell.strip() for cell in text[1].split("  ") if cell], cells)


class Rows(unittest.TestCase):
    def rows(self, **options):
        return rows.all_rows(**{"quick": False, "busy": False, "scratch": pathlib.Path("scratch"), **options})

    def test_every_row_has_a_name_of_its_own(self):
        names = [row.key for row in self.rows(busy=True)]
        self.assertEqual(len(names), len(set(names)))

    def test_both_sides_of_a_training_row_do_the_same_work(self):
        for row in self.rows():
            if row.key.startswith("train-"):
                ours, theirs = row.ours.arguments, row.theirs.arguments
                for name in ("--context", "--tokens-per-step"):
                    self.assertEqual(ours[ours.index(name) + 1], theirs[theirs.index(name) + 1], row.key)
                self.assertEqual("--bfloat16" in ours, "--bfloat16" in theirs, row.key)

    def test_a_busy_row_differs_from_its_quiet_one_in_nothing_but_the_busy_core(self):
        busy = [row for row in self.rows(busy=True) if row.key.startswith("busy-")]
        self.assertIn("busy-train-float32-512", [row.key for row in busy])
        for row in busy:
            self.assertEqual(row.ours.arguments, row.theirs.arguments)
            self.assertTrue(row.ours.busy)
            self.assertFalse(row.ours.same_run(row.theirs))

    def test_rows_take_turns_and_a_shared_command_runs_once(self):
        started = []

        def measure(_, command):
            started.append(command.label)
            return {"tokens_per_second": 1.0, "floor": 0.5}

        mine, other = rows.mformer("work"), rows.peer("peer", "dense-1.4b")
        alternating = rows.Row("row", mine, other, (rows.both("work", "tokens/s", "tokens_per_second"),))
        shared = rows.Row("floor", mine, rows.mformer("work", label="floor"),
                          (rows.Measure("work", "tokens/s", lambda r: 1.0, lambda r: 1 / r["floor"]),))
        with mock.patch.object(run, "measure", measure), mock.patch.object(run, "progress"):
            run.run_row(alternating, contenders.Programs("mformer", python="python"), 2)
            self.assertEqual(started, ["mformer", "peer"] * 2)
            started.clear()
            run.run_row(alternating, contenders.Programs("mformer"), 2)  # no peer given
            self.assertEqual(started, ["mformer"] * 2)
            started.clear()
            result = run.run_row(shared, contenders.Programs("mformer"), 1)
        self.assertEqual(started, ["mformer"])
        self.assertEqual(result[0].theirs, (2.0,))

    def test_without_peers_no_work_is_measured_twice_for_nothing(self):
        def names(programs):
            return [row.key for row in rows.without_repeats(self.rows(), programs) if "prefill" in row.key]

        self.assertEqual(len(names(contenders.Programs("mformer"))), 1)
        self.assertEqual(len(names(contenders.Programs("mformer", python="python"))), 2)
        self.assertEqual(len(names(contenders.Programs("mformer", python="python", clone="clone"))), 3)

    def test_the_small_models_of_a_quick_run_are_held_to_no_goal(self):
        row = rows.Row("row", rows.mformer("work"), rows.mformer("work"),
                       (rows.both("work", "seconds", "seconds", Goal("at_most", 1)),))
        with mock.patch.object(run, "measure", return_value={"seconds": 1.0}), mock.patch.object(run, "progress"):
            self.assertTrue(run.run_row(row, contenders.Programs("mformer"), 1)[0].met)
            self.assertIsNone(run.run_row(row, contenders.Programs("mformer"), 1, goals=False)[0].met)


class Processes(unittest.TestCase):
    def test_callers_settings_reach_nobody_and_peers_get_theirs(self):
        with mock.patch.dict(os.environ, {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1", "KEPT": "yes"}):
            ours = contenders.environment_of(rows.mformer("peaks"))
            theirs = contenders.environment_of(rows.peer("peer", "dense-1.4b"))
        for environment in (ours, theirs):
            self.assertNotIn("OMP_NUM_THREADS", environment)
            self.assertNotIn("MALLOC_ARENA_MAX", environment)
            self.assertEqual(environment["KEPT"], "yes")
        self.assertNotIn("MALLOC_MMAP_MAX_", ours)
        self.assertEqual(theirs["MALLOC_MMAP_MAX_"], "0")

    def test_a_process_that_fails_is_told_with_its_last_line(self):
        with self.assertRaisesRegex(contenders.Failed, r"mformer \(nothing\).*No such file"):
            contenders.measure(contenders.Programs("/bin/ls"), rows.mformer("nothing"))

    def test_the_busy_process_runs_meanwhile_and_is_gone_afterwards(self):
        started = []

        def remember(*arguments, **options):
            started.append(subprocess.Popen(*arguments, **options))
            return started[-1]

        with mock.patch.object(contenders, "subprocess", mock.Mock(Popen=remember)):
            with contenders.busy_core():
                self.assertIsNone(started[0].poll())
        self.assertIsNotNone(started[0].poll())


class Arguments(unittest.TestCase):
    def check(self, arguments, what):
        done = subprocess.run([BENCHMARKS / "run.sh", *arguments], capture_output=True, text=True)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertRegex(done.stderr, rf"\Aerror: {what}\nhint: .+\n\Z")

    def test_wrong_arguments_are_told_before_anything_is_built(self):
        self.check(["--repeat", "0"], "--repeat 0 is not a number of processes")
        self.check(["--repeat", "many"], "argument --repeat: invalid int value: 'many'")
        self.check(["--only", "train-float32-512,nothing"], "there is no row 'nothing'")
        self.check(["--only", "busy-extend"], "there is no row 'busy-extend'")
        self.check(["--python", "no-such-python"], "--python no-such-python is no program")
        self.check(["--reference", "."], "--reference needs --python")
        self.check(["--reference", str(ROOT), "--python", sys.executable], ".* has no folder moduleformer")
        self.check(["--fast"], "unrecognized arguments: --fast")


if __name__ == "__main__":
    unittest.main()
