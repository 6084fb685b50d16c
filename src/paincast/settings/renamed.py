"""Settings that were renamed: using an old name raises an error that gives the new name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_ROOTS = "each value the square root of the old one"

RENAMED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "change.level": ("change.confidence", ""),
        "duration.inverse_penalties": ("duration.prior_sds", _ROOTS),
        "model.lasso_strengths": ("model.lasso_penalties", ""),
        "model.ridge_spreads": ("model.ridge_prior_sds", ""),
        "model.simplest_odds": ("model.simplest_prior_odds", ""),
        "observation.inverse_penalties": ("observation.prior_sds", _ROOTS),
        "uncertainty.least_site_spread": ("uncertainty.min_site_sd", ""),
        "uncertainty.level": ("uncertainty.confidence", ""),
    }
)
"""By old dotted name: the new name, and how values change (empty if they do not)."""


def rename_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Rename parameters that an earlier run logged to the current names of the settings.

    Examples
    --------
    >>> rename_parameters({"uncertainty.level": "0.9", "seed": "7"})
    {'uncertainty.confidence': '0.9', 'seed': '7'}
    """
    same = {old: new for old, (new, how) in RENAMED.items() if not how}
    return {same.get(name, name): value for name, value in parameters.items()}
