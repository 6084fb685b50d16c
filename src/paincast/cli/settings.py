"""The command that lists the settings of a training run."""

from __future__ import annotations

import click

from paincast.cli.tables import print_table

LONGEST_DEFAULT = 60
"""Characters; a longer default is named by the number of its items."""


@click.command("settings")
@click.argument("name", required=False)
def print_settings(name: str | None) -> None:
    """List the settings of `paincast train` with their defaults, the values allowed and what they mean.

    NAME is a group or a setting; without it all are listed.

    \b
    Examples:
      paincast settings                        every setting
      paincast settings evaluation             one group
      paincast settings evaluation.folds       one setting
    """  # noqa: D301
    import pandas as pd

    from paincast.settings import TrainingSettings, list_settings
    from paincast.settings.declare import describe_type, show_default
    from paincast.settings.keywords import unknown_setting

    declared = list(list_settings(TrainingSettings))
    chosen = [one for one in declared if name is None or one.name == name or one.name.startswith(f"{name}.")]
    if name is not None and not chosen:
        raise unknown_setting(name)
    rows = []
    for one in chosen:
        default = show_default(one.default)
        rows.append(
            {
                "setting": one.name,
                "type": describe_type(one.type),
                "default": default if len(default) <= LONGEST_DEFAULT else f"{len(one.default)} items",
                "allowed": one.range,
                "meaning": one.meaning,
            }
        )
    print_table(pd.DataFrame(rows))
