"""HTML read by a parser: its elements in order, each with its attributes and its text."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset({"meta", "input", "br", "rect"})  # elements without an end; rect is written so


@dataclass(slots=True)
class Element:
    """One element of a page."""

    tag: str
    attributes: dict[str, str]
    inside: tuple[str, ...]  # the tags above it
    parts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Give all text in it, in one line."""
        return " ".join("".join(self.parts).split())

    @property
    def classes(self) -> list[str]:
        """Give the classes that it is drawn by."""
        return self.attributes.get("class", "").split()


class Page(HTMLParser):
    """A parsed page; one that does not close what it opens is none."""

    def __init__(self, text: str) -> None:
        """Parse a whole page."""
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self.comments: list[str] = []
        self._open: list[Element] = []
        self.feed(text)
        self.close()
        assert self._open == [], f"not closed: {[element.tag for element in self._open]}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element."""
        assert len({name for name, _ in attrs}) == len(attrs), f"<{tag}> has an attribute twice: {attrs}"
        element = Element(tag, {name: value or "" for name, value in attrs}, tuple(each.tag for each in self._open))
        self.elements.append(element)
        self.handle_data(" ")
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take an element that is closed at once."""
        assert tag in VOID
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        """Close an element: always the one that was opened last."""
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop().tag == tag
        self.handle_data(" ")

    def handle_data(self, data: str) -> None:
        """Add text to all elements around it."""
        for element in self._open:
            element.parts.append(data)

    def handle_comment(self, data: str) -> None:
        """Remember a comment."""
        self.comments.append(data)

    @property
    def shape(self) -> list[tuple[str, tuple[str, ...]]]:
        """Give what a text in the page must never change: elements in order, with the names of their attributes."""
        return [(element.tag, tuple(element.attributes)) for element in self.elements]

    def all(self, tag: str, css_class: str | None = None) -> list[Element]:
        """Find elements by tag and class."""
        return [one for one in self.elements if one.tag == tag and (css_class is None or css_class in one.classes)]

    def by_id(self, name: str) -> Element:
        """Find the one element of that id."""
        (found,) = [one for one in self.elements if one.attributes.get("id") == name]
        return found
