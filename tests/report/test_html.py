"""The page as a file: what it holds, that names in it are harmless, and that it asks no host for anything."""

from html.parser import HTMLParser
from pathlib import Path

RESULTS = Path(__file__).parents[2] / "results"
HOSTILE = "</script><img src=x onerror=alert(1)>"
TIMES = {"msa": [0.4, 0.41, 0.39, 0.4, 0.4], "hilo": [0.2, 0.21, 0.19, 0.2, 0.2]}


class Page(HTMLParser):
    """Elements of a page with their attributes, the texts of its table's cells, and its embedded data."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.lines: list[list[str]] = []
        self._open: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        self._open = tag
        if tag == "tr":
            self.lines.append([])
        elif tag in ("td", "th") and self.lines:
            self.lines[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self._open = None

    def handle_data(self, text: str) -> None:
        self.texts.setdefault(self._open or "", []).append(text)
        if self.lines and self.lines[-1]:
            self.lines[-1][-1] += text
