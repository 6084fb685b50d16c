"""Shell completion of commands and options (by click) and of the settings of ``train`` (by Hydra)."""

from __future__ import annotations

from collections.abc import Sequence

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class, get_completion_class

_OPTIONS_WITH_VALUE = frozenset(
    (
        "--cfg",
        "-c",
        "--package",
        "-p",
        "--config-path",
        "-cp",
        "--config-name",
        "-cn",
        "--config-dir",
        "-cd",
        "--info",
        "-i",
    )
)


@add_completion_class
class BashCompleteSettings(BashComplete):
    """Bash completion that adds no space after ``=``, ``.`` and ``/``, so that the user can continue typing."""

    source_template = BashComplete.source_template.replace(
        "    return 0\n", '    [[ "${COMPREPLY[0]}" == *[=./] ]] && compopt -o nospace\n    return 0\n', 1
    )


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def print_completion(context: click.Context, shell: str) -> None:
    """Print the completion script of a SHELL.

    \b
    Examples:
      eval "$(paincast completion bash)"                                    (in ~/.bashrc)
      eval "$(paincast completion zsh)"                                     (in ~/.zshrc)
      paincast completion fish > ~/.config/fish/completions/paincast.fish

    Then `paincast train technique=<TAB>` completes the choices.
    """  # noqa: D301
    completer = get_completion_class(shell)
    if completer is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(completer(context.find_root().command, {}, "paincast", "_PAINCAST_COMPLETE").source())


def complete_settings(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete an override of ``train`` from the groups, choices and settings known to Hydra."""
    before, typed = split_at_cursor(context.params.get(parameter.name or "") or (), incomplete)
    word = typed + incomplete
    return [CompletionItem(match.removeprefix(typed)) for match in _query_hydra([*before, word])]


def split_at_cursor(words: Sequence[str], incomplete: str) -> tuple[list[str], str]:
    """Join the words that bash splits at ``=``.

    Bash passes ``technique=gen`` as the three words ``technique``, ``=`` and ``gen``, and replaces only the last; other
    shells keep it whole.

    Parameters
    ----------
    words : sequence of str
        The words before the one being typed.
    incomplete : str
        The word being typed.

    Returns
    -------
    before : list of str
        Whole words before the one being typed.
    typed : str
        The part of the word being typed that the shell already has and that completions must leave out.

    Examples
    --------
    >>> split_at_cursor(["model", "=", "xgboost", "technique", "="], "gen")
    (['model=xgboost'], 'technique=')
    """
    joined: list[str] = []
    for word in words:
        if joined and (word == "=" or joined[-1].endswith("=")):
            joined[-1] += word
        else:
            joined.append(word)
    if not joined:
        return [], ""
    if joined[-1].endswith("="):
        return joined[:-1], joined[-1]
    is_bare = "=" not in joined[-1] and not joined[-1].startswith(("-", "~"))
    follows_option = len(joined) > 1 and joined[-2] in _OPTIONS_WITH_VALUE
    if is_bare and not follows_option and "=" not in incomplete:
        return joined[:-1], joined[-1] + "="
    return joined, ""


def _query_hydra(words: Sequence[str]) -> list[str]:
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.plugins.completion_plugin import DefaultCompletionPlugin

    from paincast.cli.hydra_app import register_schema
    from paincast.settings.configs import NOT_SETTINGS, find_configs

    register_schema()
    with initialize_config_dir(str(find_configs()), version_base="1.3"):
        engine = DefaultCompletionPlugin(GlobalHydra.instance().config_loader())
        choices = engine._query(config_name="config", line=" ".join(words) or " ")
    # Mappings are read by `ingest`; they are not settings of a training run.
    return [choice for choice in choices if not choice.startswith(NOT_SETTINGS)]
