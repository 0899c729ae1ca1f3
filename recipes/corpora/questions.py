"""Question and answer pairs from BSD's quiz and two FAQs. A reader yields (question, answer)."""

import re

from markup import pod_inline, rst_paragraphs

LONGEST_ANSWER = 900  # characters: whole paragraphs up to here

# Quiz file -> (column asked, column answered, question); columns as in its index.
QUIZ = {
    "africa": [(0, 1, "What is the capital of {}?"), (1, 0, "{} is the capital of which African country?")],
    "america": [(0, 1, "What is the capital of {}?"), (1, 0, "{} is the capital of which American country?")],
    "asia": [(0, 1, "What is the capital of {}?"), (1, 0, "{} is the capital of which Asian country?")],
    "europe": [(0, 1, "What is the capital of {}?"), (1, 0, "{} is the capital of which European country?")],
    "province": [(0, 1, "What is the capital of the Canadian province {}?")],
    "midearth": [(0, 1, "What is the capital of {} in Middle-earth?")],
    "state": [(0, 1, "What is the capital of the state {}?"), (0, 2, "What is the abbreviation of the state {}?"),
              (0, 3, "What is the state flower of {}?"), (1, 0, "{} is the capital of which state?")],
    "areas": [(0, 1, "Which region has the area code {}?")],
    "arith": [(0, 1, "What completes {}?")],
    "mult": [(0, 1, "What is {}?")],
    "babies": [(0, 1, "A {} is the young of which animal?")],
    "bard": [(0, 1, "Which line of Shakespeare follows \"{}\"?"), (0, 2, "Which work of Shakespeare has the line \"{}\"?"),
             (0, 3, "Who says \"{}\" in Shakespeare?")],
    "chinese": [(0, 1, "Which year follows the year of the {} in the Chinese calendar?")],
    "collectives": [(0, 1, "What is a group of {} called?")],
    "elements": [(0, 3, "Which element has the symbol {}?"), (3, 0, "What is the chemical symbol of {}?"),
                 (3, 1, "What is the atomic number of {}?"), (1, 3, "Which element has the atomic number {}?"),
                 (3, 2, "What is the atomic weight of {}?")],
    "flowers": [(0, 1, "What does the flower {} mean?")],
    "inca": [(0, 1, "Which Inca succeeded {}?")],
    "latin": [(0, 1, "What does the Latin word {} mean?")],
    "locomotive": [(0, 1, "What is a locomotive with the wheels {} called?")],
    "morse": [(0, 1, "What is the Morse code of {}?")],
    "murders": [(0, 1, "Who killed {}?")],
    "poetry": [(0, 1, "Which line of poetry follows \"{}\"?"), (0, 2, "Which poem has the line \"{}\"?"),
               (0, 3, "Who wrote \"{}\"?")],
    "posneg": [(0, 1, "What is the opposite of {}?"), (1, 0, "What is the opposite of {}?")],
    "pres": [(0, 1, "When was {} president of the United States?"), (0, 2, "Who was vice president under {}?"),
             (0, 3, "Who succeeded {} as president of the United States?")],
    "seq-easy": [(0, 1, "What comes next: {}?"), (0, 2, "What are the numbers {} called?")],
    "seq-hard": [(0, 1, "What comes next: {}?"), (0, 2, "What are the numbers {} called?")],
    "sexes": [(0, 1, "What is the female of {}?"), (1, 0, "What is the male of {}?")],
    "sov": [(0, 1, "In which century did {} begin to reign?"), (0, 2, "Who succeeded {} on the English throne?")],
    "trek": [(0, 1, "In Star Trek: {}?")],
    "ucc": [(0, 1, "What is section {} of the Uniform Commercial Code about?")],
}


def plain(pattern):
    """The full form of a quiz pattern: {optional} parts stay, the first of [several|variants] is taken."""
    return " ".join(_alternative(pattern, 0)[0].split())


def _alternative(pattern, i):
    """Parses up to the end or the bracket that closes this level; returns its first alternative and where it stopped."""
    variants = [""]
    while i < len(pattern) and pattern[i] not in "]}":
        if pattern[i] == "|":
            variants.append("")
            i += 1
        elif pattern[i] in "[{":
            inner, i = _alternative(pattern, i + 1)
            variants[-1] += inner
            i += 1
        else:
            i += pattern[i] == "\\"
            variants[-1] += pattern[i:i + 1]
            i += 1
    return variants[0], i


def quiz(package):
    folder = package / "usr/share/games/bsdgames/quiz"
    for name, templates in QUIZ.items():
        text = (folder / name).read_text(encoding="utf-8", errors="replace").replace("\\\n", "")
        text = re.sub(r"\{\(.*?\)\}", "", text)  # remarks on the answers of number sequences
        rows = [[plain(column) for column in line.split(":")] for line in text.splitlines()]
        for asked, answered, template in templates:
            for row in rows:
                if max(asked, answered) < len(row) and row[asked] and row[answered]:
                    yield template.format(row[asked]), row[answered]


def shortened(paragraphs):
    """Whole paragraphs while they fit; at least the first."""
    answer = ""
    for paragraph in paragraphs:
        if answer and len(answer) + len(paragraph) > LONGEST_ANSWER:
            break
        answer = answer + "\n\n" + paragraph if answer else paragraph
    return answer


def perl_faq(package):
    for path in sorted((package / "usr/share/perl").glob("*/pod/perlfaq[1-9].pod")):
        for section in re.split(r"^=head2 ", path.read_text(encoding="utf-8", errors="replace"), flags=re.M)[1:]:
            question, _, body = section.partition("\n")
            body = re.split(r"^=head1", body, flags=re.M)[0]
            blocks = [block for block in re.split(r"\n\s*\n", body.strip()) if block and not block.startswith("=")]
            paragraphs = [block if block[0].isspace() else " ".join(pod_inline(block).split()) for block in blocks]
            if question.rstrip().endswith("?") and paragraphs:
                yield " ".join(pod_inline(question).split()), shortened(paragraphs)


def python_faq(package):
    for path in sorted((package / "usr/share/doc/python3.11/html/_sources/faq").glob("*.rst.txt")):
        text = path.read_text(encoding="utf-8", errors="replace")
        # A title is a line with a line of dashes, dots or equals signs below it.
        parts = re.split(r"^(\S[^\n]*)\n([-=.~])\2{3,}$", text, flags=re.M)
        for title, body in zip(parts[1::3], parts[3::3]):
            paragraphs = list(rst_paragraphs(body))
            if title.endswith("?") and paragraphs:
                yield " ".join(next(rst_paragraphs(title)).split()), shortened(paragraphs)
