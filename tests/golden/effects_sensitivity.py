"""Make the goldens of bounds of hidden confounding by DoubleML 0.11 (BSD-3-Clause), which no test run needs.

python tests/golden/effects_sensitivity.py
"""

from __future__ import annotations

from pathlib import Path

import doubleml as dml
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

HERE = Path(__file__).parent
N, N_FOLDS = 400, 4
STRENGTHS = ((0.03, 0.03), (0.1, 0.2))
COVARIATES = ["x0", "x1", "x2"]


def draw(seed: int = 11) -> pd.DataFrame:
    """Draw patients whose choice and outcome depend on three covariates."""
    rng = np.random.default_rng(seed)
    covariates = rng.normal(size=(N, 3)).round(4)
    strategy = (rng.random(N) < 1 / (1 + np.exp(-0.7 * covariates[:, 0] + 0.4 * covariates[:, 1]))).astype(int)
    log_odds = 0.8 * covariates[:, 0] - 0.5 * covariates[:, 2] + 0.7 * strategy
    outcome = (rng.random(N) < 1 / (1 + np.exp(-log_odds))).astype(float)
    named = dict(zip(COVARIATES, covariates.T, strict=True))
    return pd.DataFrame({**named, "strategy": strategy, "outcome": outcome, "fold": rng.permutation(N) % N_FOLDS})


def predict(rows: pd.DataFrame, covariates: list[str]) -> pd.DataFrame:
    """Cross-fit propensity and responses, rounded to what is written."""
    found = pd.DataFrame(index=rows.index, columns=["propensity", "response_0", "response_1"], dtype=float)
    for number in range(N_FOLDS):
        test, train = rows["fold"] == number, rows[rows["fold"] != number]
        asked = rows.loc[test, covariates]
        chosen = LogisticRegression().fit(train[covariates], train["strategy"])
        found.loc[test, "propensity"] = chosen.predict_proba(asked)[:, 1]
        for arm in (0, 1):
            own = train[train["strategy"] == arm]
            response = LogisticRegression().fit(own[covariates], own["outcome"])
            found.loc[test, f"response_{arm}"] = response.predict_proba(asked)[:, 1]
    return found.round(6)


def fit(rows: pd.DataFrame, predictions: pd.DataFrame) -> dml.DoubleMLIRM:
    data = dml.DoubleMLData(rows[[*COVARIATES, "strategy", "outcome"]], "outcome", "strategy")
    model = dml.DoubleMLIRM(
        data, LogisticRegression(), LogisticRegression(), n_folds=N_FOLDS, draw_sample_splitting=False
    )
    fold = rows["fold"].to_numpy()
    model.set_sample_splitting([(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(N_FOLDS)])
    given = {"ml_m": "propensity", "ml_g0": "response_0", "ml_g1": "response_1"}
    external = {name: predictions[[column]].to_numpy() for name, column in given.items()}
    model.fit(external_predictions={"strategy": external})
    return model


def main() -> None:
    rows = draw()
    long, short = predict(rows, COVARIATES), predict(rows, COVARIATES[1:])
    model = fit(rows, long)
    found = []
    for outcome_r2, strategy_r2 in STRENGTHS:
        model.sensitivity_analysis(cf_y=outcome_r2, cf_d=strategy_r2, rho=1.0, level=0.975, null_hypothesis=0.0)
        told = model.sensitivity_params
        found.append(
            {
                "outcome_r2": outcome_r2,
                "strategy_r2": strategy_r2,
                "estimate": model.coef[0],
                "lower_bound": told["theta"]["lower"][0],
                "upper_bound": told["theta"]["upper"][0],
                "lower": told["ci"]["lower"][0],
                "upper": told["ci"]["upper"][0],
                "robustness_value": told["rv"][0],
                "robustness_value_of_interval": told["rva"][0],
            }
        )
    gained = dml.utils.gain_statistics(model, fit(rows, short))
    pd.DataFrame(found).to_csv(HERE / "effects_sensitivity_expected.csv", index=False, float_format="%.10g")
    benchmark = {"outcome_r2": gained["cf_y"][0], "strategy_r2": gained["cf_d"][0]}
    pd.DataFrame([benchmark]).to_csv(HERE / "effects_sensitivity_benchmark.csv", index=False, float_format="%.10g")
    rows.join(long).join(short.add_suffix("_short")).to_csv(HERE / "effects_sensitivity.csv", index=False)


if __name__ == "__main__":
    main()
