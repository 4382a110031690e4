"""A page as a reader meets it: what is in it, in which order, and what it would load."""

import base64
import hashlib
import re
from html.parser import HTMLParser

VOID = {"meta", "img", "input", "br"}
SVG_VOID = {"rect", "path", "polyline"}
ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "div", "header", "main", "footer", "section",
    "article", "h1", "h2", "h3", "h4", "p", "span", "strong", "code", "mark", "ul", "ol", "li",
    "dl", "dt", "dd", "table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td", "figure",
    "figcaption", "img", "svg", "rect", "path", "polyline", "text",
}  # fmt: skip
"""The elements of a student's page."""


class Page(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.contents: dict[str, str] = {}
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert tag in SVG_VOID
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        inside = self._open[-1] if self._open else ""
        self.contents[inside] = self.contents.get(inside, "") + data
        if inside not in ("style", "script", "title"):
            self.words.append(data)

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")

    @property
    def text(self) -> str:
        """All that is shown, with single spaces."""
        return " ".join(" ".join(self.words).split())

    def tags(self) -> set[str]:
        return {tag for tag, _ in self.elements}

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def addresses(self) -> list[str]:
        names = ("src", "href", "srcset", "action", "data", "xlink:href", "poster", "background")
        return [a[name] for _, a in self.elements for name in names if name in a]

    def policy(self) -> dict[str, str]:
        (content,) = [
            a["content"]
            for a in self.of("meta")
            if a.get("http-equiv") == "Content-Security-Policy"
        ]
        return dict(part.strip().split(" ", 1) for part in content.split(";"))

    def headings(self) -> list[int]:
        return [int(tag[1]) for tag, _ in self.elements if re.fullmatch("h[1-6]", tag)]


def hash_of(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
