"""Links between pages lead somewhere, their headings too."""

import re
import unittest

import pages


def anchor(heading):
    """As the hub makes it of a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def anchors(page):
    return {anchor(line.lstrip("#")) for line in page.read_text().splitlines() if line.startswith("#")}


class LinksTest(unittest.TestCase):
    def test_every_link_within_the_repository_leads_to_a_file_and_a_heading(self):
        tried = 0
        for page in pages.PAGES:
            for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
                if "://" in target:
                    continue
                file, _, heading = target.partition("#")
                there = (page.parent / file).resolve() if file else page
                with self.subTest(page=page.name, link=target):
                    self.assertTrue(there.exists())
                    if heading and there.suffix == ".md":
                        self.assertIn(heading, anchors(there))
                tried += 1
        self.assertGreater(tried, 100)

    def test_every_page_is_reached_from_the_readme(self):
        readme = (pages.ROOT / "README.md").read_text()
        for page in (pages.ROOT / "docs").glob("*.md"):
            with self.subTest(page=page.name):
                self.assertTrue(f"docs/{page.name}" in readme)


if __name__ == "__main__":
    unittest.main()
