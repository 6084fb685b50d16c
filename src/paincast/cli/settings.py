"""The command that lists the settings of a training run."""

from __future__ import annotations

import click

from paincast.cli.tables import print_table

LONGEST_DEFAULT = 60
"""Characters; for a longer default, the number of its items is shown."""


@click.command("settings")
@click.argument("name", required=False)
def print_settings(name: str | None) -> None:
    """List the settings of `paincast train` with defaults, allowed values and meaning.

    NAME is a group or a setting; without NAME, all settings are listed.

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
    chosen = [item for item in declared if name is None or item.name == name or item.name.startswith(f"{name}.")]
    if name is not None and not chosen:
        raise unknown_setting(name)
    rows = []
    for setting in chosen:
        default = show_default(setting.default)
        rows.append(
            {
                "setting": setting.name,
                "type": describe_type(setting.type),
                "default": default if len(default) <= LONGEST_DEFAULT else f"{len(setting.default)} items",
                "allowed": setting.range,
                "meaning": setting.meaning,
            }
        )
    print_table(pd.DataFrame(rows))
