"""Read the resources of FHIR files one by one; what is no resource is a fault with its position."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from paincast.cohort.rejects import WHOLE_COLUMN
from paincast.errors import DataError
from paincast.files.inputs import require_regular_file

LINE_SUFFIXES = (".ndjson", ".jsonl")
BUNDLE_SUFFIX = ".json"
LARGEST_BUNDLE_BYTES = 200_000_000
LONGEST_LINE_BYTES = 20_000_000

NOT_JSON, NO_RESOURCE, TOO_LONG = "not JSON", "no resource", "line too long"


class Resource(NamedTuple):
    """A resource, its position in the file (a line, or an entry of a bundle) and its address in the bundle."""

    place: int
    content: Mapping[str, Any]
    full_url: str = ""

    @property
    def type(self) -> str:
        """Return the type of the resource."""
        return str(self.content["resourceType"])


class BadResource(NamedTuple):
    """Something in the place of a resource that is none; position 0 is the whole file."""

    place: int
    rule: str
    allowed: str


def find_files(given: Sequence[Path]) -> list[Path]:
    """List FHIR files: those given, and those in folders given.

    Raises
    ------
    DataError
        If a file has another suffix, or nothing is found.
    """
    suffixes = (BUNDLE_SUFFIX, *LINE_SUFFIXES)
    found: list[Path] = []
    for path in given:
        if path.is_dir():
            found += sorted(file for file in path.iterdir() if file.suffix.casefold() in suffixes)
        elif path.suffix.casefold() in suffixes:
            found.append(path)
        else:
            raise DataError(f"{path} is no FHIR file; allowed: {', '.join(suffixes)}, or a folder", code="PC-LONG-02")
    if not found:
        raise DataError(
            f"no FHIR file was given; give bundles ({BUNDLE_SUFFIX}), NDJSON ({', '.join(LINE_SUFFIXES)}) or a folder",
            code="PC-LONG-03",
        )
    return found


def read_resources(file: Path) -> Iterator[Resource | BadResource]:
    """Read the resources of a file: of NDJSON line by line, of a bundle all at once.

    Numbers become texts as they are written.

    Raises
    ------
    DataError
        If the file cannot be read, or a bundle is too large.
    """
    facts = require_regular_file(file, allowed="a FHIR file")
    if file.suffix.casefold() in LINE_SUFFIXES:
        yield from _read_lines(file)
        return
    if facts.st_size > LARGEST_BUNDLE_BYTES:
        raise DataError(
            f"{file} is too large for a bundle: more than {LARGEST_BUNDLE_BYTES:,} bytes; export NDJSON, a resource on "
            "each line",
            code="PC-LONG-04",
        )
    content = _parse(file.read_bytes())
    if isinstance(content, dict) and content.get("resourceType") == "Bundle":
        yield from _read_entries(content)
    else:
        yield _check(WHOLE_COLUMN if content is None else 1, content)


def _read_lines(file: Path) -> Iterator[Resource | BadResource]:
    place = 0
    with file.open("rb") as stream:
        while line := stream.readline(LONGEST_LINE_BYTES):
            place += 1
            if len(line) == LONGEST_LINE_BYTES and not line.endswith(b"\n"):
                while line and not line.endswith(b"\n"):
                    line = stream.readline(LONGEST_LINE_BYTES)
                yield BadResource(place, TOO_LONG, f"at most {LONGEST_LINE_BYTES:,} bytes in a line")
            elif line.strip():
                yield _check(place, _parse(line))


def _read_entries(bundle: Mapping[str, Any]) -> Iterator[Resource | BadResource]:
    entries = bundle.get("entry", [])
    for place, entry in enumerate(entries if isinstance(entries, list) else [None], 1):
        if not isinstance(entry, dict):
            yield BadResource(place, NO_RESOURCE, "an entry with a resource")
            continue
        checked = _check(place, entry.get("resource"))
        full_url = entry.get("fullUrl")
        if isinstance(checked, Resource) and isinstance(full_url, str):
            checked = checked._replace(full_url=full_url)
        yield checked


def _check(place: int, content: object) -> Resource | BadResource:
    if content is None:
        return BadResource(place, NOT_JSON, "a resource as JSON in UTF-8")
    if not isinstance(content, dict) or not isinstance(content.get("resourceType"), str):
        return BadResource(place, NO_RESOURCE, "a JSON object with resourceType")
    return Resource(place, content)


def _parse(text: bytes) -> object | None:
    """Parse JSON; None if it is not valid, or nested too deeply."""
    try:
        return json.loads(text.decode("utf-8-sig"), parse_float=str, parse_int=str, parse_constant=_refuse_constant)  # type: ignore[no-any-return]
    except (ValueError, RecursionError):
        return None


def _refuse_constant(word: str) -> None:
    raise ValueError(word)
