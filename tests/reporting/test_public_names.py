"""The public names of the room."""

from __future__ import annotations

import subprocess
import sys

import pytest

from paincast import reporting


@pytest.mark.parametrize("name", reporting.__all__)
def test_each_public_name_leads_to_what_it_names(name: str) -> None:
    assert getattr(reporting, name).__name__ == name


def test_the_room_is_imported_without_matplotlib() -> None:
    code = "import sys, paincast.reporting; print(sorted({'matplotlib', 'pandas', 'jinja2'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
