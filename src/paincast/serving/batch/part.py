"""A part of a batch prediction: its files, the line that says it is finished, and what it is made by."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from paincast.cohort.survey import Survey, WholeColumns
from paincast.files import hash_file
from paincast.files.working_folder import NEW, durable_file, sync_file, sync_folder
from paincast.serving.batch.ids import NO_IDS, IdRun, read_ids, write_ids
from paincast.serving.batch.tally import Tally

PLAN = "plan.json"
WHOLE, REPEATED = "whole.json", "repeated.arrow"
REJECTS, IDS, DONE = ".rejects.csv", ".ids.arrow", ".done"


@dataclass(frozen=True, kw_only=True)
class Part:
    """A finished part, as a line of the manifest tells it.

    Parameters
    ----------
    number : int
        Counted from 1, in the order of the rows.
    files : dict of str to str
        Name and SHA-256 of each of its files.
    survey : Survey
        Counts of its rows, by which whole columns are decided on.
    columns : tuple of tuple of str
        Rejects of whole columns.
    tally : Tally
        Its counts, without those rejects.
    """

    number: int
    files: dict[str, str]
    survey: Survey
    columns: tuple[tuple[Any, ...], ...]
    tally: Tally

    def to_line(self) -> str:
        """Write the line of the manifest."""
        return _seal({**vars(self), "survey": self.survey.to_plain(), "tally": self.tally.to_plain()})

    @classmethod
    def from_line(cls, line: str) -> Part:
        """Revert :meth:`to_line`.

        Raises
        ------
        ValueError
            If the line is not as it was written.
        """
        plain = _unseal(line)
        return cls(
            number=int(plain["number"]),
            files=dict(plain["files"]),
            survey=Survey.from_plain(plain["survey"]),
            columns=tuple(map(tuple, plain["columns"])),
            tally=Tally.from_plain(plain["tally"]),
        )


class WholeInput(NamedTuple):
    """What is decided of the input as a whole, by which each part is made.

    Parameters
    ----------
    columns : WholeColumns
        How its columns are read.
    repeated : IdRun
        Ids that several batches hold, with the place of the row that is kept, if any is.
    is_compared : bool
        Whether the rows of all ids that several batches hold were compared.
    """

    columns: WholeColumns
    repeated: IdRun = NO_IDS
    is_compared: bool = False


class PartFiles(NamedTuple):
    """The files of a part while it is made.

    Parameters
    ----------
    folder : Path
        Where the parts are kept.
    number : int
        Of the part.
    suffix : str
        Format of the predictions.
    attempt : str
        What tells its names from those of others who make the same part; empty for whoever holds the folder.
    """

    folder: Path
    number: int
    suffix: str
    attempt: str = ""

    def draft(self, ending: str) -> Path:
        """Return the temporary path of one of them."""
        return self.folder / f"{name_part(self.number)}{self.attempt}{ending}{NEW}"

    def place(self) -> dict[str, str]:
        """Force them to disk and give them their names; returns the names with the SHA-256 of each."""
        files = {}
        for ending in (self.suffix, REJECTS, IDS):
            draft = self.draft(ending)
            sync_file(draft)
            placed = draft.with_name(draft.name.removesuffix(NEW))
            draft.replace(placed)
            files[placed.name] = hash_file(placed)
        sync_folder(self.folder)
        return files

    def leave(self, stamp: str, **facts: Any) -> None:
        """Give them their names, and leave the line of the part for whoever holds the folder.

        Parameters
        ----------
        stamp : str
            From :func:`stamp_parts`, when the part was begun.
        **facts
            Of :class:`Part`, without number and files.
        """
        part = Part(number=self.number, files=self.place(), **facts)
        with durable_file(self.folder / f"{name_part(self.number)}.{stamp}{self.attempt}{DONE}") as draft:
            draft.write_text(part.to_line() + "\n", encoding="utf-8")
        sync_folder(self.folder)

    def remove(self) -> None:
        """Remove what was not finished."""
        for ending in (self.suffix, REJECTS, IDS):
            self.draft(ending).unlink(missing_ok=True)


def name_attempt() -> str:
    """Make a name that tells an attempt from all others."""
    return f".{secrets.token_hex(6)}"


def stamp_parts(folder: Path) -> str:
    """Digest what parts are made from: the plan, and what is decided of the whole input."""
    contents = b"".join((folder / name).read_bytes() for name in (PLAN, WHOLE, REPEATED))
    return hashlib.sha256(contents).hexdigest()[:16]


def read_part(line: bytes) -> Part | None:
    """Read a part from its line; None if that is not as it was written."""
    try:
        return Part.from_line(line.decode()) if line.endswith(b"\n") else None
    except ValueError:
        return None


def write_whole(folder: Path, whole: WholeInput) -> None:
    """Write what is decided of the input, before a part is finished by it."""
    with durable_file(folder / REPEATED) as draft:
        write_ids(draft, whole.repeated)
    plain = {"columns": whole.columns.to_plain(), "is_compared": whole.is_compared}
    with durable_file(folder / WHOLE) as draft:
        draft.write_text(_seal({**plain, REPEATED: hash_file(folder / REPEATED)}) + "\n", encoding="utf-8")
    sync_folder(folder)


def read_whole(folder: Path) -> WholeInput | None:
    """Read what is decided of the input; None if it was not written in full."""
    try:
        plain = _unseal(read_state(folder / WHOLE).decode())
    except ValueError:
        return None
    if not is_as_written({folder / REPEATED: plain[REPEATED]}):
        return None
    return WholeInput(WholeColumns.from_plain(plain["columns"]), read_ids(folder / REPEATED), plain["is_compared"])


def read_state(path: Path) -> bytes:
    """Read a file of the state; nothing where there is none, or what stands there is no file."""
    return path.read_bytes() if path.is_file() else b""


def is_as_written(files: Mapping[Path, str]) -> bool:
    """Whether all files have their digests."""
    return all(file.is_file() and hash_file(file) == digest for file, digest in files.items())


def _seal(plain: Mapping[str, Any]) -> str:
    """Write a line of JSON behind its digest, by which one that was changed or torn is known."""
    text = json.dumps(plain, ensure_ascii=True)
    return f"{hashlib.sha256(text.encode()).hexdigest()} {text}"


def _unseal(line: str) -> dict[str, Any]:
    """Revert :func:`_seal`; a ValueError if the line is another."""
    digest, _, text = line.rstrip("\n").partition(" ")
    if hashlib.sha256(text.encode()).hexdigest() != digest:
        raise ValueError
    plain: dict[str, Any] = json.loads(text)
    return plain


def name_part(number: int) -> str:
    """Name a part by its number."""
    return f"part-{number:06}"
