"""Every test program that uses a device carries the label `gpu`, by which recipes/gpu_check finds it."""

import re
import unittest
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
DEVICE = re.compile(r'#include "tests/(kernels/device/gpu|kernels/device/both_devices|support/make_believe_device)\.h"')
CALL = re.compile(r"mformer_test\((\w+)([^)]*)\)")


class GpuLabelsTest(unittest.TestCase):
    def test_programs_that_use_a_device_are_labelled(self):
        found = set()
        for file in sorted(TESTS.rglob("CMakeLists.txt")):
            for program, arguments in CALL.findall(file.read_text(encoding="utf-8")):
                names = [word for word in arguments.split() if word.endswith(".cpp")]
                sources = "".join((file.parent / name).read_text(encoding="utf-8") for name in names)
                if DEVICE.search(sources) or "make_believe_device" in arguments.split():
                    found.add(program)
                    self.assertRegex(arguments, r"\bLABELS gpu\b", f"{program} uses a device")
        self.assertGreaterEqual(len(found), 4)

    def test_the_recipe_runs_them_by_that_label(self):
        recipe = (TESTS.parent / "recipes/gpu_check/run.sh").read_text(encoding="utf-8")
        self.assertRegex(recipe, r"ctest .*--no-tests=error.* -L gpu\b")


if __name__ == "__main__":
    unittest.main()
