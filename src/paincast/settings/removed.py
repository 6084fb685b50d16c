"""Settings and values that were removed: using one raises an error that says what to use instead."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from paincast.errors import SettingsError

_LADDER = "published evidence is a prior that real patients update by marginal likelihood: nothing is left to choose"
_CURVED = (
    "no benchmark shows where it wins over affine; give affine, none or auto (models that were calibrated by it "
    "still load)"
)

REMOVED: Mapping[str, str] = MappingProxyType(
    {
        **{
            f"ladder.{name}": _LADDER
            for name in (
                *("method", "averaging", "folds", "repeats", "standard_errors"),
                *("synthetic_weights", "slope_prior_sd", "significance"),
            )
        },
        **{
            f"calibration.{name}={method}": _CURVED
            for name in ("method", "candidates")
            for method in ("beta", "isotonic", "venn_abers")
        },
    }
)
"""Reason for the removal and what to use instead, by setting or by ``setting=value``."""


def refuse_removed(setting: str, value: str = "") -> None:
    """Raise an error for a setting or value that was removed.

    Raises
    ------
    SettingsError
        With the reason and what to use instead.

    Examples
    --------
    >>> refuse_removed("calibration.method", "affine")
    """
    name = f"{setting}={value}" if value else setting
    if name in REMOVED:
        raise SettingsError(f"{name} was removed: {REMOVED[name]}", code="PC-SETTINGS-31")
