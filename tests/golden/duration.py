"""Make the golden files of the duration metrics with scikit-survival: python tests/golden/duration.py.

It needs ``pip install scikit-survival``, here 0.28.0, which the tests do not. Times are all different: scikit-survival
weights by the probability of follow-up beyond a time, which for tied times is another number than that up to it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from sksurv.metrics import brier_score, concordance_index_censored, concordance_index_ipcw, integrated_brier_score
from sksurv.nonparametric import cumulative_incidence_competing_risks, kaplan_meier_estimator
from sksurv.util import Surv

HERE = Path(__file__).parent
MONTHS = (1.0, 3.0, 6.0, 12.0, 24.0)


def make_rows(n: int = 150) -> pd.DataFrame:
    """Draw durations with a predictor, censoring and death, and a prediction that is a little wrong."""
    rng = np.random.default_rng(20260101)
    rate = np.exp(0.7 * rng.standard_normal(n)) / 10.0
    lost, died, censored = (rng.exponential(scale, n) for scale in (1.0 / rate, 60.0, 30.0))
    censored = np.minimum(censored, 36.0 + rng.random(n))
    months = np.minimum(np.minimum(lost, died), censored)
    status = np.select([lost == months, died == months], [1, 2], 0)
    survival = {f"survival_{month:g}": np.exp(-1.2 * rate**0.8 * month * 0.7) for month in MONTHS}
    return pd.DataFrame({"months": months, "status": status, **survival}).round(6)


def compute_expected(rows: pd.DataFrame) -> pd.DataFrame:
    """Compute what scikit-survival says."""
    months, status = rows["months"].to_numpy(), rows["status"].to_numpy()
    observed = Surv.from_arrays(status == 1, months)
    predicted = rows[[f"survival_{month:g}" for month in MONTHS]].to_numpy()
    times, survival, limits = kaplan_meier_estimator(status == 1, months, conf_type="log-log")
    place = np.searchsorted(times, MONTHS, side="right") - 1
    at, incidence, bounds = cumulative_incidence_competing_risks(
        status, months, conf_type="log-log", var_type="Dinse_Approx"
    )
    own = np.searchsorted(at, MONTHS, side="right") - 1
    told = [
        *(("kaplan_meier", m, v) for m, v in zip(MONTHS, survival[place], strict=True)),
        *(("kaplan_meier_lower", m, v) for m, v in zip(MONTHS, limits[0][place], strict=True)),
        *(("kaplan_meier_upper", m, v) for m, v in zip(MONTHS, limits[1][place], strict=True)),
        *((f"incidence_{cause}", m, v) for cause in (1, 2) for m, v in zip(MONTHS, incidence[cause][own], strict=True)),
        *((f"incidence_{c}_lower", m, v) for c in (1, 2) for m, v in zip(MONTHS, bounds[c, 0][own], strict=True)),
        *((f"incidence_{c}_upper", m, v) for c in (1, 2) for m, v in zip(MONTHS, bounds[c, 1][own], strict=True)),
        *(("brier", m, v) for m, v in zip(MONTHS, brier_score(observed, observed, predicted, MONTHS)[1], strict=True)),
        ("integrated_brier", np.nan, integrated_brier_score(observed, observed, predicted, MONTHS)),
        ("concordance_uno", 24.0, concordance_index_ipcw(observed, observed, -predicted.mean(axis=1), tau=24.0)[0]),
        ("concordance_harrell", np.nan, concordance_index_censored(status == 1, months, -predicted.mean(axis=1))[0]),
    ]
    return pd.DataFrame(told, columns=["quantity", "month", "value"])


if __name__ == "__main__":
    made = make_rows()
    made.to_csv(HERE / "duration.csv", index=False)
    compute_expected(made).to_csv(HERE / "duration_expected.csv", index=False)
