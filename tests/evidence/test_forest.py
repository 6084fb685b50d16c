"""Published rates as a frame and as a picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from paincast.evidence import load_record, load_records
from paincast.evidence.figures import TAG_OF_SUPPORT
from paincast.reporting.evidence.forest import collect_rates
from paincast.reporting.figures.forest import make_forest_axes, plot_forest, save_forest
from paincast.statistics import compute_wilson_interval


def test_every_published_rate_is_there_with_its_interval_and_where_it_comes_from() -> None:
    rates = collect_rates(load_records())
    published = rates[rates["kind"] == "published"]
    assert len(published) == sum(len(record.published) for record in load_records())
    known = rates[rates["lower"].notna()]
    assert (known["lower"] <= known["share"]).all()
    assert (known["share"] <= known["upper"]).all()
    assert set(rates.loc[rates["lower"].isna(), "interval"]) == {"none"}
    assert set(published["interval"]) == {"published", "computed", "none"}


def test_an_interval_is_computed_only_where_the_denominator_is_known() -> None:
    rates = collect_rates(load_records())
    published = rates[rates["kind"] == "published"].reset_index(drop=True)
    told = [rate for record in load_records() for rate in record.published]
    assert {rate.n is None for rate in told if rate.ci95 is None} == {True, False}
    for row, rate in zip(published.itertuples(), told, strict=True):
        if rate.ci95:
            assert (row.lower, row.upper, row.interval) == (*rate.ci95, "published")
        elif rate.n:
            assert (row.lower, row.upper) == pytest.approx(compute_wilson_interval(rate.share, rate.n))
            assert (row.n, row.interval) == (rate.n, "computed")
        else:
            assert row.interval == "none"


@pytest.mark.parametrize(
    ("share", "n", "expected"), [(0.0, 10, (0.0, 0.2775)), (1.0, 10, (0.7225, 1.0)), (0.5, 4, (0.1500, 0.8500))]
)
def test_wilson_at_the_ends(share: float, n: int, expected: tuple[float, float]) -> None:
    assert compute_wilson_interval(share, n) == pytest.approx(expected, abs=5e-4)


def test_expected_and_control_stand_beside_the_published() -> None:
    record = load_record("spinal_cord_stimulation", "failed_back_surgery")
    assert record.response
    assert record.primary_month
    rates = collect_rates([record])
    expected = rates[rates["kind"] == "expected"].iloc[0]
    point = record.response.points[record.primary_month]
    assert (expected["share"], expected["lower"], expected["upper"]) == (
        point.share,
        point.predicted_lower,
        point.predicted_upper,
    )
    assert expected["tag"] == TAG_OF_SUPPORT[point.support]
    control = rates[rates["kind"] == "control"]
    assert len(control) >= 1
    assert control["share"].tolist() == [item.share for item in record.own_comparators]
    assert control["month"].tolist() == [item.month for item in record.own_comparators]
    assert collect_rates([load_record("facet_rfa")])["kind"].eq("control").sum() == 0


@pytest.mark.slow
def test_no_row_of_the_picture_is_lost_and_no_text_leaves_it() -> None:
    rates = collect_rates(load_records())
    ax = plot_forest(rates, make_forest_axes(rates))
    figure = ax.get_figure()
    assert figure is not None
    figure.canvas.draw()
    width = figure.bbox.width
    boxes = [text.get_window_extent() for text in ax.texts]
    assert len(boxes) == 2 * len(rates) + rates["record"].nunique()
    assert min(box.x0 for box in boxes) >= 0
    assert max(box.x1 for box in boxes) <= width


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_same_evidence_gives_the_same_file(tmp_path: Path, suffix: str) -> None:
    rates = collect_rates([load_record("si_joint_rfa")])
    files = [tmp_path / f"{name}{suffix}" for name in "ab"]
    for file in files:
        save_forest(rates, file)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].stat().st_size > 10_000
