"""Figures of explanations: what is drawn is what was computed, and of real patients groups alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from paincast.explain import Explanation, ExplanationReview, compute_waterfall
from paincast.reporting.figures.axes import make_axes
from paincast.reporting.figures.explanation import (
    describe_dependence,
    describe_ranked_importance,
    draw_dependence,
    plot_ranked_importance,
)
from paincast.reporting.figures.report import Results, draw_figures
from paincast.reporting.figures.waterfall import describe_waterfall, plot_waterfall

N = 60


def make_review() -> ExplanationReview:
    importance = pd.DataFrame(
        [
            ("depression", 0.3, 0.2, 0.4, 1, 1, 2, "less", "less", "agrees", "moderate or strong", "m"),
            ("work_status", 0.2, 0.1, 0.3, 2, 1, 3, "working: more", "working: less", "conflicts", "weaker", "m"),
            ("odi", 0.1, 0.0, 0.2, 3, 2, 4, "less", "unclear", "undecided", "weaker", "m"),
            ("sex", 0.05, 0.0, 0.1, 4, 4, 4, "", "no order", "no published direction", "", "m"),
        ],
        columns=[
            *("variable", "importance", "lower", "upper", "rank", "rank_lower", "rank_upper"),
            *("evidence_direction", "learned_direction", "verdict", "evidence_strength", "method"),
        ],
    )
    groups = [
        ("depression", "no", np.nan, 0.1, 0.05, 0.2, 40),
        ("depression", "yes", np.nan, -0.4, -0.5, -0.2, 20),
        ("work_status", "working", np.nan, -0.2, -0.3, -0.1, 30),
        ("work_status", "not_working", np.nan, 0.2, 0.1, 0.3, 30),
        ("odi", "number", 20.0, 0.1, 0.0, 0.2, 25),
        ("odi", "number", 50.0, -0.1, -0.2, 0.0, 25),
        ("odi", "missing", np.nan, 0.02, -0.1, 0.1, 10),
    ]
    dependence = pd.DataFrame(groups, columns=["variable", "group", "value", "contribution", "lower", "upper", "n"])
    return ExplanationReview(importance=importance, dependence=dependence, n_refits=9, unseen=("scoliosis",))


def make_explanation(n: int = N) -> Explanation:
    rng = np.random.default_rng(0)
    values = pd.DataFrame(
        {
            "depression": pd.array(rng.random(n) < 0.4, dtype="boolean"),
            "work_status": pd.Series(rng.choice(["working", "not_working"], n), dtype="str"),
            "odi": np.where(rng.random(n) < 0.2, np.nan, rng.normal(40, 10, n)),
            "sex": pd.Series(rng.choice(["female", "male"], n), dtype="str"),
        }
    )
    contributions = pd.DataFrame(rng.normal(0, 0.3, (n, 4)), columns=list(values))
    return Explanation(base=np.full(n, 0.2), contributions=contributions, values=values)


def list_texts(figure: Figure) -> list[str]:
    found = [text.get_text() for ax in figure.axes for text in ax.texts]
    return [*found, *(text.get_text() for text in figure.texts)]


def count_dots(figure: Figure) -> int:
    return sum(
        len(held.get_offsets()) for ax in figure.axes for held in ax.collections if isinstance(held, PathCollection)
    )


def drawn_ends(ax: Axes) -> list[float]:
    return [float(line.get_xdata()[0]) for line in ax.lines if line.get_marker() not in ("None", None, "")]


def test_importance_shows_size_rank_and_verdict():
    ax = plot_ranked_importance(make_review(), make_axes(), basis="synthetic")
    figure = ax.figure
    figure.canvas.draw()
    assert drawn_ends(ax) == [0.3, 0.2, 0.1, 0.05]
    told = list_texts(figure)
    assert {"1 (1–2)", "2 (1–3)", "3 (2–4)", "4", "SYNTHETIC EVIDENCE"} <= set(told)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "agrees with what is published",
        "conflicts with what is published",
        "published, but no direction is sure",
        "no published direction",
    ]


def test_the_caption_names_each_conflict_and_what_is_not_seen():
    said = describe_ranked_importance(make_review())
    assert said.startswith("Mean size of the contribution (log odds): depression (0.3, rank 1 to 2), work status (0.2,")
    assert "1 agree with it, 1 conflict and" in said
    assert "agreement confirms nothing" in said
    assert "Conflicts: work status (published: working: more; learned: working: less; evidence weaker)." in said
    assert said.endswith("Published, but not seen by the model: scoliosis.")
    assert "no refits" not in said
    assert "no refits" in describe_ranked_importance(replace(make_review(), n_refits=0))


def test_a_model_without_reasons_says_so():
    review = make_review()
    still = review.importance.assign(importance=0.0)
    none = ExplanationReview(importance=still, dependence=review.dependence.head(0), n_refits=9)
    assert describe_ranked_importance(none).startswith("Contributions: no variable moves the prediction")
    assert describe_dependence(none) == "Dependence: no group of patients is large enough to show."
    draw_dependence(none, basis="real").canvas.draw()


def test_dependence_of_real_patients_draws_no_patient():
    figure = draw_dependence(make_review(), basis="blended")
    figure.canvas.draw()
    assert count_dots(figure) == 0
    panels = [ax.get_xlabel() for ax in figure.axes if ax.axison]
    assert panels == ["work status", "depression", "disability (ODI) (ODI points)"]
    assert "BLENDED EVIDENCE" in list_texts(figure)
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles[0] == "published: working: more\nconflicts (learned: working: less)"
    assert titles[1] == "published: less\nagrees"
    dotted = draw_dependence(make_review(), basis="synthetic", explanation=make_explanation())
    assert count_dots(dotted) > 20


@pytest.mark.parametrize("unit", ["log_odds", "points"])
def test_a_waterfall_is_drawn_as_it_was_computed(unit):
    steps = compute_waterfall(make_explanation(), 5, most=2)
    ax = plot_waterfall(steps, make_axes(), basis="real", unit=unit)
    moves = steps[steps["step"].isin(["variable", "rest"])]
    np.testing.assert_allclose([bar.get_width() for bar in ax.patches], moves["contribution"])
    said = describe_waterfall(steps, unit=unit)
    assert said.startswith("From +0.20, that is 55 % (log odds) to" if unit == "log_odds" else "From +0.20 points")


def test_real_patients_are_explained_in_groups_alone():
    for simulated in (True, False):
        results = Results(
            explanation=make_explanation(), review=make_review(), basis="real", simulated=simulated, tables={}
        )
        drawn = draw_figures(results)
        names = {"shap_importance", "shap_contributions", "shap_dependence", "shap_low", "shap_high"}
        assert set(drawn) == {f"explanation/{name}" for name in names}
        assert (count_dots(drawn["explanation/shap_dependence"][0]) > 0) == simulated
        assert all(caption.endswith(".") for _, caption in drawn.values())
    few = draw_figures(replace(results, explanation=make_explanation(12)))
    assert "explanation/shap_low" not in few
