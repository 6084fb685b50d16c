"""A column of the contract: type, unit, range or categories, role and timing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

ColumnType = Literal["text", "category", "number", "integer", "boolean"]
Role = Literal["id", "predictor", "technique", "funnel", "sensitive", "process", "safety", "outcome"]
Timing = Literal["before", "during", "after"]


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of the contract.

    Parameters
    ----------
    name : str
        Column name, including the unit if there is one.
    type : {"text", "category", "number", "integer", "boolean"}
        Logical type.
    description : str
        Meaning of the column, for clinicians.
    role : str
        How the column may be used. Model inputs are ``predictor``, ``technique`` (the choice made) and ``funnel``
        columns with timing ``before``; ``sensitive`` columns are used only for audits; ``safety`` columns only for
        eligibility; ``process`` columns are only recorded.
    timing : {"before", "during", "after"}
        When the value is known, relative to the procedure.
    unit : str, optional
        Unit of a number.
    low, high : float, optional
        Allowed range, ends included.
    categories : tuple of str
        Allowed values of a category.
    required : bool
        Whether a row without the value is rejected.
    log_scale : bool
        Whether the quantity is skewed and analysed as ``log(1 + value)``.
    label : str, optional
        Short name for figures; made from ``name`` when empty.
    """

    name: str
    type: ColumnType
    description: str
    role: Role
    timing: Timing
    unit: str | None = None
    low: float | None = None
    high: float | None = None
    categories: tuple[str, ...] = ()
    required: bool = False
    log_scale: bool = False
    label: str = ""

    @property
    def allowed(self) -> str:
        """Description of the allowed values."""
        if self.type == "category":
            return "one of " + ", ".join(self.categories)
        if self.type == "boolean":
            return "true or false (yes/no, 1/0)"
        if self.type == "text":
            return "text"
        kind = "a whole number" if self.type == "integer" else "a number"
        unit = f" {self.unit}" if self.unit else ""
        if self.low is None and self.high is None:
            return f"{kind}{unit}"
        if self.high is None:
            return f"{kind}, at least {self.low:g}{unit}"
        return f"{kind} from {self.low:g} to {self.high:g}{unit}"

    @property
    def display_name(self) -> str:
        """Name used in figures and tables."""
        return self.label or self.name.replace("_", " ")


def number_column(name: str, low: float, high: float, unit: str | None, description: str, **more: object) -> Column:
    """Declare a number: by default a predictor known before the procedure."""
    settings: dict[str, object] = {"role": "predictor", "timing": "before", **more}
    return Column(name=name, type="number", low=low, high=high, unit=unit, description=description, **settings)  # type: ignore[arg-type]


def boolean_column(name: str, description: str, **more: object) -> Column:
    """Declare a yes/no column: by default a predictor known before the procedure."""
    settings: dict[str, object] = {"role": "predictor", "timing": "before", **more}
    return Column(name=name, type="boolean", description=description, **settings)  # type: ignore[arg-type]


def category_column(name: str, categories: tuple[str, ...], description: str, **more: object) -> Column:
    """Declare a category: by default a predictor known before the procedure."""
    settings: dict[str, object] = {"role": "predictor", "timing": "before", **more}
    return Column(name=name, type="category", categories=categories, description=description, **settings)  # type: ignore[arg-type]


def text_column(name: str, description: str, **more: object) -> Column:
    """Declare a text: by default an identifier."""
    settings: dict[str, object] = {"role": "id", "timing": "before", **more}
    return Column(name=name, type="text", description=description, **settings)  # type: ignore[arg-type]


def by_name(*columns: Column) -> Mapping[str, Column]:
    """Map columns by name, in order."""
    return MappingProxyType({column.name: column for column in columns})
