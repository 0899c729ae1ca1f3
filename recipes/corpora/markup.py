"""Plain paragraphs from HTML, reStructuredText and Perl's pod."""

import re
from html.parser import HTMLParser

BLOCKS = {"p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "li", "ul", "ol", "dl", "dt", "dd", "tr", "td", "th", "table",
          "pre", "br", "blockquote", "section"}
HIDDEN = {"script", "style", "head", "header", "footer", "nav", "noscript"}
OTHER_SYSTEMS = {"MAC", "UNIX", "WIN"}  # variants of a phrase in LibreOffice's help; the default one is kept


class _Paragraphs(HTMLParser):
    def __init__(self):
        super().__init__()
        self.paragraphs, self.words = [], []
        self.hidden = 0
        self.spans = []  # for every open <span>: whether it hides its contents

    def handle_starttag(self, tag, attributes):
        if tag in HIDDEN:
            self.hidden += 1
        elif tag in BLOCKS:
            self.end_paragraph()
        elif tag == "span":
            hides = bool(OTHER_SYSTEMS & set((dict(attributes).get("class") or "").split()))
            self.spans.append(hides)
            self.hidden += hides

    def handle_endtag(self, tag):
        if tag in HIDDEN:
            self.hidden = max(0, self.hidden - 1)
        elif tag in BLOCKS:
            self.end_paragraph()
        elif tag == "span" and self.spans:
            self.hidden -= self.spans.pop()

    def handle_data(self, data):
        if not self.hidden:
            self.words.append(data)

    def end_paragraph(self):
        text = " ".join("".join(self.words).split())
        if text:
            self.paragraphs.append(text)
        self.words = []


def html_paragraphs(html):
    parser = _Paragraphs()
    parser.feed(html)
    parser.close()
    parser.end_paragraph()
    return parser.paragraphs


def _rst_inline(text):
    text = re.sub(r":[\w:+.-]+:`[!~]?([^`<]*?)\s*(?:<[^`>]*>)?`", r"\1", text)
    text = re.sub(r"`([^`<]*?)\s*<[^`>]*>`__?", r"\1", text)
    text = re.sub(r"\|(\w[^|]*)\|", r"\1", text)
    return re.sub(r"`{1,2}([^`]+)`{1,2}_{0,2}|\*{1,2}(\S[^*]*)\*{1,2}", lambda m: m[1] or m[2], text)


def rst_paragraphs(rst, min_length=1):
    """Titles and prose; directives, tables, comments and literal blocks go."""
    literal_indent = None  # of the paragraph that announced a literal block
    for block in re.split(r"\n\s*\n", rst):
        lines = block.strip("\n").split("\n")
        indent = len(lines[0]) - len(lines[0].lstrip())
        if literal_indent is not None and indent > literal_indent:
            continue
        literal_indent = indent if block.rstrip().endswith("::") or re.match(r"\s*\.\. (code|productionlist|doctest)",
                                                                            block) else None
        lines = [line.strip() for line in lines if not re.fullmatch(r"\s*([=\-~^\"'*#+.])\1{2,}\s*", line)]
        text = " ".join(lines)
        if not text or re.match(r"\.\.|:|>>>|\+[-=]|\||=+ =", text) or len(text) < min_length:
            continue
        yield re.sub(r"\s*::$", ":", _rst_inline(text)).replace(r"\ ", "").replace("\\", "")


def pod_inline(text):
    """Perl's pod markup, innermost first: C<code>, L<text|target>, E<gt>."""
    text = text.replace("E<gt>", "\1").replace("E<lt>", "\2")
    while True:
        plain = re.sub(r"[A-Z]<<+ (.*?) >>+|L<([^<>|]*)\|[^<>]*>|[A-Z]<([^<>]*)>",
                       lambda m: next(group for group in m.groups() if group is not None), text, flags=re.S)
        if plain == text:
            return text.replace("\1", ">").replace("\2", "<")
        text = plain
