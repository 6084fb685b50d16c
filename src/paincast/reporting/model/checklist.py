"""TRIPOD+AI and PROBAST+AI, filled from what a run holds: every item with its evidence, or shown as missing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from paincast.environment import hide_values
from paincast.errors import SettingsError, suggest_name
from paincast.reporting.model.run_facts import RunFacts
from paincast.settings import TrainingSettings

FOLDER = Path(__file__).resolve().parent / "checklists"
CHECKLISTS = ("tripod_ai", "probast_ai")
FILLED, MISSING, OTHER_KIND = "filled", "missing", "does not apply"
STATEMENT = "statement"
COLUMNS = ("item", "checklist", "section", "asks", "status", "says", "evidence")


@cache
def load_checklist(name: str) -> Mapping[str, Any]:
    """Read a checklist of :data:`CHECKLISTS`: ``title``, ``source`` and ``items``."""
    read: Mapping[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return read


def name_item(checklist: str, item: str) -> str:
    """Give the name under which an item is stated and asked for by a gate.

    Examples
    --------
    >>> name_item("tripod_ai", "18a")
    'tripod_18a'
    """
    return f"{checklist.partition('_')[0]}_{item}"


def check_items(settings: TrainingSettings) -> None:
    """Check that there are the items that are stated and those that the gate asks for.

    Raises
    ------
    SettingsError
        Naming the setting, the item that there is not, and the nearest.
    """
    known = [name_item(name, one["item"]) for name in CHECKLISTS for one in load_checklist(name)["items"]]
    for setting, items in (("statements", settings.statements), ("gate.card_items", settings.gate.card_items)):
        for item in items:
            if item not in known:
                raise SettingsError(
                    f"{setting}: unknown item '{item}'; {suggest_name(item, known)}", code="PC-REPORTING-01"
                )


def fill_checklists(run: RunFacts, statements: Mapping[str, str], figures: Collection[str]) -> pd.DataFrame:
    """Fill both checklists from what a run holds.

    Parameters
    ----------
    run : RunFacts
        The run; its tables are those that will be recorded.
    statements : mapping of str to str
        What only people can say, by item: approval, funding, protocol. A statement fills its item whatever else does.
    figures : collection of str
        Names of the figures that will be recorded.

    Returns
    -------
    DataFrame
        A row for each item: ``item, checklist, section, asks, status, says, evidence``. ``status`` is ``filled``,
        ``missing`` or, of what is asked of probabilities and the outcome is a number, ``does not apply``.
    """
    rows = [
        _fill_item(name, one, run, statements, figures) for name in CHECKLISTS for one in load_checklist(name)["items"]
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _fill_item(
    checklist: str, one: Mapping[str, Any], run: RunFacts, statements: Mapping[str, str], figures: Collection[str]
) -> dict[str, str]:
    name = name_item(checklist, one["item"])
    title = load_checklist(checklist)["title"]
    told = {"item": name, "checklist": title, "section": one["section"], "asks": one["asks"]}
    if statements.get(name):
        said = hide_values(statements[name])
        return {**told, "status": FILLED, "says": said, "evidence": "stated in the settings of the run"}
    if one.get("only") == "probability" and run.facts.get("kind") == "continuous":
        return {**told, "status": OTHER_KIND, "says": "the outcome is a number, not a probability", "evidence": ""}
    absent = [pointer for pointer in one["evidence"] if not _holds(pointer, run, figures)]
    if absent:
        return {**told, "status": MISSING, "says": _say_absent(absent, name), "evidence": ""}
    words = {**run.params, **run.tags, **run.facts, "title": run.title, "sources": run.say_sources()}
    said = one.get("says", "").format_map(_Words({word.replace(".", "_"): told for word, told in words.items()}))
    also, further = _add_further(one, run, figures)
    pointers = "; ".join(map(_point, [*one["evidence"], *further]))
    return {**told, "status": FILLED, "says": f"{said}{also}", "evidence": pointers}


def _add_further(one: Mapping[str, Any], run: RunFacts, figures: Collection[str]) -> tuple[str, list[str]]:
    """Give what the run says beside, where it holds it, that it is missing where not, and what is pointed to."""
    said = ""
    held: list[str] = []
    for pointer, words in one.get("also", {}).items():
        if _holds(pointer, run, figures):
            said, held = f"{said}; {words}", [*held, pointer]
        else:
            said = f"{said}; missing: {words}"
    return said, held


class _Words(dict[str, str]):
    """Words to fill a sentence with; an absent one says that it is unknown."""

    def __missing__(self, key: str) -> str:
        return "unknown"


def _holds(pointer: str, run: RunFacts, figures: Collection[str]) -> bool:
    kind, _, name = pointer.partition(":")
    if kind == "table":
        return name in run.tables and len(run.tables[name]) > 0
    if kind == "artifact":
        return True
    return name in {"fact": run.facts, "param": {**run.tags, **run.params}, "figure": figures}.get(kind, ())


def _point(pointer: str) -> str:
    kind, _, name = pointer.partition(":")
    return {
        "table": f"tables/{name}.csv",
        "figure": f"figures/{name}.png",
        "fact": f"tables/provenance.csv: {name}",
        "param": f"parameter {name}",
    }.get(kind, name)


def _say_absent(absent: list[str], name: str) -> str:
    if STATEMENT in absent:
        return f"only people can say this: statements.{name}=..."
    return f"the run does not hold {', '.join(map(_point, absent))}"


def list_missing(checklist: pd.DataFrame) -> Iterator[tuple[str, list[str]]]:
    """List for each checklist the items that are missing."""
    for title, own in checklist.groupby("checklist", sort=False):
        yield str(title), own.loc[own["status"] == MISSING, "item"].tolist()
