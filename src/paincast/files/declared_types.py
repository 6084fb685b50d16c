"""Check values read from a file against the types declared by their dataclass."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def check_declared(held: Any, hint: Any, place: str = "") -> None:
    """Refuse values of another type than declared, and numbers that are not finite.

    Parameters
    ----------
    held : object
        A dataclass or plain data.
    hint : type
        Declared type. For types other than plain data, arrays and dataclasses only ``isinstance`` is checked.
    place : str
        Path of the value, for messages.

    Raises
    ------
    TypeError
        If the type differs; the message names the path and the declared type, never the value.
    ValueError
        If a number is not finite.
    """
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return
    if origin in (Union, UnionType):
        _check_union(held, inner, place)
    elif dataclasses.is_dataclass(hint):
        _require(type(held) is hint, hint, place)
        for name, declared in get_type_hints(hint).items():
            if name in {field.name for field in dataclasses.fields(hint)}:
                check_declared(getattr(held, name), declared, f"{place}.{name}".lstrip("."))
    elif origin is np.ndarray:
        _require(isinstance(held, np.ndarray) and held.dtype.kind in "biuf", hint, place)
        _require_finite(bool(np.isfinite(held).all()), place)
    elif origin is tuple:
        _require(isinstance(held, tuple), hint, place)
        kinds = inner[:1] * len(held) if inner[-1:] == (Ellipsis,) else inner
        _require(len(kinds) == len(held), hint, place)
        for number, (value, kind) in enumerate(zip(held, kinds, strict=True)):
            check_declared(value, kind, f"{place}[{number}]")
    elif origin in (dict, Mapping):
        _require(isinstance(held, Mapping), hint, place)
        for name, value in held.items():
            check_declared(name, inner[0], place)
            check_declared(value, inner[1], f"{place}.{name}")
    else:
        _check_plain(held, hint, place)


def read_array(plain: Any) -> npt.NDArray[np.float64]:
    """Convert lists of numbers to an array; text that looks like a number is refused.

    Raises
    ------
    TypeError
        If an element is not a number, or the lists differ in length.
    """
    array = np.array(plain)
    _require(array.size == 0 or array.dtype.kind in "if", FloatArray, "numbers")
    return array.astype(float)


def _check_union(held: Any, kinds: tuple[Any, ...], place: str) -> None:
    fitting = [kind for kind in kinds if dataclasses.is_dataclass(kind) and type(held) is kind]
    if fitting:
        check_declared(held, fitting[0], place)
        return None
    for kind in kinds:
        try:
            return check_declared(held, kind, place)
        except TypeError:
            continue
    raise TypeError(f"{place}: none of the kinds declared")


def _check_plain(held: Any, hint: Any, place: str) -> None:
    if hint in (int, float):
        allowed: Any = (int, np.integer) if hint is int else (int, float, np.integer, np.floating)
        _require(isinstance(held, allowed) and not isinstance(held, bool), hint, place)
        _require_finite(math.isfinite(held), place)
    elif hint is None or hint is NoneType:
        _require(held is None, hint, place)
    elif getattr(hint, "_is_protocol", False):
        _require(dataclasses.is_dataclass(held), hint, place)
        check_declared(held, type(held), place)
    elif isinstance(hint, type):
        _require(isinstance(held, hint), hint, place)


def _require(fits: bool, hint: Any, place: str) -> None:
    if not fits:
        raise TypeError(f"{place}: {getattr(hint, '__name__', hint)} is declared")


def _require_finite(finite: bool, place: str) -> None:
    if not finite:
        raise ValueError(f"{place}: numbers must be finite")
