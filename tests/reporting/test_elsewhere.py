"""Observed / expected is told of patients on whom it can be wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from paincast.gates.elsewhere import VALIDATION
from paincast.reporting.model.validation import find_elsewhere


def make_pooled(estimate: float, n: float = 4.0) -> pd.DataFrame:
    rows = [
        {"metric": "o_e_ratio", "group": "site 1", "estimate": 3.0, "lower": 2.0, "upper": 4.0, "n_groups": np.nan},
        {"metric": "auroc", "group": "overall", "estimate": 0.6, "lower": 0.5, "upper": 0.7, "n_groups": n},
        {"metric": "o_e_ratio", "group": "overall", "estimate": estimate, "lower": 0.7, "upper": 1.1, "n_groups": n},
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("tables", "told"),
    [
        ({}, "not measured"),
        ({"held_out_site": make_pooled(0.9)}, "0.90 (0.70 to 1.10), 4 sites"),
        ({"held_out_year": make_pooled(0.9, 3.0)}, "0.90 (0.70 to 1.10), 3 years"),
        ({"held_out_site": make_pooled(np.nan), "held_out_year": make_pooled(0.8)}, "0.80 (0.70 to 1.10), 4 years"),
        ({"held_out_site": make_pooled(np.nan)}, "not measured"),
    ],
)
def test_the_ratio_of_held_out_groups_is_told_or_that_it_was_not_measured(tables, told):
    assert find_elsewhere(tables) == told


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("cannot be measured", "not known: one site"),
        ("measured", "not known: no pooled ratio"),
        ("not measured", "not measured"),
    ],
)
def test_what_cannot_be_measured_is_not_known(status, told):
    says = ["", "cannot be held out: one site"]
    parts = pd.DataFrame({"part": ["optimism", "held_out_site"], "status": ["measured", status], "says": says})
    assert find_elsewhere({VALIDATION: parts}) == told
