"""Compile functions of arrays to machine code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., object])


def compile_cached(function: Function) -> Function:
    """Compile a function and keep the machine code beside it, or only in memory where no folder can be written."""
    try:
        compiled: Function = numba.njit(function, cache=True, nogil=True, error_model="numpy")
    except RuntimeError:
        compiled = numba.njit(function, nogil=True, error_model="numpy")
    return compiled
