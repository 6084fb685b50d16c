"""Check files and columns before anything is predicted, and note what the user should know about them."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from paincast.cohort.reading.names import find_misspelt
from paincast.cohort.reading.several import list_sources
from paincast.cohort.rejects import name_nearest
from paincast.errors import DataError, OutputError
from paincast.predictor import Predictor
from paincast.serving.batch.output import SUFFIXES


def check_output(source: Path, target: Path, *companions: Path) -> None:
    """Refuse an output of an unknown format, or that is one of the input files.

    Raises
    ------
    OutputError
        If the output or one of the files beside it cannot be what was asked.
    """
    if target.suffix.lower() not in SUFFIXES:
        raise OutputError(
            f"{target}: unknown suffix '{target.suffix}'; allowed: {', '.join(SUFFIXES)}", code="PC-SERVING-05"
        )
    for written in (target, *companions):
        for file in [entry.file for entry in list_sources(source)]:
            # Path.resolve raises on a link that leads back to itself.
            is_same = os.path.realpath(written) == os.path.realpath(file)
            if is_same or (written.exists() and file.exists() and written.samefile(file)):
                raise OutputError(f"{written} is the input file of patients; give another output", code="PC-SERVING-06")


def require_columns(source: Path, columns: Sequence[str], predictors: Mapping[str, Predictor]) -> None:
    """Refuse a file without the columns that every prediction needs.

    Raises
    ------
    DataError
        If the indication is missing, or all that any of the models starts from.
    """
    measures = [predictor.measures for predictor in predictors.values()]
    # A model whose measures are absent abstains; the file is refused only if no model can predict.
    answers = any(not names or set(names) & set(columns) for names in measures)
    needed = ["indication", *([] if answers else sorted({name for names in measures for name in names}))]
    missing = [name for name in needed if name not in columns]
    if missing:
        hints = "; ".join(f"'{name}' ({name_nearest(name, columns)})" for name in missing)
        raise DataError(
            f"{source}: columns that every prediction needs are missing: {hints}; rename or add them",
            code="PC-SERVING-07",
        )


def note_misspelt(columns: Sequence[str], known_columns: Collection[str]) -> list[str]:
    """Note columns that are not read and whose name is similar to that of an absent one."""
    return [
        f"the column '{name}' is not read, and no patient has a value of {known}; rename it if it holds one"
        for name, known in find_misspelt(columns, known_columns).items()
    ]


def note_absent(columns: Sequence[str], predictors: Mapping[str, Predictor]) -> list[str]:
    """Note columns of a registry's own that models use and the file does not have."""
    used = dict.fromkeys(
        name
        for model in predictors.values()
        for name in model.response.encoder.owners
        if name in model.contract.own_columns and name not in columns
    )
    return [f"the file has no column {', '.join(used)}, which the models use: taken as unknown"] if used else []
