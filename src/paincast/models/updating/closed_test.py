"""The closed test of the ladder: the first level that fits no worse than a revision of all coefficients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.stats import chi2

from paincast.features import EpisodeEncoder
from paincast.models.binary.penalised import fit_penalised
from paincast.models.updating.levels import Rows, fit_level
from paincast.models.updating.prior_evidence import EVIDENCE, INTERCEPT, INTERCEPT_AND_SLOPE, OVERALL_RISK, Evidence
from paincast.settings import TrainingSettings
from paincast.statistics import compute_log_loss

TINY_PENALTY = 1e-6
"""Keeps a revision finite where predictors separate the classes; its log likelihood is then next to 0."""


def run_closed_test(evidence: Evidence, rows: Rows, settings: TrainingSettings) -> pd.DataFrame:
    """Test each level against a revision of all coefficients by the likelihood ratio.

    All are fitted by maximum likelihood: intercept and slope without a prior, the revision without a penalty to speak
    of. With few events per coefficient the test says too often that evidence must be left. ``blended`` is a compromise
    of penalties and has no test.

    Returns
    -------
    DataFrame with one row per level
        ``statistic, df, p_value``; NaN for ``blended`` and for the revision itself, ``real``.
    """
    sample = rows.sample
    free = replace(settings, ladder=replace(settings.ladder, slope_prior_sd=100.0))
    columns = rows.matrix
    if not columns.shape[1]:
        columns = EpisodeEncoder().fit(sample.episodes).transform(sample.episodes)
    design = np.column_stack([np.ones(len(columns)), columns])
    revised = fit_penalised(
        columns, sample.outcome, sample.weights, penalty=TINY_PENALTY, l1_ratio=0.0, factors=np.ones(columns.shape[1])
    )
    best = float(sample.weights @ compute_log_loss(revised.intercept + columns @ revised.coefficients, sample.outcome))
    rank = int(np.linalg.matrix_rank(design))
    freedom = {EVIDENCE: 0, INTERCEPT: 1, OVERALL_RISK: 1, INTERCEPT_AND_SLOPE: 2}
    found = []
    for name in evidence.levels:
        if name not in freedom:
            found.append((np.nan, np.nan, np.nan))
            continue
        level = fit_level(name, evidence, rows, free, np.random.default_rng(0))
        loss = float(sample.weights @ compute_log_loss(level.margin(rows), sample.outcome))
        statistic, df = max(0.0, 2.0 * (loss - best)), rank - freedom[name]
        found.append((statistic, float(df), float(chi2.sf(statistic, df)) if df > 0 else 1.0))
    return pd.DataFrame(found, columns=["statistic", "df", "p_value"])


def find_unrejected(tested: pd.DataFrame, significance: float) -> int:
    """Find the first level that is not significantly worse than the revision; the last, ``real``, if all are."""
    kept = np.flatnonzero(tested["p_value"] >= significance)
    return int(kept[0]) if len(kept) else len(tested) - 1
