"""The report of a simulated cohort: whole, self-contained, readable without its pictures, and telling the truth."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from paincast.cohort.tables import Cohort, conform, save_cohort
from paincast.errors import RefusalError
from paincast.evaluation.simulated import baseline as numbers
from paincast.reporting.figures.axes import make_axes
from paincast.reporting.page import Figure, Section, write_page
from paincast.reporting.simulation import report_simulation
from paincast.schema import TABLES
from paincast.simulator import write_cohort

VOID = {"meta", "img", "br", "hr", "link"}


class Outline(HTMLParser):
    """Collects what a reader without pictures gets, and checks that elements are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def find(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.seen if name == tag]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "cohort"
    write_cohort(path, techniques=["epidural_steroid_injection"], episodes_per_technique=900, seed=3)
    return path


@pytest.fixture(scope="module")
def report(folder: Path) -> str:
    path = folder.parent / "report.html"
    assert report_simulation(folder, path) == 900
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def outline(report: str) -> Outline:
    parsed = Outline()
    parsed.feed(report)
    assert parsed.open == []
    return parsed


def test_the_page_needs_nothing_but_itself(report: str) -> None:
    assert len(report.encode()) < 3_000_000
    addresses = re.findall(r'(?:src|href)="([^"]*)"', report)
    assert all(address.startswith(("#", "data:image/svg+xml;base64,")) for address in addresses)
    assert "<script" not in report
    assert "@import" not in report
    assert "url(" not in report


def test_every_picture_has_words_and_is_drawn(outline: Outline) -> None:
    images = outline.find("img")
    assert len(images) > 10
    for image in images:
        assert len(image["alt"] or "") > 20
        drawn = base64.b64decode((image["src"] or "").partition(",")[2])
        assert ElementTree.fromstring(drawn).tag.endswith("svg")


def test_headings_and_links_lead_somewhere(outline: Outline, report: str) -> None:
    assert len(outline.find("h1")) == 1
    ids = {section["id"] for section in outline.find("section")}
    linked = {(link["href"] or "").removeprefix("#") for link in outline.find("a")}
    assert ids == linked
    assert ids >= {"response", "marginals", "correlation", "overlap", "ceiling", "missing", "loss"}
    assert "synthetic" in report


@pytest.mark.slow
def test_the_same_cohort_gives_the_same_page(folder: Path, report: str) -> None:
    report_simulation(folder, folder.parent / "again.html")
    assert (folder.parent / "again.html").read_text(encoding="utf-8") == report


def test_a_real_cohort_has_no_such_report(tmp_path: Path) -> None:
    empty = {name: conform(name, pd.DataFrame()) for name in TABLES}
    save_cohort(Cohort(**empty, basis="real"), tmp_path / "real")
    with pytest.raises(RefusalError, match="not simulated"):
        report_simulation(tmp_path / "real", tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_text_from_outside_is_escaped() -> None:
    section = Section(
        name="s",
        title="<i>",
        text="a & b",
        figures=[Figure(image=make_axes(), alt='"quoted" <b>')],
        numbers=pd.DataFrame({"<x>": ["<script>"]}),
    )
    page = write_page("<t>", "<n>", {"<k>": "<v>"}, [section])
    assert not re.search(r"<(i|b|x|t|n|k|v|script)>", page)
    assert "a &amp; b" in page


@pytest.mark.parametrize("field", ["name", "title", "text", "verdict", "items", "tables", "folded", "figures"])
def test_hostile_text_is_escaped_wherever_it_stands(field: str) -> None:
    hostile = '"><script>alert(1)</script>'
    values: dict[str, object] = {
        "items": [hostile],
        "tables": {hostile: pd.DataFrame({hostile: [hostile]})},
        "folded": {hostile: [hostile]},
        "figures": [Figure(image=b"", alt=hostile, caption=hostile)],
    }
    section = Section(**{"name": "s", "title": "t", "text": "x", field: values.get(field, hostile)})  # type: ignore[arg-type]
    page = write_page("page", "note", {}, [section])
    assert "<script" not in page
    assert page.count("&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;") >= 1


def test_overlap_is_one_where_choice_is_by_lot_and_small_where_it_is_not() -> None:
    ids = [f"e{place}" for place in range(400)]
    had = np.tile(["nerve_root_block", "facet_rfa"], 200)
    episodes = pd.DataFrame({"episode_id": ids, "technique": had, "indication": "lumbar_facet", "approach": np.nan})
    episodes["approach"] = episodes["approach"].astype("str")
    propensity = pd.DataFrame({"episode_id": ids, "technique": "facet_rfa", "approach": episodes["approach"]})
    lot = numbers.compute_overlap(episodes, propensity.assign(probability=0.5))
    assert set(lot["overlap"]) == {1.0}
    chosen = numbers.compute_overlap(episodes, propensity.assign(probability=np.where(had == "facet_rfa", 0.9, 0.1)))
    assert set(chosen["overlap"]) == {0.0}
    assert chosen.groupby("received")["share"].sum().tolist() == pytest.approx([1.0, 1.0])


def test_missingness_counts_only_where_a_column_is_recorded(folder: Path) -> None:
    episodes = pd.read_parquet(folder / "episodes.parquet")
    found = numbers.compute_missingness(episodes).set_index("column")
    assert found["missing"].is_monotonic_decreasing
    assert found.loc["catastrophizing_pcs", "missing"] == pytest.approx(0.2, abs=0.06)
    assert not set(found.index) & {"approach", "age_years", "episode_id"}
    assert (found["least"] <= found["missing"]).all()
    assert (found["missing"] <= found["most"]).all()
