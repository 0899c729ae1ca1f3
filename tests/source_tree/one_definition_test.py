"""A class name outside unnamed namespaces stands for one class: of two in one program the linker takes the functions of
either for both, without a word, and the other's objects are then read and destroyed as what they are not."""

import re
import unittest
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = re.compile(r"^namespace ([\w:]+) \{|^\}  // namespace ([\w:]+)$", re.MULTILINE)
UNNAMED = re.compile(r"^namespace \{.*?^\}  // namespace$", re.MULTILINE | re.DOTALL)
CLASS = re.compile(r"^(?:class|struct|enum class|union) (\w+)(?: final)?(?: :[^;{]*)? \{", re.MULTILINE)


def classes(text):
    """Those that the text defines at the top level of named namespaces, with the name of the namespace in front."""
    text = UNNAMED.sub("", text)
    places = [(match.start(), match) for pattern in (NAMESPACE, CLASS) for match in pattern.finditer(text)]
    inside = []
    for _, match in sorted(places, key=lambda place: place[0]):
        if match.re is CLASS:
            yield "::".join([*inside, match[1]])
        elif match[1]:
            inside.append(match[1])
        elif inside:
            inside.pop()


class OneDefinitionTest(unittest.TestCase):
    def test_each_class_name_is_defined_once(self):
        places = defaultdict(list)
        for top in ("modules_registry", "kernels", "core", "cli", "tests"):
            for path in sorted((ROOT / top).rglob("*")):
                if path.suffix in (".h", ".cpp", ".cu"):
                    for name in classes(path.read_text(encoding="utf-8")):
                        places[name].append(path.relative_to(ROOT).as_posix())
        self.assertGreater(len(places), 400)  # the patterns find what there is
        self.assertEqual({name: files for name, files in places.items() if len(files) > 1}, {})

    def test_two_of_a_name_are_found_and_local_ones_are_not(self):
        text = ("namespace a {\nnamespace {\nstruct Local {\n};\n}  // namespace\nclass Open : public X {\n};\n"
                "namespace b {\nstruct Inner {\n};\n}  // namespace b\nclass Declared;\n}  // namespace a\n")
        self.assertEqual(list(classes(text)), ["a::Open", "a::b::Inner"])


if __name__ == "__main__":
    unittest.main()
