"""A page read back: its elements, its table's cells, and what is embedded in it."""

import base64
import gzip
import json
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

VOID = ("meta", "link", "input")


@dataclass
class Element:
    """One element with all the text in it that is seen."""

    name: str
    attributes: dict[str, str | None]
    text: str = ""


class Page(HTMLParser):
    """The elements of a page in their order, and the cells of its table by line."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self.lines: list[list[Element]] = []
        self._open: list[Element] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        self.elements.append(element)
        if tag == "tr":
            self.lines.append([])
        elif tag in ("th", "td"):
            self.lines[-1].append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().name == tag

    def handle_data(self, data: str) -> None:
        is_unseen = bool(self._open) and self._open[-1].attributes.get("class") == "pad"
        for element in self._open[-1:] if is_unseen else self._open:
            element.text += data

    def all(self, name: str, **attributes: str) -> list[Element]:
        """The elements of a name that have these attributes."""
        return [
            element
            for element in self.elements
            if element.name == name and attributes.items() <= element.attributes.items()
        ]

    def embedded(self, name: str) -> Any:
        (script,) = self.all("script", id=name)
        return json.loads(script.text)

    def files(self) -> dict[str, bytes]:
        """What can be saved, by name."""
        return {
            file["name"]: gzip.decompress(base64.b64decode(file["gzip"])) for file in self.embedded("files")
        }
