"""A draft of a mapping, and its YAML: every guess is marked, and every doubt is a TODO with its candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from paincast.contract import BUILT_IN, Contract
from paincast.files.strict_yaml import UNFINISHED
from paincast.schema import Column

_QUOTED = ("column", "event", "checked", "none", "unit_column")
HIDDEN_CODES = "values that are many, long or rare are not shown here"


@dataclass(frozen=True, kw_only=True)
class FieldDraft:
    """A field of the mapping.

    Parameters
    ----------
    name : str
        Column of the contract.
    settings : mapping
        Its keys: text, lists of text, or a mapping of codes.
    comment : str
        Remark for the person who checks it.
    """

    name: str
    settings: Mapping[str, object]
    comment: str = "guess"

    @property
    def is_open(self) -> bool:
        """Whether a TODO is in it."""
        return _is_open(self.settings)


@dataclass(frozen=True, kw_only=True)
class BlockDraft:
    """A follow-up: its month, its fields, and which rows (or events of a REDCap record) are meant."""

    month: FieldDraft
    fields: tuple[FieldDraft, ...]
    when: Mapping[str, object] | None = None
    events: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class MappingDraft:
    """A whole mapping."""

    title: str
    read: tuple[str, ...]
    episodes: tuple[FieldDraft, ...]
    visits: tuple[BlockDraft, ...] = ()
    baseline_rows: FieldDraft | None = None
    procedure_date: FieldDraft | None = None
    remarks: tuple[str, ...] = field(default=())
    contract: Contract = BUILT_IN


def _is_open(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(_is_open(part) for pair in value.items() for part in pair)
    return value == UNFINISHED or (isinstance(value, (list, tuple)) and any(_is_open(part) for part in value))


def write_yaml(draft: MappingDraft) -> str:
    """Write a draft as YAML with comments."""
    lines = [
        "# A first mapping, guessed from the file. Confirm or correct every line marked 'guess',",
        f"# and replace every {UNFINISHED} with a value: until then the mapping is refused.",
        f"title: {quote(draft.title)}",
        "",
        *draft.read,
        *([""] if draft.baseline_rows or draft.procedure_date else []),
        *(_write_field(draft.procedure_date, 0) if draft.procedure_date else []),
        *(_write_field(draft.baseline_rows, 0) if draft.baseline_rows else []),
        "",
        "episodes:",
        *[line for entry in draft.episodes for line in _write_field(entry, 2, draft.contract.episodes)],
        *(["", "visits:"] if draft.visits else []),
        *[line for block in draft.visits for line in _write_block(block, draft.contract.visits)],
        *draft.remarks,
    ]
    return "\n".join(lines) + "\n"


def _write_block(block: BlockDraft, columns: Mapping[str, Column]) -> list[str]:
    first, *others = _write_field(block.month, 4, columns)
    when = [f"    when: {_write_flow(block.when)}"] if block.when else []
    when += [f"    event: {_write_value(block.events, 'event')}"] if block.events else []
    fields = [line for entry in block.fields for line in _write_field(entry, 4, columns)]
    return ["  - " + first.lstrip(), *others, *when, *fields]


def _write_field(entry: FieldDraft, indent: int, columns: Mapping[str, Column] = MappingProxyType({})) -> list[str]:
    margin = " " * indent
    codes = entry.settings.get("codes")
    if not isinstance(codes, Mapping):
        return [f"{margin}{entry.name}: {_write_flow(entry.settings)}  # {entry.comment}"]
    others = {key: value for key, value in entry.settings.items() if key != "codes"}
    column = columns.get(entry.name)
    return [
        f"{margin}{entry.name}:  # {entry.comment}",
        *[f"{margin}  {key}: {_write_value(value, key)}" for key, value in others.items()],
        *([f"{margin}  # each code is {column.allowed}, or missing"] if column else []),
        f"{margin}  codes:",
        *[_write_code(str(code), str(meaning), margin) for code, meaning in codes.items()],
    ]


def _write_code(code: str, meaning: str, margin: str) -> str:
    if code == UNFINISHED:
        return f"{margin}    {UNFINISHED}: {UNFINISHED}  # {HIDDEN_CODES}"
    return f"{margin}    {quote(code)}: {meaning}"


def _write_flow(settings: Mapping[str, object]) -> str:
    return "{" + ", ".join(f"{key}: {_write_value(value, key)}" for key, value in settings.items()) + "}"


def _write_value(value: object, key: str) -> str:
    if isinstance(value, Mapping):
        pairs = [f"{UNFINISHED if code == UNFINISHED else quote(str(code))}: {value[code]}" for code in value]
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(UNFINISHED if part == UNFINISHED else quote(str(part)) for part in value) + "]"
    text = str(value)
    is_quoted = key == "date_format" or text == "%" or (key in _QUOTED and text != UNFINISHED)
    return quote(text) if is_quoted else text


def quote(text: str) -> str:
    """Write a text in double quotes.

    Examples
    --------
    >>> quote("Age (y)")
    '"Age (y)"'
    """
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def keep_certain(draft: MappingDraft) -> MappingDraft:
    """Leave out what is still open; without a technique all episodes count as one that is not told."""
    episodes = [kept for entry in draft.episodes if (kept := _close(entry)) is not None]
    names = {entry.name for entry in episodes}
    numbered = [
        FieldDraft(name=name, settings={"row_number": "true", "prefix": "row-"})
        for name in ("episode_id", "patient_id")
        if name not in names
    ]
    technique = [] if "technique" in names else [FieldDraft(name="technique", settings={"always": "no_procedure"})]
    visits = [
        replace(block, month=month, fields=fields)
        for block in draft.visits
        if (month := _close(block.month) or _stand_in(block, draft)) is not None
        and (fields := tuple(kept for entry in block.fields if (kept := _close(entry)) is not None))
    ]
    is_dated = draft.procedure_date is not None and not draft.procedure_date.is_open
    if not is_dated:
        episodes = [entry for entry in episodes if not _needs_date(entry)]
        visits = [block for block in visits if not _needs_date(block.month)]
    return replace(
        draft,
        episodes=(*numbered, *episodes, *technique),
        visits=tuple(visits),
        procedure_date=draft.procedure_date if is_dated else None,
        baseline_rows=None if draft.baseline_rows is None or draft.baseline_rows.is_open else draft.baseline_rows,
        remarks=(),
    )


def has_times(draft: MappingDraft) -> bool:
    """Check whether the month of any follow-up is told."""
    return any(not block.month.is_open for block in draft.visits)


def _stand_in(block: BlockDraft, draft: MappingDraft) -> FieldDraft | None:
    """Give the only follow-up of a draft a month for the dry run, where its name does not tell one."""
    is_only = len(draft.visits) == 1 and block.month.settings.get("always") == UNFINISHED
    return replace(block.month, settings={"always": "1"}) if is_only else None


def _needs_date(entry: FieldDraft) -> bool:
    return str(entry.settings.get("reads", "")).endswith("procedure")


def _close(entry: FieldDraft) -> FieldDraft | None:
    """Keep a field whose only open parts are codes, with those as missing."""
    codes = entry.settings.get("codes")
    if not entry.is_open:
        return entry
    if (
        not isinstance(codes, Mapping)
        or entry.name in ("technique", "month")
        or _is_open({**entry.settings, "codes": ""})
    ):
        return None
    known = {
        code: "missing" if meaning == UNFINISHED else meaning for code, meaning in codes.items() if code != UNFINISHED
    }
    if not known or set(known.values()) == {"missing"}:
        return None
    return replace(entry, settings={**entry.settings, "codes": known})


def list_open(draft: MappingDraft) -> list[str]:
    """List the fields that a person must decide."""
    fields: Sequence[FieldDraft] = [
        *[entry for entry in (draft.procedure_date, draft.baseline_rows) if entry],
        *draft.episodes,
        *[entry for block in draft.visits for entry in (block.month, *block.fields)],
    ]
    return [entry.name for entry in fields if entry.is_open]
