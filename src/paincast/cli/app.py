"""The command group, and how errors are reported."""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
from collections.abc import Sequence

import click

from paincast import __version__
from paincast.cli import compare, completion, data, declarations, evaluate, evidence, model, registry, serve
from paincast.cli.terminal.printing import echo
from paincast.environment import forget_values, hide_values
from paincast.errors import PaincastError

EXIT_BUG = 1
EXIT_ERROR = 2
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="%(prog)s %(version)s")
def paincast() -> None:
    """Calibrated outcome predictions for image-guided pain procedures.

    Research software: no output is medical advice. Every output states the evidence it is based on.

    \b
    From a registry to predictions:
      paincast fetch caudal_esi_2018
      paincast ingest caudal_esi_2018 -o data/cohorts/caudal_esi_2018
      paincast train experiment=caudal_esi_2018
      paincast review
      paincast promote paincast.epidural_steroid_injection.pain_response@candidate   (refused: too few patients)
      paincast predict patients.csv -o predictions.csv

    \b
    Without your own data:
      paincast train technique=facet_rfa          (on a cohort simulated from published evidence)

    \b
    Exit codes: 0 success; 1 a bug in paincast; 2 an error you can fix, described in one line; 3 more
    rejects than allowed; 130 interrupted; 143 terminated.
    """  # noqa: D301


# Every command of these modules; one that a module imports from another is the same object.
for module in (compare, completion, data, declarations, evaluate, evidence, model, registry, serve):
    for command in vars(module).values():
        if isinstance(command, click.Command):
            paincast.add_command(command)


class Terminated(KeyboardInterrupt):
    """Raised on SIGTERM, so that the same cleanup runs as after Ctrl-C."""


def main() -> None:
    """Run the console script."""
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(run(sys.argv[1:]))


def _terminate(*_: object) -> None:
    raise Terminated


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; errors are printed on stderr.

    Parameters
    ----------
    arguments : sequence of str
        Arguments after ``paincast`` on the command line.

    Returns
    -------
    int
        0 success, 1 a bug, 2 an error the user can fix, 3 too many rejects, 130 interrupted, 143 terminated.
    """
    forget_values()
    try:
        return paincast.main(list(arguments), prog_name="paincast", standalone_mode=False) or 0
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        echo(shown.getvalue(), err=True, nl=False)
        return error.exit_code
    except SystemExit as stop:
        return int(stop.code or 0)
    except (click.Abort, KeyboardInterrupt) as stop:
        cause = stop.__cause__ or stop
        echo(str(cause) or "interrupted; no partial output was left", err=True)
        return EXIT_TERMINATED if isinstance(cause, Terminated) else EXIT_INTERRUPTED
    except PaincastError as error:
        code = f" [{error.code}]" if error.code else ""
        echo(f"error: {' '.join(hide_values(str(error)).split())}{code}", err=True)
        return EXIT_ERROR
    except Exception as error:
        _report_bug(error)
        return EXIT_BUG


def _report_bug(error: Exception) -> None:
    """Print the traceback without the exception's message, which could contain a patient's value."""
    if os.environ.get("PAINCAST_DEBUG") == "1":
        traceback.print_exception(error)
        return
    echo("".join(traceback.format_tb(error.__traceback__)).rstrip(), err=True)
    echo(
        f"bug: {type(error).__name__}; please report the lines above. The message is withheld because it could quote "
        "a patient's value; PAINCAST_DEBUG=1 shows them.",
        err=True,
    )
