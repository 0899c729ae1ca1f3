"""docs/guarantees.md: every test that it names exists."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/guarantees.md").read_text()


def tests_of_the_project():
    """`Suite.Test` of GoogleTest, and `module.test_name` of Python."""
    names = set()
    for path in (ROOT / "tests").rglob("*_test.cpp"):
        names |= {".".join(found) for found in re.findall(r"\bTEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\s*\)", path.read_text())}
    for path in (ROOT / "tests").rglob("*.py"):
        names |= {f"{path.stem}.{name}" for name in re.findall(r"def (test_\w+)", path.read_text())}
    return names


def rows():
    """[promise, where it is printed, tests] of every row of every table."""
    lines = [line for line in PAGE.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [row for row in cells if row[0] != "promise" and set(row[0]) != {"-"}]


class GuaranteesTest(unittest.TestCase):
    def test_every_test_that_is_named_exists(self):
        there = tests_of_the_project()
        self.assertGreater(len(there), 500)
        for promise, _, tests in rows():
            for name in re.findall(r"`([^`]+)`", tests):
                self.assertIn(name, there, promise)

    def test_every_promise_says_where_it_is_printed_and_names_a_test(self):
        self.assertGreater(len(rows()), 30)
        for row in rows():
            self.assertEqual(len(row), 3, row)
            self.assertRegex(row[2], r"`\w+\.\w+`", row[0])
            for path in re.findall(r"[\w/-]+\.(?:md|h|cpp)\b", row[1]):
                self.assertTrue((ROOT / path).exists(), f"{path}: {row[0]}")


if __name__ == "__main__":
    unittest.main()
