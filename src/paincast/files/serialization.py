"""Convert dataclasses to plain data and back, based on their declared types; bundles store the result as JSON.

Arrays and tuples become lists, numbers of numpy become those of Python, and frames become lists of rows; anything else
is unchanged. A class that is not a dataclass, or has state other than its fields, implements ``to_state`` and
``from_state``. A dataclass with ``state_version`` stores the version and refuses other versions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
import pandas as pd

from paincast.errors import DataError
from paincast.files.declared_types import read_array

VERSION_KEY = "version"


def to_plain(value: Any) -> Any:
    """Convert a value to plain data that can be stored as JSON.

    Parameters
    ----------
    value : object
        A dataclass, an array, a frame, a container of these, or plain data.

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
    if isinstance(value, pd.DataFrame):
        return value.to_dict(orient="records")
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
    origin, inner = get_origin(hint), get_args(hint)
    if hasattr(hint, "from_state"):
        return hint.from_state(state)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _build(state, hint)
    if origin in (Union, UnionType):
        kinds = [kind for kind in inner if kind is not NoneType]
        return None if state is None and len(kinds) < len(inner) else from_plain(state, kinds[0])
    if origin is np.ndarray:
        return read_array(state)
    if hint is pd.DataFrame:
        return pd.DataFrame(state)
    if origin is tuple:
        _require(isinstance(state, list | tuple), hint)
        types = inner[:1] * len(state) if inner[-1:] == (Ellipsis,) else inner
        return tuple(from_plain(value, kind) for value, kind in zip(state, types, strict=True))
    if origin in (dict, Mapping):
        _require(isinstance(state, Mapping), hint)
        return {name: from_plain(value, inner[1]) for name, value in state.items()}
    return state


def _build(state: Any, cls: type) -> Any:
    _require(isinstance(state, Mapping), cls)
    readable = getattr(cls, "state_version", None)
    if readable is not None and state.get(VERSION_KEY) != readable:
        raise DataError(
            f"{cls.__name__} of version {state.get(VERSION_KEY)}; {readable} can be read", code="PC-FILES-40"
        )
    types = _list_types(cls)
    given = {name: from_plain(state[name], hint) for name, (hint, optional) in types.items() if name in state}
    for name, (_, optional) in types.items():
        if name not in given and not optional:
            raise KeyError(name)
    return cls(**given)


@cache
def _list_types(cls: type) -> dict[str, tuple[Any, bool]]:
    """Return the declared type of every field, and whether it has a default."""
    hints = get_type_hints(cls)
    return {
        field.name: (
            hints[field.name],
            field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING,
        )
        for field in dataclasses.fields(cls)
    }


def _require(fits: bool, hint: Any) -> None:
    if not fits:
        raise TypeError(f"{getattr(hint, '__name__', hint)} is declared")
