"""Make the goldens of average contrasts by DoubleML 0.11 (BSD-3-Clause); needs DoubleML, which no test run needs.

python tests/golden/effects.py
"""

from __future__ import annotations

from pathlib import Path

import doubleml as dml
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

HERE = Path(__file__).parent
N, N_FOLDS = 1200, 4
SETTINGS = {"tol": 1e-10, "max_iter": 2000}


def draw(k: int, *, lost: bool, seed: int) -> pd.DataFrame:
    """Draw patients whose choice, outcome and loss depend on three covariates."""
    rng = np.random.default_rng(seed)
    covariates = rng.normal(size=(N, 3)).round(4)
    utilities = covariates[:, :1] * 0.6 * np.arange(k) + 0.3 * covariates[:, 1:2] * (np.arange(k) == 0)
    strategy = (utilities + rng.gumbel(size=(N, k))).argmax(axis=1)
    log_odds = 0.7 * covariates[:, 0] - 0.5 * covariates[:, 2] + np.array([0.0, 0.5, -0.4])[strategy]
    outcome = (rng.random(N) < 1 / (1 + np.exp(-log_odds))).astype(float)
    is_lost = rng.random(N) < 0.4 / (1 + np.exp(-covariates[:, 0])) if lost else np.zeros(N, dtype=bool)
    named = {f"x{number}": column for number, column in enumerate(covariates.T)}
    fold = rng.permutation(N) % N_FOLDS
    return pd.DataFrame({**named, "strategy": strategy, "outcome": np.where(is_lost, np.nan, outcome), "fold": fold})


def split(rows: pd.DataFrame) -> list[tuple[np.ndarray, np.ndarray]]:
    fold = rows["fold"].to_numpy()
    return [(np.flatnonzero(fold != number), np.flatnonzero(fold == number)) for number in range(N_FOLDS)]


def estimate_two(rows: pd.DataFrame) -> list[tuple[float, float]]:
    data = dml.DoubleMLData(rows.drop(columns="fold"), "outcome", "strategy")
    model = dml.DoubleMLIRM(data, LogisticRegression(**SETTINGS), LogisticRegression(**SETTINGS), n_folds=N_FOLDS)
    model.set_sample_splitting(split(rows))
    model.fit()
    return [(model.coef[0], model.se[0])]


def estimate_three(rows: pd.DataFrame) -> list[tuple[float, float]]:
    """Average potential outcomes with one-versus-rest propensities are DoubleML's; a multinomial one is handed in."""
    covariates = rows[[name for name in rows if name.startswith("x")]].to_numpy()
    propensity = np.empty((N, 3))
    for train, test in split(rows):
        model = LogisticRegression(C=0.5, **SETTINGS).fit(covariates[train], rows["strategy"].to_numpy()[train])
        propensity[test] = model.predict_proba(covariates[test])
    scores = []
    for level in range(3):
        data = dml.DoubleMLData(rows.drop(columns="fold"), "outcome", "strategy")
        learner = LogisticRegression(**SETTINGS)
        model = dml.DoubleMLAPO(data, learner, LogisticRegression(**SETTINGS), treatment_level=level, n_folds=N_FOLDS)
        model.set_sample_splitting(split(rows))
        predictions = {"strategy": {"ml_m": propensity[:, [level]]}}
        model.fit(external_predictions=predictions)
        scores.append(model.psi_elements["psi_b"][:, 0, 0])
    differences = [scores[level] - scores[0] for level in (1, 2)]
    return [(one.mean(), one.std() / np.sqrt(N)) for one in differences]


def estimate_lost(rows: pd.DataFrame) -> list[tuple[float, float]]:
    filled = rows.assign(seen=rows["outcome"].notna().astype(int), outcome=rows["outcome"].fillna(0.0))
    data = dml.DoubleMLSSMData(filled.drop(columns="fold"), "outcome", "strategy", s_col="seen")
    model = dml.DoubleMLSSM(
        data,
        LogisticRegression(**SETTINGS),
        LogisticRegression(**SETTINGS),
        LogisticRegression(**SETTINGS),
        n_folds=N_FOLDS,
        score="missing-at-random",
    )
    model.set_sample_splitting(split(rows))
    model.fit()
    return [(model.coef[0], model.se[0])]


def main() -> None:
    made = {"two": (2, False, estimate_two), "three": (3, False, estimate_three), "lost": (2, True, estimate_lost)}
    expected = []
    for seed, (name, (k, lost, estimate)) in enumerate(made.items(), 1):
        rows = draw(k, lost=lost, seed=seed)
        rows.to_csv(HERE / f"effects_{name}.csv", index=False)
        for strategy, (value, error) in enumerate(estimate(rows), 1):
            expected.append({"data": name, "strategy": strategy, "estimate": value, "standard_error": error})
    pd.DataFrame(expected).to_csv(HERE / "effects_expected.csv", index=False)


if __name__ == "__main__":
    main()
