from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PathCollection
from scipy.special import expit

from paincast.evaluation.performance.calibration_by_groups import compute_risk_histogram
from paincast.evaluation.validation.delta_adjusted import compute_tipping_point
from paincast.evaluation.validation.stability import compute_instability, compute_instability_by_bin
from paincast.explain import Explanation
from paincast.reporting.figures.axes import make_axes
from paincast.reporting.figures.contributions import describe_contributions, plot_contributions
from paincast.reporting.figures.performance import describe_calibration, plot_calibration, summarize_calibration
from paincast.reporting.figures.report import FIGURES, Results, draw_figures
from paincast.reporting.figures.robustness import (
    describe_instability,
    describe_tipping_point,
    plot_instability,
    plot_tipping_point,
)
from paincast.training.instability import Instability

N = 60
REASONS = {"explanation/shap_contributions"}


def make_curve(n_bins: int = 3) -> pd.DataFrame:
    predicted = np.linspace(0.2, 0.7, n_bins)
    bounds = {"lower": predicted - 0.1, "upper": predicted + 0.15}
    return pd.DataFrame(
        {"bin": range(1, n_bins + 1), "predicted": predicted, "observed": predicted + 0.05, **bounds, "n": 20}
    )


def make_metrics(**missing: tuple[str, ...]) -> pd.DataFrame:
    names = ("auroc", "log_loss", "brier", "o_e_ratio", "calibration_intercept", "calibration_slope")
    rows = pd.DataFrame(
        {
            "metric": names,
            "group": "overall",
            "estimate": 0.704,
            "lower": 0.601,
            "upper": 0.808,
            "n": 1234,
            "method": "m",
        }
    )
    for column, metrics in missing.items():
        rows.loc[rows["metric"].isin(metrics), column] = np.nan
    return rows


def make_explanation(n: int = N) -> Explanation:
    rng = np.random.default_rng(0)
    values = pd.DataFrame(
        {
            "pain_nrs": rng.integers(3, 11, n).astype(float),
            "depression": pd.array(rng.random(n) < 0.4, dtype="boolean"),
            "sex": pd.Series(rng.choice(["female", "male"], n), dtype="str"),
            "bmi": np.where(rng.random(n) < 0.3, np.nan, rng.normal(28, 4, n)),
        }
    )
    contributions = pd.DataFrame(
        {
            "pain_nrs": 0.3 * (values["pain_nrs"] - 6.5),
            "depression": np.where(values["depression"], -0.4, 0.2),
            "sex": np.where(values["sex"] == "male", 0.05, -0.05),
            "bmi": (0.01 * (values["bmi"] - 28)).fillna(0.0),
        }
    )
    return Explanation(base=np.zeros(n), contributions=contributions, values=values)


def make_instability(n: int = N) -> Instability:
    rng = np.random.default_rng(0)
    margins = rng.normal(0.0, 1.0, n)
    served, refits = expit(margins), expit(margins + rng.normal(0.0, 0.3, (12, n)))
    metrics = compute_instability(served, refits, rng=rng, resamples=50)
    return Instability(metrics=metrics, bins=compute_instability_by_bin(served, refits))


def make_sweep(n: int = N, lost: float = 0.3) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    outcome = np.where(np.arange(n) < lost * n, np.nan, (rng.random(n) < 0.5).astype(float))
    return compute_tipping_point(outcome, np.zeros(n))


def texts(ax):
    return [text.get_text() for text in ax.texts]


def n_points(ax):
    return sum(len(dots.get_offsets()) for dots in ax.collections if isinstance(dots, PathCollection))


def test_calibration_draws_every_group_with_its_interval():
    curve = make_curve()
    ax = plot_calibration(curve, make_metrics(), make_axes(), basis="synthetic")
    (container,) = ax.containers
    line, _, (bars,) = container.lines
    np.testing.assert_allclose(line.get_xydata(), curve[["predicted", "observed"]])
    drawn = np.array([[segment[0][1], segment[1][1]] for segment in bars.get_segments()])
    np.testing.assert_allclose(drawn, curve[["lower", "upper"]])


def test_calibration_says_what_cannot_be_estimated():
    metrics = make_metrics(estimate=("calibration_slope",), lower=("calibration_slope", "auroc"), upper=("auroc",))
    said = summarize_calibration(metrics).splitlines()
    assert "Slope not estimable" in said
    assert "AUROC 0.70 (no interval)" in said
    assert "O/E 0.70 (0.60 to 0.81)" in said
    assert said[-1] == "n = 1,234"
    assert summarize_calibration(metrics) in texts(plot_calibration(make_curve(), metrics, make_axes(), basis="real"))


def test_no_number_is_minus_nothing():
    assert "-0.00" not in summarize_calibration(make_metrics().assign(estimate=-0.001))


def test_bars_of_few_patients_are_not_drawn():
    few_and_many = compute_risk_histogram([0.05] * 4 + [0.5] * 40 + [0.95] * 6)
    ax = plot_calibration(make_curve(), make_metrics(), make_axes(), basis="real", histogram=few_and_many)
    areas = np.array([bar.get_height() * bar.get_width() for bar in ax.patches])
    np.testing.assert_allclose(50 * areas / areas.sum(), few_and_many["n"])
    assert sum(areas > 0) == 2


def test_calibration_without_groups_still_draws():
    ax = plot_calibration(make_curve(0), make_metrics(), make_axes(), basis="real")
    assert "Observed frequency" in ax.get_ylabel()
    assert describe_calibration(make_curve(0), make_metrics()).startswith("Calibration: too few patients to group.")


@pytest.mark.parametrize(
    ("basis", "mark"), [("synthetic", "SYNTHETIC EVIDENCE"), ("blended", "BLENDED EVIDENCE"), ("real", None)]
)
def test_basis_is_marked_on_every_figure(basis, mark):
    explanation, instability = make_explanation(), make_instability()
    drawn = [
        plot_calibration(make_curve(), make_metrics(), make_axes(), basis=basis),
        plot_contributions(explanation, make_axes(), basis=basis, simulated=basis == "synthetic"),
        plot_instability(instability.bins, instability.metrics, make_axes(), basis=basis),
        plot_tipping_point(make_sweep(), make_axes(), basis=basis),
    ]
    for ax in drawn:
        assert [text for text in texts(ax) if "EVIDENCE" in text] == ([mark] if mark else [])


def test_captions_name_the_strongest():
    assert describe_contributions(pd.Series({"bmi": 0.1, "pain_nrs": 0.512})).endswith(
        "baseline pain (0.51), BMI (0.1)."
    )
    assert "same probability" in describe_contributions(pd.Series({"bmi": 0.0}))


def test_simulated_patients_are_dots_and_real_ones_are_groups():
    explanation = make_explanation()
    simulated = plot_contributions(explanation, make_axes(), basis="synthetic", simulated=True)
    assert n_points(simulated) == explanation.contributions.size
    assert [label.get_text() for label in simulated.get_yticklabels()] == ["BMI", "sex", "depression", "baseline pain"]
    for basis in ("real", "blended"):
        grouped = plot_contributions(explanation, make_axes(), basis=basis, simulated=False)
        assert 0 < n_points(grouped) <= 6 * explanation.contributions.shape[1]
        assert "5 patients or more" in grouped.get_xlabel()


def test_shap_draws_the_same_figure_each_time_and_leaves_the_global_generator_alone():
    np.random.seed(5)
    expected = np.random.random()
    np.random.seed(5)
    dots = []
    for _ in range(2):
        ax = plot_contributions(make_explanation(), make_axes(), basis="synthetic", simulated=True)
        dots.append(np.vstack([np.asarray(shown.get_offsets()) for shown in ax.collections]))
    np.testing.assert_array_equal(*dots)
    assert np.random.random() == expected


def test_each_figure_is_declared_once():
    names = [figure.name for figure in FIGURES]
    assert len(set(names)) == len(names)
    sections = {"calibration", "validation", "benefit", "uncertainty", "explanation", "subgroups"}
    assert {name.partition("/")[0] for name in names} == sections


def test_instability_draws_groups_of_patients_and_no_patient():
    measured = make_instability()
    ax = plot_instability(measured.bins, measured.metrics, make_axes(), basis="real")
    (bars,) = (one for one in ax.collections if isinstance(one, LineCollection))
    drawn = np.array([[segment[0][1], segment[1][1]] for segment in bars.get_segments()])
    np.testing.assert_allclose(drawn, measured.bins[["lower", "upper"]])
    assert len(drawn) <= N / 5
    assert n_points(ax) == 0
    mean = measured.metrics.set_index("metric").loc["instability_mean", "estimate"]
    assert any(f"Mean {mean:.3f} (" in text for text in texts(ax))
    said = describe_instability(measured.bins, measured.metrics)
    assert said.startswith(f"Prediction instability in {len(drawn)} groups of patients: 12 refits lie {mean:.3f} (")


def test_instability_of_a_constant_model_still_draws():
    served = np.full(N, 0.4)
    rows = compute_instability(served, np.tile(served, (3, 1)), rng=np.random.default_rng(0), resamples=50)
    bins = compute_instability_by_bin(served, np.tile(served, (3, 1)))
    plot_instability(bins, rows, make_axes(), basis="real").figure.canvas.draw()
    assert "in 1 group of patients: 3 refits lie 0.000 (no interval)" in describe_instability(bins, rows)


def test_tipping_point_draws_the_sweep_and_marks_where_the_verdict_changes():
    sweep = make_sweep()
    ax = plot_tipping_point(sweep, make_axes(), basis="real")
    lines = {line.get_label(): line.get_xydata() for line in ax.lines}
    np.testing.assert_allclose(lines["O/E, with interval"], sweep[["shift", "o_e_ratio"]])
    tips = sweep[sweep["tips"]]
    assert len(tips) == 2
    np.testing.assert_allclose(lines["crosses a limit"], tips[["shift", "o_e_ratio"]])
    assert [text for text in texts(ax) if "odds" in text] == [f"odds × {odds:.2g}" for odds in tips["odds_ratio"]]
    said = describe_tipping_point(sweep)
    assert said.startswith("18 of 60 were lost to follow-up; as the log odds of their outcome shift from -2 to +2")
    assert f"crosses 0.9 or 1.1 at a shift of {tips['shift'].iloc[0]:+.2f}" in said


def test_a_verdict_that_no_plausible_shift_changes_stretches_no_axis():
    sweep = make_sweep()
    sweep.loc[sweep["tips"], "shift"] = [-15.0, 12.0]
    ax = plot_tipping_point(sweep.sort_values("shift"), make_axes(), basis="real")
    assert -3 < ax.get_xlim()[0] < ax.get_xlim()[1] < 3
    assert "No shift takes it across 0.9 or 1.1." in describe_tipping_point(sweep[~sweep["tips"]])


def make_results(instability: Instability, sweep: pd.DataFrame, **tables: pd.DataFrame) -> Results:
    measured = {"instability": instability.metrics, "instability_bins": instability.bins, "tipping_point": sweep}
    return Results(
        explanation=make_explanation(),
        basis="real",
        simulated=False,
        tables={"metrics": make_metrics()} | measured | tables,
    )


def test_nothing_is_drawn_of_nobody():
    assert set(draw_figures(make_results(make_instability(4), make_sweep(lost=0.0)))) == REASONS


def test_real_patients_explained_by_a_model_of_simulated_ones_are_groups():
    explanation = make_explanation()
    ax = plot_contributions(explanation, make_axes(), basis="synthetic", simulated=False)
    assert n_points(ax) <= 6 * explanation.contributions.shape[1]
    assert "5 patients or more" in ax.get_xlabel()
    assert "SYNTHETIC EVIDENCE" in texts(ax)


def test_figures_come_with_captions_and_leave_no_global_state(monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)  # another test may have imported it
    pictures = draw_figures(make_results(make_instability(), make_sweep(), calibration_curve=make_curve()))
    robustness = {"uncertainty/instability", "uncertainty/tipping_point"}
    assert set(pictures) == {"calibration/calibration", *REASONS, *robustness}
    assert all(picture.caption.endswith(".") for picture in pictures.values())
    assert "matplotlib.pyplot" not in sys.modules
