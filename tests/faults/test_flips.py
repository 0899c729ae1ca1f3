"""A sample of what recipes/faults/run.sh does: single bits turned over anywhere in the registry and the objects."""

import unittest

import points  # noqa: F401  first: it tells where mformer.py lies
import flips


class FlipsTest(unittest.TestCase):
    def test_fsck_finds_every_flip_that_changes_anything(self):
        found, missed = flips.look_at_flips(60)
        self.assertEqual(missed, [])
        self.assertEqual({kind for kind, _ in found}, {"changes", "objects", "registry.db", "registry.db-wal"})

    def test_a_command_that_loads_a_damaged_object_refuses_it(self):
        self.assertEqual(flips.look_at_loads(4), [])

    def test_damaged_tokens_in_the_cache_are_made_anew(self):
        self.assertEqual(flips.look_at_tokens(3), [])


if __name__ == "__main__":
    unittest.main()
