"""Keep the finished parts of a batch prediction beside its output, so that a run that ended early can go on.

The folder ``.<name>.parts`` (mode 0700) holds ``plan.json``, ``manifest.jsonl``, what is decided of the input as a
whole (``whole.json``, ``repeated.arrow``) and three files for each part: predictions, rejects and ids. Files are
written under a temporary name, forced to disk and renamed; then a line of the manifest, forced to disk too, says that
the part is finished. What no line names does not count.

A part may be made by another process, which leaves the line in a file of its own (``.done``) for whoever holds the
folder. Its files have names that no other attempt has, so that the same part may be made twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paincast.errors import OutputError, PaincastError
from paincast.files.atomic import require_utf_8_name
from paincast.files.working_folder import (
    append_durably,
    durable_file,
    hold_working_folder,
    remove_working_folder,
    sweep_working_folder,
    sync_folder,
)
from paincast.serving.batch.part import (
    DONE,
    IDS,
    PLAN,
    REJECTS,
    REPEATED,
    WHOLE,
    Part,
    PartFiles,
    WholeInput,
    is_as_written,
    name_part,
    read_part,
    read_state,
    read_whole,
    stamp_parts,
    write_whole,
)
from paincast.serving.batch.plan import list_changes

MANIFEST = "manifest.jsonl"
_INPUT_CHANGED = "PC-FILES-16"
_NOTHING_LEFT = "no partial output was left"
_DISCARDED = "an earlier run to the same output ended early; its parts, which --resume goes on with, were discarded"
_UNUSABLE = "an earlier run to the same output ended early; its parts cannot be used and were discarded"


@dataclass
class PartsFolder:
    """The folder of the parts of one output.

    Parameters
    ----------
    target : Path
        The output.
    finished : dict of int to Part
        Finished parts by number.
    whole : WholeInput or None
        By which they are made; None before the first batch.
    stamp : str
        From :func:`paincast.serving.batch.part.stamp_parts`; empty before the first batch.
    """

    target: Path
    finished: dict[int, Part] = field(default_factory=dict)
    whole: WholeInput | None = None
    stamp: str = ""
    is_prepared: bool = False

    @property
    def path(self) -> Path:
        """The folder."""
        return self.target.with_name(f".{self.target.name}.parts")

    @property
    def parts(self) -> list[Part]:
        """Finished parts in their order."""
        return [self.finished[number] for number in sorted(self.finished)]

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
        is_unfinished |= any(self.path.glob(f"*{DONE}"))
        before = _read_plan(self.path / PLAN) if resume else None
        self.whole = None if before is None else read_whole(self.path)
        if self.whole is not None:
            self.stamp = stamp_parts(self.path)
            self._read_finished()
            self.adopt()
        changes = list_changes(before or {}, plan)
        if self.finished and changes:
            raise OutputError(
                f"cannot resume {self.target}: since the run that ended early this changed: {'; '.join(changes)}; "
                "restore it, or run without --resume to start anew",
                code="PC-SERVING-61",
            )
        self.whole = self.whole if self.finished else None
        self.is_prepared = True
        self._begin(None if self.finished else plan)
        if not is_unfinished or self.finished:
            return ""
        return _UNUSABLE if resume else _DISCARDED

    def _begin(self, plan: dict[str, Any] | None) -> None:
        """Remove what belongs to no finished part, and write the plan of a new run and the manifest."""
        if plan is not None:
            sweep_working_folder(self.path, keep=())
            with durable_file(self.path / PLAN) as draft:
                draft.write_text(json.dumps(plan, indent=1) + "\n", encoding="utf-8")
        with durable_file(self.path / MANIFEST) as draft:
            draft.write_text("".join(part.to_line() + "\n" for part in self.parts), encoding="utf-8")
        self.sweep()
        for folder in (self.path, self.path.parent):
            sync_folder(folder)

    def keep_whole(self, whole: WholeInput) -> None:
        """Keep what is decided of the input, before the first part is finished by it."""
        write_whole(self.path, whole)
        self.whole, self.stamp = whole, stamp_parts(self.path)

    def start_again(self, whole: WholeInput) -> None:
        """Discard the parts, and begin again by what all of the input has shown."""
        self.finished = {}
        self._begin(None)
        self.keep_whole(whole)

    def list_files(self, ending: str) -> list[Path]:
        """List the files of one kind of all finished parts, in their order."""
        return [self.find_file(part, ending) for part in self.parts]

    def find_file(self, part: Part, ending: str) -> Path:
        """Find the file of one kind of a part."""
        return self.path / next(name for name in part.files if name.endswith(ending))

    def finish_part(self, draft: PartFiles, **facts: Any) -> Part:
        """Give the files of a part their names, and record it.

        Parameters
        ----------
        draft : PartFiles
            Its files, written in full.
        **facts
            Of :class:`Part`, without number and files.

        Returns
        -------
        Part
        """
        part = Part(number=draft.number, files=draft.place(), **facts)
        self._record(part)
        return part

    def adopt(self) -> list[Part]:
        """Record the parts that other processes have finished by the same plan.

        Returns
        -------
        list of Part
            Those that were not finished before.
        """
        adopted = []
        for path in sorted(self.path.glob(f"*.{self.stamp}.*{DONE}")):
            part = read_part(path.read_bytes())
            if part is None or part.number in self.finished:
                path.unlink()
            elif self._is_whole(part):
                self._record(part)
                adopted.append(part)
                path.unlink()
        return adopted

    def _record(self, part: Part) -> None:
        append_durably(self.path / MANIFEST, part.to_line())
        self.finished[part.number] = part

    def sweep(self) -> None:
        """Remove files that belong to no finished part."""
        decided = {WHOLE, REPEATED} if self.finished else set()
        of_parts = [name for part in self.parts for name in part.files]
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

    def _read_finished(self) -> None:
        """Read the manifest up to the first line that is not whole, without parts whose files are not as they were."""
        self.finished = {}
        for line in read_state(self.path / MANIFEST).splitlines(keepends=True):
            part = read_part(line)
            if part is None:
                break
            if self._is_whole(part):
                self.finished[part.number] = part

    def _is_whole(self, part: Part) -> bool:
        endings = (self.suffix, REJECTS, IDS)
        expected = [name.startswith(name_part(part.number)) and name.endswith(endings) for name in part.files]
        if len(expected) != len(endings) or not all(expected):
            return False
        return is_as_written({self.path / name: digest for name, digest in part.files.items()})


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


def _read_plan(path: Path) -> dict[str, Any] | None:
    """Read a plan; None if there is none, or it was not written in full."""
    try:
        plan = json.loads(read_state(path))
    except (ValueError, RecursionError):
        return None
    return plan if isinstance(plan, dict) else None
