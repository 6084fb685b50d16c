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


def check_declared(given: Any, hint: Any, path: str = "") -> None:
    """Refuse values of another type than declared, and numbers that are not finite.

    Parameters
    ----------
    given : object
        A dataclass or plain data.
    hint : type
        Declared type. For types other than plain data, arrays and dataclasses only ``isinstance`` is checked.
    path : str
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
        _check_union(given, inner, path)
    elif dataclasses.is_dataclass(hint):
        _require(type(given) is hint, hint, path)
        for name, declared in get_type_hints(hint).items():
            if name in {field.name for field in dataclasses.fields(hint)}:
                check_declared(getattr(given, name), declared, f"{path}.{name}".lstrip("."))
    elif origin is np.ndarray:
        _require(isinstance(given, np.ndarray) and given.dtype.kind in "biuf", hint, path)
        _require_finite(bool(np.isfinite(given).all()), path)
    elif origin is tuple:
        _require(isinstance(given, tuple), hint, path)
        kinds = inner[:1] * len(given) if inner[-1:] == (Ellipsis,) else inner
        _require(len(kinds) == len(given), hint, path)
        for number, (value, kind) in enumerate(zip(given, kinds, strict=True)):
            check_declared(value, kind, f"{path}[{number}]")
    elif origin in (dict, Mapping):
        _require(isinstance(given, Mapping), hint, path)
        for name, value in given.items():
            check_declared(name, inner[0], path)
            check_declared(value, inner[1], f"{path}.{name}")
    else:
        _check_plain(given, hint, path)


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


def _check_union(given: Any, kinds: tuple[Any, ...], path: str) -> None:
    fitting = [kind for kind in kinds if dataclasses.is_dataclass(kind) and type(given) is kind]
    if fitting:
        check_declared(given, fitting[0], path)
        return None
    for kind in kinds:
        try:
            return check_declared(given, kind, path)
        except TypeError:
            continue
    raise TypeError(f"{path}: none of the kinds declared")


def _check_plain(given: Any, hint: Any, path: str) -> None:
    if hint in (int, float):
        allowed: Any = (int, np.integer) if hint is int else (int, float, np.integer, np.floating)
        _require(isinstance(given, allowed) and not isinstance(given, bool), hint, path)
        _require_finite(math.isfinite(given), path)
    elif hint is None or hint is NoneType:
        _require(given is None, hint, path)
    elif getattr(hint, "_is_protocol", False):
        _require(dataclasses.is_dataclass(given), hint, path)
        check_declared(given, type(given), path)
    elif isinstance(hint, type):
        _require(isinstance(given, hint), hint, path)


def _require(fits: bool, hint: Any, path: str) -> None:
    if not fits:
        raise TypeError(f"{path}: {getattr(hint, '__name__', hint)} is declared")


def _require_finite(finite: bool, path: str) -> None:
    if not finite:
        raise ValueError(f"{path}: numbers must be finite")
