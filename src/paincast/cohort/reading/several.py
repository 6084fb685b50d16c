"""Find the files that a path means: a file, a sheet of a workbook, a folder, or a pattern such as ``export/*.csv``."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from paincast.cohort.reading.formats import FORMATS, WORKBOOKS
from paincast.errors import DataError


class Source(NamedTuple):
    """A file to read, the sheet that its path names, and its name in rejects."""

    file: Path
    sheet: str | None
    name: str


def list_sources(path: str | Path) -> list[Source]:
    """List the files that a path means, in the order of their names.

    ``registry.xlsx!Visits`` is a sheet of a workbook. Of a folder, hidden files, locks of spreadsheets and files of
    other formats are left out. A path that does not exist stands for itself.

    Raises
    ------
    DataError
        If a folder holds no file that can be read, or no file matches a pattern.

    Examples
    --------
    >>> list_sources("registry.csv")
    [Source(file=PosixPath('registry.csv'), sheet=None, name='registry.csv')]
    """
    given = Path(path)
    if given.is_dir():
        files = [file for file in sorted(given.iterdir()) if file.is_file() and _is_table(file)]
        if not files:
            raise DataError(
                f"{given} is a directory without a file that can be read; give a file ({', '.join(FORMATS)})",
                code="PC-READING-33",
            )
        return [Source(file, None, file.name) for file in files]
    if given.exists():
        return [Source(given, None, given.name)]
    if is_pattern(given):
        base = _find_base(given)
        found = sorted(base.glob(given.relative_to(base).as_posix()))
        files = [file for file in found if file.is_file() and _is_table(file)]
        if not files:
            raise DataError(f"no file matches {given}", code="PC-READING-34")
        return [Source(file, None, file.relative_to(base).as_posix()) for file in files]
    file, sheet = split_sheet(given)
    return [Source(file, sheet, given.name)]


def is_pattern(path: str | Path) -> bool:
    """Check whether a path is a pattern of several files.

    Examples
    --------
    >>> [is_pattern(path) for path in ("export/*.csv", "export/site_?.csv", "export.csv")]
    [True, True, False]
    """
    return any(sign in str(path) for sign in "*?")


def split_sheet(path: str | Path) -> tuple[Path, str | None]:
    """Split a path into a workbook and the sheet that it names.

    Examples
    --------
    >>> split_sheet("registry.xlsx!Visits"), split_sheet("registry.xlsx")
    ((PosixPath('registry.xlsx'), 'Visits'), (PosixPath('registry.xlsx'), None))
    """
    file, _, sheet = str(path).rpartition("!")
    if sheet and Path(file).suffix.lower() in WORKBOOKS:
        return Path(file), sheet
    return Path(path), None


def _is_table(file: Path) -> bool:
    return file.suffix.lower() in FORMATS and not file.name.startswith((".", "~$"))


def _find_base(pattern: Path) -> Path:
    """Return the folder above the first part of a pattern that stands for several."""
    parts = pattern.parts
    first = next(at for at, part in enumerate(parts) if is_pattern(part))
    return Path(*parts[:first])
