"""Convert dataclasses to plain data and back, based on their declared types; bundles store the result as JSON.

Arrays and tuples become lists, and numbers of numpy become those of Python; anything else is unchanged. A class that is
not a dataclass, or has state other than its fields, implements ``to_state`` and ``from_state``. A dataclass with
``state_version`` stores the version and refuses other versions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import cache, partial
from types import NoneType, UnionType
from typing import Any, Self, Union, get_args, get_origin, get_type_hints

import numpy as np

from paincast.deferred import pandas as pd
from paincast.errors import DataError
from paincast.files.declared_types import read_array

VERSION_KEY = "version"


class PlainTable(tuple[Mapping[str, Any], ...]):
    """PlainTable of a table as plain data, which a model keeps for a report and needs for no answer.

    Examples
    --------
    >>> PlainTable.from_frame(pd.DataFrame({"candidate": ["ridge"], "chosen": [True]}))
    ({'candidate': 'ridge', 'chosen': True},)
    """

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> Self:
        """Take the rows of a data frame."""
        return cls({str(name): value for name, value in row.items()} for row in frame.to_dict(orient="records"))

    def to_frame(self) -> pd.DataFrame:
        """Give the rows as a data frame."""
        return pd.DataFrame(list(self))

    def to_state(self) -> list[Mapping[str, Any]]:
        """Return the rows as plain data."""
        return list(self)

    @classmethod
    def from_state(cls, state: Any) -> Self:
        """Revert :meth:`to_state`."""
        return cls(state)


def to_plain(value: Any) -> Any:
    """Convert a value to plain data that can be stored as JSON.

    Parameters
    ----------
    value : object
        A dataclass, an array, a container of these, or plain data.

    Examples
    --------
    >>> @dataclasses.dataclass
    ... class Line:
    ...     intercept: float
    ...     slopes: np.ndarray
    >>> to_plain(Line(1.0, np.array([2.0, 3.0])))
    {'intercept': 1.0, 'slopes': [2.0, 3.0]}
    """
    if hasattr(value, "to_state"):
        return value.to_state()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        version = getattr(value, "state_version", None)
        plain = {} if version is None else {VERSION_KEY: version}
        return plain | {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return {name: to_plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(inner) for inner in value]
    return value


def from_plain(state: Any, hint: Any) -> Any:
    """Build a value of a declared type from the result of :func:`to_plain`.

    Types of single values are not checked here; use :func:`paincast.files.declared_types.check_declared` on the result.

    Parameters
    ----------
    state : object
        Plain data. Missing fields take their defaults; unknown names are ignored.
    hint : type
        Declared type.

    Raises
    ------
    DataError
        If the class cannot read the version of the state.
    KeyError, TypeError, ValueError
        If a field without a default is missing, or a container has another type than declared.

    Examples
    --------
    >>> from_plain([[1.0, 2], [3.0, 4]], tuple[tuple[float, int], ...])
    ((1.0, 2), (3.0, 4))
    """
    return _make_reader(hint)(state)


@cache
def _make_reader(hint: Any) -> Callable[[Any], Any]:
    """Make the function that builds a value of a type, once for each type."""
    origin, inner = get_origin(hint), get_args(hint)
    if hasattr(hint, "from_state"):
        read: Callable[[Any], Any] = hint.from_state
        return read
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return partial(_build, cls=hint)
    if origin in (Union, UnionType):
        kinds = [kind for kind in inner if kind is not NoneType]
        return _make_optional(_make_reader(kinds[0])) if len(kinds) < len(inner) else _make_reader(kinds[0])
    if origin is np.ndarray:
        return read_array
    if origin is tuple:
        return _make_reader_of_tuples(hint, inner)
    if origin in (dict, Mapping):
        return _make_reader_of_mappings(hint, _make_reader(inner[1]))
    return _leave


def _leave(state: Any) -> Any:
    return state


def _make_optional(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda state: None if state is None else read(state)


def _make_reader_of_tuples(hint: Any, inner: tuple[Any, ...]) -> Callable[[Any], tuple[Any, ...]]:
    is_long = inner[-1:] == (Ellipsis,)
    readers = [_make_reader(kind) for kind in (inner[:1] if is_long else inner)]

    def read(state: Any) -> tuple[Any, ...]:
        _require(isinstance(state, list | tuple), hint)
        if is_long:
            return tuple(state) if readers[0] is _leave else tuple(map(readers[0], state))
        return tuple(one(value) for value, one in zip(state, readers, strict=True))

    return read


def _make_reader_of_mappings(hint: Any, read_value: Callable[[Any], Any]) -> Callable[[Any], dict[Any, Any]]:
    def read(state: Any) -> dict[Any, Any]:
        _require(isinstance(state, Mapping), hint)
        return {name: read_value(value) for name, value in state.items()}

    return read


def _build(state: Any, cls: type) -> Any:
    _require(isinstance(state, Mapping), cls)
    readable = getattr(cls, "state_version", None)
    if readable is not None and state.get(VERSION_KEY) != readable:
        raise DataError(
            f"{cls.__name__} of version {state.get(VERSION_KEY)}; {readable} can be read", code="PC-FILES-40"
        )
    given = {}
    for name, (read, optional) in _list_readers(cls).items():
        if name in state:
            given[name] = read(state[name])
        elif not optional:
            raise KeyError(name)
    return cls(**given)


@cache
def _list_readers(cls: type) -> dict[str, tuple[Callable[[Any], Any], bool]]:
    """Return what reads every field, and whether it has a default."""
    hints = get_type_hints(cls)
    return {
        field.name: (
            _make_reader(hints[field.name]),
            field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING,
        )
        for field in dataclasses.fields(cls)
    }


def _require(fits: bool, hint: Any) -> None:
    if not fits:
        raise TypeError(f"{getattr(hint, '__name__', hint)} is declared")
