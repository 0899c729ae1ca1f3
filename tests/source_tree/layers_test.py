"""The folders are the architecture: cli -> core -> {kernels, modules_registry}, and no include points upwards."""

import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# A file may include files of its own folder and of the folders named here, which are all below it.
BELOW = {
    "modules_registry": (),
    "kernels": (),
    "core/device": ("modules_registry",),
    "core/parallel": ("modules_registry",),
    "core/formats": ("modules_registry",),
    "core/families": ("core/formats", "modules_registry"),
    "core/text": ("core/formats", "modules_registry"),
    "core/model": ("core/parallel", "core/formats", "kernels", "modules_registry"),
    "core/checkpoint": ("core/model", "core/families", "core/formats", "kernels", "modules_registry"),
    "core/training": ("core/checkpoint", "core/model", "core/parallel", "core/families", "core/text", "core/formats", "kernels", "modules_registry"),
    "core/decoding": ("core/training", "core/checkpoint", "core/model", "core/text", "core/formats", "kernels", "modules_registry"),
    "core/workspace": ("core/training", "core/checkpoint", "core/model", "core/families", "core/text", "core/formats",
                       "core/device", "core/parallel", "kernels", "modules_registry"),
    "core/transfer": ("core/workspace", "modules_registry"),
    "core/history": ("core/workspace", "core/checkpoint", "core/model", "core/formats", "modules_registry"),
    "core/surgery": ("core/history", "core/workspace", "core/training", "core/checkpoint", "core/model", "core/formats",
                     "kernels", "modules_registry"),
    "core/workflows": ("core/surgery", "core/decoding", "core/history", "core/workspace", "core/training",
                       "core/checkpoint", "core/model", "core/families", "core/text", "core/formats", "core/device",
                       "core/parallel", "kernels", "modules_registry"),
    "core/serving": ("core/workflows", "core/workspace", "core/decoding", "core/model", "core/text", "core/formats", "kernels", "modules_registry"),
    "cli": ("core", "kernels", "modules_registry"),
}
WITHOUT_TENSORS = ("modules_registry", "core/formats", "core/families", "core/text", "cli/terminal")
AT_ONCE = ("completion.cpp", "fsck.cpp", "gc.cpp", "log.cpp", "man_pages.cpp", "model.cpp", "models.cpp", "move.cpp", "redo.cpp", "tag.cpp", "task_names.cpp", "tasks.cpp", "transfer.cpp", "transfer_peer.cpp", "undo.cpp", "use.cpp")
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<((?:ATen|c10|torch)/[^>]+)>)', re.MULTILINE)
# What talks to the outside belongs to cli: core and what is below it throws, and takes what it needs as arguments.
OUTSIDE = re.compile(r"std::(cout|cerr|clog)\b|\b(std::)?(printf|puts|getenv)\(|#\s*include <(iostream|CLI/)")


def sources(folder):
    return [path for path in sorted((ROOT / folder).rglob("*")) if path.suffix in (".h", ".cpp", ".cu")]


def folder_of(path):
    return max((folder for folder in BELOW if path.startswith(folder + "/")), key=len, default=None)


class LayersTest(unittest.TestCase):
    def includes(self):
        for top in ("modules_registry", "kernels", "core", "cli"):
            for path in sources(top):
                name = path.relative_to(ROOT).as_posix()
                for own, tensors in INCLUDE.findall(path.read_text(encoding="utf-8")):
                    yield name, own, tensors

    def test_every_folder_of_ours_has_a_place(self):
        for top in ("modules_registry", "kernels", "core", "cli"):
            for path in sources(top):
                self.assertIsNotNone(folder_of(path.relative_to(ROOT).as_posix()), path)

    def test_no_include_points_upwards(self):
        seen = 0
        for name, own, _ in self.includes():
            if not own or not own.startswith(("cli/", "core/", "kernels/", "modules_registry/")):
                continue
            here, there = folder_of(name), folder_of(own)
            seen += 1
            allowed = here == there or any(own.startswith(below + "/") for below in BELOW[here])
            self.assertTrue(allowed, f"{name} includes {own}, which is not below it")
        self.assertGreater(seen, 500, "the includes were not found")

    def test_what_knows_no_tensors_includes_none(self):
        for name, _, tensors in self.includes():
            if tensors:
                self.assertFalse(name.startswith(tuple(folder + "/" for folder in WITHOUT_TENSORS)),
                                 f"{name} includes {tensors}")

    def test_what_starts_at_once_reaches_no_tensors(self):
        """The commands that bin/mformer runs itself, and all that they include."""
        tensors, own = {}, {}
        for name, ours, theirs in self.includes():
            (own if ours else tensors).setdefault(name, []).append(ours or theirs)
        left = [path.relative_to(ROOT).as_posix() for path in sources("cli") if path.name in AT_ONCE]
        self.assertEqual(len(left), len(AT_ONCE))
        seen = set()
        while left:
            name = left.pop()
            self.assertNotIn(name, tensors, f"{name} includes {tensors.get(name)}")
            left += [other for other in own.get(name, []) if other not in seen]
            seen.update(own.get(name, []))

    def test_what_computes_asks_for_no_family(self):
        for folder in ("kernels", "core/model", "core/training", "core/decoding", "core/surgery", "core/text"):
            for path in sources(folder):
                found = re.search(r"core/families/|\bfamily\b\s*[=!]=|\.family\b|family_of\(", path.read_text(encoding="utf-8"))
                self.assertIsNone(found, f"{path.relative_to(ROOT)}: {found and found.group()}")

    def test_only_the_command_line_talks_to_the_terminal_and_the_environment(self):
        for top in ("modules_registry", "kernels", "core"):
            for path in sources(top):
                if path.is_relative_to(ROOT / "kernels/bench"):
                    continue  # programs of their own
                found = OUTSIDE.search(path.read_text(encoding="utf-8"))
                self.assertIsNone(found, f"{path.relative_to(ROOT)}: {found and found.group()}")


if __name__ == "__main__":
    unittest.main()
