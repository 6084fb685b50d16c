"""``paincast plan --html`` and ``--serve``."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from paincast.cli.app import run


@pytest.fixture
def patient(tmp_path: Path) -> Path:
    file = tmp_path / "patient.yaml"
    file.write_text("indication: lumbar_facet\nage_years: 63\nactive_infection: false\n")
    return file


def test_a_page_is_written(patient, tmp_path, capsys):
    assert run(["plan", str(patient), "--html", "-o", str(tmp_path / "plan.html")]) == 0
    page = (tmp_path / "plan.html").read_text()
    assert '<article aria-labelledby="facet_rfa">' in page
    assert "63 years" in page
    assert "written" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--html", "--json"], "PC-CLI-40"),
        (["--serve"], "PC-CLI-41"),
        (["--html"], "PC-CLI-43"),
        (["--html", "-o", "page.html", "--language", "klingon"], "PC-PLAN-40"),
        (["--language", "en"], "PC-CLI-44"),
        (["--json", "--language", "pseudo"], "PC-CLI-44"),
        (["--port", "0"], "PC-CLI-45"),
        (["--preferences", "."], "PC-FILES-06"),
        (["--prices", "."], "PC-FILES-06"),
        (["--comparison", "."], "PC-FILES-13"),
    ],
)
def test_what_does_not_go_together_is_one_line(patient, arguments, code, capsys, monkeypatch):
    monkeypatch.chdir(patient.parent)
    assert run(["plan", str(patient), *arguments]) == 2
    told = capsys.readouterr().err.strip()
    assert code in told
    assert "\n" not in told
    assert not Path("page.html").exists()


@pytest.mark.parametrize("arguments", [[], ["--html", "-o", "page.html"], ["--json"]])
def test_a_folder_is_no_patient(arguments, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(["plan", str(tmp_path), *arguments]) == 2
    told = capsys.readouterr()
    assert "PC-READING-33" in told.err
    assert told.err.count("\n") == 1
    assert not told.out
    assert not Path("page.html").exists()


@pytest.mark.parametrize("name", ["plan.html", "plan.json", "plan.txt"])
def test_folders_on_the_way_to_the_output_are_made_as_other_commands_do(patient, tmp_path, name):
    out = tmp_path / "new" / "folder" / name
    form = {".html": ["--html"], ".json": ["--json"], ".txt": []}[out.suffix]
    assert run(["plan", str(patient), *form, "-o", str(out)]) == 0
    assert out.stat().st_size > 1000


def test_a_patient_or_a_form_is_needed(capsys):
    assert run(["plan"]) == 2
    assert "PC-CLI-42" in capsys.readouterr().err


@pytest.mark.slow
def test_the_form_is_served_until_it_is_stopped():
    command = [sys.executable, "-m", "paincast", "plan", "--serve", "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    ) as server:
        try:
            assert server.stdout is not None
            address = re.search(r"http://127\.0\.0\.1:\d+", server.stdout.readline())
            assert address is not None
            assert requests.get(address[0], timeout=30).status_code == 200
        finally:
            server.send_signal(signal.SIGINT)
    assert server.returncode in (0, 130)
