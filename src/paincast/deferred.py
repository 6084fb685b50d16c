"""Libraries that are imported when they are first used: one answer needs none of them, and they take seconds to load.

Use them as modules, ``from paincast.deferred import pandas as pd``, and not where a module is executed: a base class, a
default or a constant would load them.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pandas
    import threadpoolctl as threadpoolctl
    import xgboost as xgboost
    import yaml as yaml
    from pyarrow import parquet as parquet
    from scipy import optimize as optimize
    from scipy import special as special
    from scipy import stats as stats


class _Deferred(ModuleType):
    """A module in whose place this one stands until something of it is used."""

    def __getattr__(self, name: str) -> Any:
        found = getattr(import_module(self.__name__), name)
        setattr(self, name, found)
        return found


_NAMES = {
    "optimize": "scipy.optimize",
    "pandas": "pandas",
    "parquet": "pyarrow.parquet",
    "special": "scipy.special",
    "stats": "scipy.stats",
    "threadpoolctl": "threadpoolctl",
    "xgboost": "xgboost",
    "yaml": "yaml",
}


def __getattr__(name: str) -> ModuleType:
    if name not in _NAMES:
        raise AttributeError(f"module 'paincast.deferred' has no attribute '{name}'")
    deferred: ModuleType = globals().setdefault(name, _Deferred(_NAMES[name]))
    return deferred


def spare_pandas() -> None:
    """Keep PyArrow from importing pandas before anything needs it.

    PyArrow imports pandas at the first array that it makes, if it is there: half of the time of one answer. Told once
    that there is none, it asks again only where pandas is needed; when anything imports pandas, PyArrow is told.
    For a process of one's own: nothing changes where pandas is loaded already.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow as pa

    finder = _TellPyArrow()
    sys.meta_path.insert(0, finder)
    pa.array([])
    finder.hides = False


class _TellPyArrow(MetaPathFinder):
    """Hides pandas from PyArrow, and tells PyArrow of it once it is imported, by whatever module."""

    hides = True

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:  # noqa: ARG002
        if fullname != "pandas":
            return None
        if self.hides:
            raise ModuleNotFoundError("pandas is not loaded yet", name=fullname)
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_tell(module: ModuleType) -> None:
                load(module)
                from pyarrow.lib import _pandas_api

                assert _pandas_api.version  # asking for it makes PyArrow look again

            spec.loader.exec_module = load_and_tell  # type: ignore[method-assign]
        return spec
