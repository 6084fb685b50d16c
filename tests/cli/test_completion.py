"""Shell completion: commands by click, settings of `train` by Hydra."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paincast.cli.completion import split_at_cursor

SCRIPT = Path(sys.executable).with_name("paincast")


def complete(*words: str, shell: str = "bash") -> list[str]:
    """Ask for completions of the last word as a shell would."""
    asked = {
        "COMP_WORDS": " ".join(["paincast", *words]),
        "COMP_CWORD": str(len(words)),
        "_PAINCAST_COMPLETE": f"{shell}_complete",
    }
    done = subprocess.run([SCRIPT], env={**os.environ, **asked}, capture_output=True, text=True, check=True)
    return [line.partition(",")[2] for line in done.stdout.split()]


def test_commands_are_completed():
    assert complete("tr") == ["train"]


def test_choices_of_a_group_are_completed():
    assert "technique=genicular_rfa" in complete("train", "technique=")
    assert complete("train", "evaluation=qu") == ["evaluation=quick"]


def test_bash_takes_a_setting_apart_and_gets_only_the_rest():
    assert complete("train", "evaluation", "=", "qu") == ["quick"]
    assert complete("train", "model", "=", "xgboost", "evaluation", "=") == ["default", "quick", "thorough"]


@pytest.mark.slow
def test_names_of_settings_are_completed():
    assert complete("train", "cohort.se") == ["cohort.seed="]
    assert {"cohort=", "cohort."} <= set(complete("train", "model=xgboost", "co"))


def test_options_of_other_commands_are_completed():
    assert complete("predict", "--techn") == ["--techniques", "--technique"]
    assert complete("predict", "--no-i") == ["--no-interval"]


@pytest.mark.slow
@given(
    st.lists(st.from_regex(r"[a-z_]{1,8}=[a-z0-9_.,\[\]]{1,8}", fullmatch=True), max_size=4),
    st.from_regex(r"[a-z_]{1,8}=[a-z0-9_.]{0,8}", fullmatch=True),
)
def test_what_bash_takes_apart_is_joined_again(before, word):
    pieces = [piece for override in before for piece in override.partition("=")]
    name, equals, rest = word.partition("=")
    joined, typed = split_at_cursor([*pieces, name, equals], rest)
    assert (joined, typed + rest) == (before, word)
    assert split_at_cursor(before, word) == (before, "")


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_the_script_for_bash_completes_in_bash(tmp_path):
    script = subprocess.run([SCRIPT, "completion", "bash"], capture_output=True, text=True, check=True).stdout
    (tmp_path / "completion.sh").write_text(script)
    asked = """
        source completion.sh
        compopt() { echo "compopt $1 $2"; }
        COMP_WORDS=(paincast train evaluation = qu) COMP_CWORD=4
        _paincast_completion "$PAINCAST"
        echo "${COMPREPLY[@]}"
        COMPREPLY=() COMP_WORDS=(paincast train cohort.se) COMP_CWORD=2
        _paincast_completion "$PAINCAST"
        echo "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", asked],
        cwd=tmp_path,
        env={**os.environ, "PAINCAST": str(SCRIPT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["quick", "compopt -o nospace", "cohort.seed="]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_there_is_a_script_for_other_shells(shell):
    done = subprocess.run([SCRIPT, "completion", shell], capture_output=True, text=True, check=True)
    assert "_PAINCAST_COMPLETE" in done.stdout
