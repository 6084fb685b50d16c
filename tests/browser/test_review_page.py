"""What a reviewer sees in a browser: the list of runs, a run, its report in MLflow and alone, the champion.

One module, so that store, server and browser are made once by each worker that runs a part of it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

pytestmark = pytest.mark.slow

tour = pytest.importorskip("review_pictures")
pytest.importorskip("playwright", reason="playwright is not installed; it is of the developers' lock")
if tour.find_browser() is None:
    pytest.skip(f"no browser found; install one of: {', '.join(tour.BROWSERS)}", allow_module_level=True)

PORT = 5400 + 100 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
"""Workers that start together look for a free port apart from each other."""

PAPER = 718
"""Width of an A4 sheet between its margins, in pixels."""

WIDTHS = pytest.mark.parametrize("width", [tour.DESKTOP, tour.PHONE])
MLFLOW_ASKS = {"/ajax-api/2.0/mlflow/users/current": "404"}
"""What MLflow's page asks of a server without a login, and the error that the console then tells."""

CARD = "It is for research and for trying the software out"
BROKEN = "[...document.images].filter(image => !(image.naturalWidth > 0 && image.alt.trim())).length"


@dataclass
class Review:
    """The tour's store with a champion, served, and a browser that looks at it."""

    folder: Path
    address: str
    browser: object

    @property
    def host(self) -> str:
        return self.address.partition("#")[0]

    @property
    def run_page(self) -> str:
        return self.host + tour.find_champion(self.folder)[0]

    @property
    def version_page(self) -> str:
        return self.host + tour.find_champion(self.folder)[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tour")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        tour.train_models(folder)
    return folder


@pytest.fixture(scope="module")
def review(folder) -> Iterator[Review]:
    with tour.serve(folder, PORT) as address, tour.open_browser() as browser:
        yield Review(folder, address, browser)


@pytest.fixture
def look(review) -> Iterator[Callable[..., object]]:
    """Open an address at a width; afterwards no page may have told an error or asked for anything elsewhere."""
    told: list[str] = []
    pages = []

    def note(message) -> None:
        expected = MLFLOW_ASKS.get(urlsplit(message.location["url"]).path)
        if message.type == "error" and not (expected and expected in message.text):
            told.append(f"{message.text} ({message.location['url']})")

    def note_request(request) -> None:
        if not request.url.startswith((review.host, f"blob:{review.host}", "data:", "file:")):
            told.append(f"asked for {request.url}")

    def open_page(address: str, width: int = tour.DESKTOP):
        page = review.browser.new_page(viewport={"width": width, "height": tour.HEIGHT})
        page.on("console", note)
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("request", note_request)
        page.goto(address)
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert told == []


def find_page(review: Review, name: str) -> Path:
    (file, *_) = review.folder.glob(f"artifacts/*/artifacts/report/{name}")
    return file


def check_page(frame) -> None:
    """Hold a whole page of ours to: it fits its width, and every picture is there, with words for it."""
    frame.wait_for_function(tour.PICTURES)
    assert frame.evaluate("document.images.length") > 0
    assert frame.evaluate(BROKEN) == 0
    assert frame.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0


def test_the_list_of_runs_shows_technique_basis_and_verdict(review, look):
    page = look(review.address)
    for column in ("technique", "basis", "verdict"):
        page.locator(f'.ag-header-cell[col-id="tags.`{column}`"]', has_text=column).wait_for()
    rows = page.locator(".ag-center-cols-container .ag-row")
    rows.nth(2).wait_for()
    shown = [
        tuple(row.locator(f'[col-id="tags.`{column}`"]').inner_text() for column in ("technique", "basis", "verdict"))
        for row in rows.all()
    ]
    assert sorted(shown) == [
        ("si_joint_rfa", "synthetic", "refused"),
        ("spinal_cord_stimulation", "synthetic", "passes"),
        ("spinal_cord_stimulation", "synthetic", "refused"),
    ]
    verdict = page.locator('.ag-header-cell[col-id="tags.`verdict`"]').bounding_box()
    edge = page.locator(".ag-center-cols-viewport").bounding_box()
    assert verdict["x"] + verdict["width"] <= edge["x"] + edge["width"]


def test_a_run_tells_its_verdict_and_shows_its_calibration(review, look):
    page = look(review.run_page)
    page.get_by_text(re.compile(r"passes gate 'research' \(\d+ criteria, research use only\)")).first.wait_for()
    page = look(f"{review.run_page}/artifacts/figures/calibration/calibration.png")
    picture = page.locator("img[src^='blob:'], img[src*='calibration']").first
    picture.wait_for()
    page.wait_for_function(tour.PICTURES)
    assert picture.evaluate("image => image.naturalWidth") > 500
    assert picture.bounding_box()["width"] > 300


@WIDTHS
def test_the_report_renders_inside_mlflow(review, look, width):
    page = look(f"{review.run_page}/artifacts/report/report.html", width)
    page.locator("iframe").wait_for(state="attached")
    frame = page.locator("iframe").element_handle().content_frame()
    frame.locator("h1", has_text="Spinal cord stimulation").wait_for(state="attached")
    check_page(frame)


@WIDTHS
@pytest.mark.parametrize("name", ["report.html", "overview.html"])
def test_a_page_renders_alone(review, look, width, name):
    file = find_page(review, name)
    page = look(file.as_uri(), width)
    page.locator("h1").wait_for()
    check_page(page)


@pytest.mark.parametrize("name", ["report.html", "overview.html"])
def test_no_page_is_cut_off_on_paper(review, look, name):
    file = find_page(review, name)
    page = look(file.as_uri(), PAPER)
    page.emulate_media(media="print")
    check_page(page)


def test_the_champion_is_named_and_shows_its_card(review, look):
    page = look(f"{review.host}#/models/{tour.MODEL}")
    page.get_by_text("@ champion").wait_for()
    page = look(review.version_page)
    for words in ("@ champion", "Research use only.", "What it answers", "Limits", CARD):
        page.get_by_text(words).first.wait_for()
