"""A sample of what recipes/faults/run.sh does: many processes in one workspace, some of them killed."""

import unittest

import points  # noqa: F401  first: it tells where mformer.py lies
import crowd


class CrowdTest(unittest.TestCase):
    maxDiff = None

    def test_what_a_crowd_of_processes_made_is_all_there(self):
        made = crowd.crowd_for(8, 6)
        self.assertEqual(made.problems, [])
        self.assertGreater(sum(made.said.values()), 20, made.said)


if __name__ == "__main__":
    unittest.main()
