"""Keep the finished parts of a batch prediction beside its output, so that a run that ended early can go on.

The folder ``.<name>.parts`` (mode 0700) holds ``plan.json``, ``manifest.jsonl``, what is decided of the input as a
whole (``whole.json``, ``contradicted.arrow``) and three files for each part: predictions, rejects and ids. Files are
written under a temporary name, forced to disk and renamed; then a line of the manifest, forced to disk too, says that
the part is finished. What no line names does not count.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from paincast.cohort.survey import Survey, WholeColumns
from paincast.errors import OutputError, PaincastError
from paincast.files import hash_file
from paincast.files.atomic import require_utf_8_name
from paincast.files.working_folder import (
    NEW,
    append_durably,
    durable_file,
    hold_working_folder,
    remove_working_folder,
    sweep_working_folder,
    sync_file,
    sync_folder,
)
from paincast.serving.batch.ids import NO_IDS, IdRun, read_ids, write_ids
from paincast.serving.batch.plan import list_changes
from paincast.serving.batch.tally import Tally

PLAN, MANIFEST = "plan.json", "manifest.jsonl"
WHOLE, CONTRADICTED = "whole.json", "contradicted.arrow"
REJECTS, IDS = ".rejects.csv", ".ids.arrow"
_INPUT_CHANGED = "PC-FILES-16"
_NOTHING_LEFT = "no partial output was left"
_DISCARDED = "an earlier run to the same output ended early; its parts, which --resume goes on with, were discarded"
_UNUSABLE = "an earlier run to the same output ended early; its parts cannot be used and were discarded"


@dataclass(frozen=True, kw_only=True)
class Part:
    """A finished part, as a line of the manifest tells it.

    Parameters
    ----------
    number : int
        Counted from 1.
    batches : int
        Batches of the input that it covers.
    files : dict of str to str
        Name and SHA-256 of each of its files.
    survey : Survey
        Counts of its rows, by which whole columns are decided on.
    columns : tuple of tuple of str
        Rejects of whole columns that occurred first in this part.
    tally : Tally
        Its counts.
    """

    number: int
    batches: int
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
            batches=int(plain["batches"]),
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
    contradicted : IdRun
        Ids whose rows differ: all of them are left out.
    is_compared : bool
        Whether the rows of all ids that several batches hold were compared.
    """

    columns: WholeColumns
    contradicted: IdRun = NO_IDS
    is_compared: bool = False


@dataclass
class PartsFolder:
    """The folder of the parts of one output.

    Parameters
    ----------
    target : Path
        The output.
    finished : list of Part
        Finished parts.
    whole : WholeInput or None
        By which they are made; None before the first batch.
    """

    target: Path
    finished: list[Part] = field(default_factory=list)
    whole: WholeInput | None = None
    is_prepared: bool = False

    @property
    def path(self) -> Path:
        """The folder."""
        return self.target.with_name(f".{self.target.name}.parts")

    @property
    def suffix(self) -> str:
        """Format of the output."""
        return self.target.suffix.lower()

    def prepare(self, plan: dict[str, Any], *, resume: bool) -> str:
        """Go on with the parts of an unfinished run, or discard them.

        Parameters
        ----------
        plan : dict
            Of this run, see :func:`paincast.serving.batch.plan.make_plan`.
        resume : bool
            Whether to go on.

        Returns
        -------
        str
            What the user should know; mostly empty.

        Raises
        ------
        OutputError
            If the parts of the unfinished run were made from something else.
        """
        manifest = self.path / MANIFEST
        is_unfinished = manifest.is_file() and manifest.stat().st_size > 0
        before = _read_plan(self.path / PLAN) if resume else None
        parts = self._read_finished() if before is not None else []
        changes = list_changes(before or {}, plan)
        if parts and changes:
            raise OutputError(
                f"cannot resume {self.target}: since the run that ended early this changed: {'; '.join(changes)}; "
                "restore it, or run without --resume to start anew",
                code="PC-SERVING-61",
            )
        self.whole = _read_whole(self.path) if parts else None
        parts = parts if self.whole else []
        self.is_prepared, self.finished = True, parts
        self._begin(None if parts else plan)
        if not is_unfinished or parts:
            return ""
        return _UNUSABLE if resume else _DISCARDED

    def _begin(self, plan: dict[str, Any] | None) -> None:
        """Remove what belongs to no finished part, and write the plan of a new run and the manifest."""
        if plan is not None:
            sweep_working_folder(self.path, keep=())
            with durable_file(self.path / PLAN) as draft:
                draft.write_text(json.dumps(plan, indent=1) + "\n", encoding="utf-8")
        with durable_file(self.path / MANIFEST) as draft:
            draft.write_text("".join(part.to_line() + "\n" for part in self.finished), encoding="utf-8")
        self.sweep()
        for folder in (self.path, self.path.parent):
            sync_folder(folder)

    def keep_whole(self, whole: WholeInput) -> None:
        """Keep what is decided of the input, before the first part is finished by it."""
        contradicted = whole.contradicted
        with durable_file(self.path / CONTRADICTED) as draft:
            write_ids(draft, contradicted.hashes, contradicted.ids, np.zeros(len(contradicted.hashes), dtype=bool))
        plain = {"columns": whole.columns.to_plain(), "is_compared": whole.is_compared}
        with durable_file(self.path / WHOLE) as draft:
            digest = hash_file(self.path / CONTRADICTED)
            draft.write_text(_seal({**plain, CONTRADICTED: digest}) + "\n", encoding="utf-8")
        sync_folder(self.path)
        self.whole = whole

    def start_again(self, whole: WholeInput) -> None:
        """Discard the parts, and begin again by what all of the input has shown."""
        self.finished = []
        self._begin(None)
        self.keep_whole(whole)

    def list_files(self, ending: str) -> list[Path]:
        """List the files of one kind of all finished parts, in their order."""
        return [self.path / f"{_name(part.number)}{ending}" for part in self.finished]

    def draft(self, ending: str) -> Path:
        """Return the temporary path of a file of the next part."""
        return self.path / f"{_name(len(self.finished) + 1)}{ending}{NEW}"

    def finish_part(self, **facts: Any) -> Part:
        """Force the files of a part to disk, give them their names, and record the part.

        Parameters
        ----------
        **facts
            Of :class:`Part`, without number and files.

        Returns
        -------
        Part
        """
        files = {}
        for ending in (self.suffix, REJECTS, IDS):
            draft = self.draft(ending)
            sync_file(draft)
            placed = draft.with_name(draft.name.removesuffix(NEW))
            draft.replace(placed)
            files[placed.name] = hash_file(placed)
        sync_folder(self.path)
        part = Part(number=len(self.finished) + 1, files=files, **facts)
        append_durably(self.path / MANIFEST, part.to_line())
        self.finished.append(part)
        return part

    def sweep(self) -> None:
        """Remove files that belong to no finished part."""
        decided = {WHOLE, CONTRADICTED} if self.finished else set()
        of_parts = [name for part in self.finished for name in part.files]
        sweep_working_folder(self.path, keep={PLAN, MANIFEST, *decided, *of_parts})

    def remove(self) -> None:
        """Remove the folder."""
        remove_working_folder(self.path, first=PLAN)

    def give_up(self, error: BaseException) -> str:
        """Keep what an error leaves to resume from, or remove the folder; returns in words what is left."""
        has_changed = isinstance(error, PaincastError) and error.code == _INPUT_CHANGED
        if self.finished and not has_changed and (self.path / PLAN).is_file():
            with suppress(OSError):
                self.sweep()
            return f"{_NOTHING_LEFT}; finished parts are kept in {self.path}: the same command with --resume goes on"
        if self.is_prepared or not (self.path / PLAN).is_file():
            self.remove()
        return _NOTHING_LEFT

    def _read_finished(self) -> list[Part]:
        """Read the manifest up to the first line that is not whole, or whose files are not as they were."""
        parts: list[Part] = []
        for line in _read_state(self.path / MANIFEST).splitlines(keepends=True):
            try:
                part = Part.from_line(line.decode()) if line.endswith(b"\n") else None
            except ValueError:
                part = None
            if part is None or part.number != len(parts) + 1 or not self._is_whole(part):
                break
            parts.append(part)
        return parts

    def _is_whole(self, part: Part) -> bool:
        names = {f"{_name(part.number)}{ending}" for ending in (self.suffix, REJECTS, IDS)}
        if set(part.files) != names:
            return False
        return _is_as_written({self.path / name: digest for name, digest in part.files.items()})


@contextmanager
def hold_parts(target: Path) -> Iterator[PartsFolder]:
    """Hold the parts of an output while they are made; a second run on the same output is refused.

    Raises
    ------
    OutputError
        If another run holds them, or something cannot be written. It says whether parts are kept to resume from; so
        do all errors that end the block, and an interruption.
    """
    folder = PartsFolder(target)
    require_utf_8_name(target)
    if target.is_dir():
        raise OutputError(f"cannot write {target}: it is a directory; give a file name", code="PC-SERVING-62")
    remains = _NOTHING_LEFT
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with hold_working_folder(folder.path):
            try:
                yield folder
            except BaseException as error:
                remains = folder.give_up(error)
                raise
    except OSError as error:
        raise OutputError(
            f"cannot write {target}: {error.strerror or error}; {remains}", code="PC-SERVING-60"
        ) from error
    except PaincastError as error:
        if remains == _NOTHING_LEFT:
            raise
        raise type(error)(_add(str(error), remains), code=error.code) from error
    except KeyboardInterrupt as stop:
        if remains == _NOTHING_LEFT:
            raise
        raise type(stop)(f"interrupted; {remains}") from None


def _add(message: str, remains: str) -> str:
    return f"{message.removesuffix('; ' + _NOTHING_LEFT)}; {remains}"


def _name(number: int) -> str:
    return f"part-{number:06}"


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


def _read_state(path: Path) -> bytes:
    """Read a file of the state; nothing where there is none, or what stands there is no file."""
    return path.read_bytes() if path.is_file() else b""


def _is_as_written(files: Mapping[Path, str]) -> bool:
    """Whether all files have their digests."""
    return all(file.is_file() and hash_file(file) == digest for file, digest in files.items())


def _read_whole(folder: Path) -> WholeInput | None:
    """Read what is decided of the input; None if it was not written in full."""
    try:
        plain = _unseal(_read_state(folder / WHOLE).decode())
    except ValueError:
        return None
    if not _is_as_written({folder / CONTRADICTED: plain[CONTRADICTED]}):
        return None
    return WholeInput(WholeColumns.from_plain(plain["columns"]), read_ids(folder / CONTRADICTED), plain["is_compared"])


def _read_plan(path: Path) -> dict[str, Any] | None:
    """Read a plan; None if there is none, or it was not written in full."""
    try:
        plan = json.loads(_read_state(path))
    except (ValueError, RecursionError):
        return None
    return plan if isinstance(plan, dict) else None
