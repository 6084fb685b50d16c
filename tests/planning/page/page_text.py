"""Read what a page says, as its reader does."""

from __future__ import annotations

from html.parser import HTMLParser

BLOCKS = ("p", "li", "h1", "h2", "h3", "h4", "h5", "td", "th", "dt", "dd", "legend", "label", "figcaption", "title")
SILENT = ("style", "svg")


class _Reader(HTMLParser):
    def __init__(self, without: tuple[str, ...]) -> None:
        super().__init__()
        self.without, self.depth, self.parts = (*SILENT, *without), 0, [""]

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002
        self.depth += tag in self.without
        if tag in BLOCKS:
            self.parts.append("")

    def handle_endtag(self, tag: str) -> None:
        self.depth -= tag in self.without
        if tag in BLOCKS:
            self.parts.append("")

    def handle_data(self, data: str) -> None:
        if not self.depth:
            self.parts[-1] += data


def list_blocks(page: str, without: tuple[str, ...] = ()) -> list[str]:
    reader = _Reader(without)
    reader.feed(page)
    return [" ".join(part.split()) for part in reader.parts if part.strip()]


def read_text(page: str, without: tuple[str, ...] = ("ol",)) -> str:
    """Read the sentences; a heading or a cell ends one. Titles of publications are not read: nobody wrote them here."""
    return " ".join(part if part[-1] in ".?!:" else f"{part}." for part in list_blocks(page, without))
