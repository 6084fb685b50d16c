"""``paincast train`` as a Hydra application; every error is one line that names the setting."""

from __future__ import annotations

import dataclasses
import io
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, get_type_hints

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from omegaconf.resolvers import oc
from yaml import YAMLError

from paincast.environment import hide_values, note_value
from paincast.errors import PaincastError, SettingsError, suggest_name
from paincast.files.bounded import YAML_BYTES, check_yaml, read_yaml_text
from paincast.settings import GateSettings, TrainingSettings, check_settings, find_configs
from paincast.settings.checks import wrong_type
from paincast.settings.configs import list_groups, unknown_choice
from paincast.settings.declare import find_type
from paincast.settings.keywords import unknown_setting


def register_schema() -> None:
    """Register the name and type of every setting with Hydra, so that other settings are refused."""
    ConfigStore.instance().store(name="settings_schema", node=TrainingSettings)
    _watch_environment()


def _watch_environment() -> None:
    OmegaConf.register_new_resolver("oc.env", _take_from_environment, replace=True)


def _take_from_environment(name: str, *default: str | None) -> str | None:
    """Read a variable like Hydra's ``oc.env``, and note its value as one that must not be shown."""
    if name in os.environ:
        note_value(name, os.environ[name])
    _taken.append(name)
    return oc.env(name, *default)


RECORDED_NAMES = (("gate", "name"), ("tracking", "experiment"))
"""Settings that MLflow shows as names, so that their values cannot be hidden."""

_taken: list[str] = []
"""Names of the environment variables read so far, in order."""


def describe_config(config: DictConfig) -> str:
    """Write a configuration as YAML; values from the environment may be secrets and stay unresolved."""
    return OmegaConf.to_yaml(OmegaConf.create(_resolve_open(config)))


def _resolve_open(node: Any) -> Any:
    """Resolve every value except those that read the environment, which are kept as written in the file."""
    if not isinstance(node, DictConfig | ListConfig) or node._is_none() or node._is_missing():
        return None if isinstance(node, DictConfig | ListConfig) else node
    names = list(node.keys()) if isinstance(node, DictConfig) else list(range(len(node)))
    plain = [_resolve_entry(node, name) for name in names]
    return dict(zip(names, plain, strict=True)) if isinstance(node, DictConfig) else plain


def _resolve_entry(node: DictConfig | ListConfig, name: Any) -> Any:
    if OmegaConf.is_missing(node, name):
        return "???"
    before = len(_taken)
    plain = _resolve_open(node[name])
    if OmegaConf.is_interpolation(node, name) and len(_taken) > before:
        return OmegaConf.to_container(node, resolve=False)[name]  # type: ignore[index]
    return plain


def run_training(arguments: Sequence[str], train: Callable[[TrainingSettings, str], None]) -> None:
    """Compose the settings from configuration files and overrides, and train once for each combination.

    Parameters
    ----------
    arguments : sequence of str
        Overrides and flags of Hydra.
    train : callable
        Called with the checked settings and their configuration as YAML text.

    Raises
    ------
    SettingsError
        If a name is unknown, a type is wrong or a file cannot be read; the message names the setting.
    PaincastError
        Whatever training raises.
    """
    register_schema()
    stopped: list[Exception] = []
    started: list[bool] = []

    def job(config: DictConfig) -> None:
        started.append(True)
        try:
            train(read_settings(config), describe_config(config))
        except Exception as error:
            # Hydra adds lines to an error that leaves the job, so keep it; only in a multirun must Hydra see the error.
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                raise
            stopped.append(error)

    with _hydra_environment(arguments), _bounded_loading():
        try:
            hydra.main(version_base="1.3", config_path=str(find_configs()), config_name="config")(job)()
        except (HydraException, OmegaConfBaseException, YAMLError) as error:
            raise explain_refusal(error) from error
        except (ValueError, ArithmeticError, TypeError, KeyError, AttributeError, RecursionError, OSError) as error:
            if started:
                raise
            raise SettingsError(f"the settings cannot be read: {_describe_cause(error)}", code="PC-CLI-03") from error
    if stopped:
        raise stopped[0]


def _describe_cause(error: Exception) -> str:
    """Return Hydra's message about flags, overrides and files, or otherwise the type of the error."""
    return str(error) if type(error) is ValueError else type(error).__name__


@contextmanager
def _bounded_loading() -> Iterator[None]:
    """Make Hydra read configuration files in bounded time and memory."""
    load = OmegaConf.load

    def load_bounded(file: str | Path | IO[Any]) -> DictConfig | ListConfig:
        if isinstance(file, str | Path):
            return _load_text(read_yaml_text(file), str(file), load)
        content = file.read(YAML_BYTES + 1)
        text = content if isinstance(content, str) else content.decode()
        name = str(getattr(file, "name", "a configuration file"))
        check_yaml(text, name)
        return _load_text(text, name, load)

    OmegaConf.load = staticmethod(load_bounded)  # type: ignore[assignment]
    try:
        yield
    finally:
        OmegaConf.load = staticmethod(load)  # type: ignore[method-assign]


def _load_text(text: str, name: str, load: Callable[[IO[Any]], DictConfig | ListConfig]) -> DictConfig | ListConfig:
    """Load a configuration file; every error names the file."""
    try:
        return load(io.StringIO(text))
    except (YAMLError, OmegaConfBaseException) as error:
        raise SettingsError(f"{name} is not valid YAML: {error}", code="PC-CLI-04") from error
    except Exception as error:
        raise SettingsError(f"{name} cannot be read: {type(error).__name__}", code="PC-CLI-05") from error


@contextmanager
def _hydra_environment(arguments: Sequence[str]) -> Iterator[None]:
    """Pass the arguments the way Hydra expects them, and let it raise errors instead of printing them."""
    argv, full_error = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = ["paincast train", *arguments]
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        sys.argv = argv
        if full_error is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = full_error


def read_settings(config: DictConfig) -> TrainingSettings:
    """Turn a composed configuration into checked settings.

    Raises
    ------
    SettingsError
        If a setting does not exist, is missing or has a value that is not allowed, or a checklist item is unknown.
    """
    try:
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
        for name in _setting_names(plain):
            if find_type(name, TrainingSettings) is None:
                raise unknown_setting(name)
        settings = OmegaConf.to_object(config)
    except OmegaConfBaseException as error:
        raise explain_refusal(error) from error
    assert isinstance(settings, TrainingSettings)
    settings.outcome.horizon_months = _read_numbers(settings.outcome.horizon_months)
    for group, name in RECORDED_NAMES:
        text = getattr(getattr(settings, group), name)
        if hide_values(text) != text and _resolve_entry(config[group], name) != text:
            raise SettingsError(
                f"{group}.{name} takes its value from the environment, which may be a secret, and MLflow shows it; "
                "write the name itself",
                code="PC-CLI-07",
            )
    from paincast.reporting.model.checklist import check_items

    checked = check_settings(settings)
    check_items(checked)
    return checked


def _read_numbers(value: Any) -> Any:
    """Read numbers given as text, as in an environment variable; Hydra does it only for types that it knows."""
    if isinstance(value, list):
        return [_read_numbers(item) for item in value]
    with suppress(ValueError):
        return float(value) if isinstance(value, str) else value
    return value


def read_gate(choice: str) -> GateSettings:
    """Read the criteria of a gate.

    Parameters
    ----------
    choice : str
        Name of a file in ``configs/gate``, or the path of a YAML file with your own criteria. Criteria that it does not
        set are those of ``default``; without a ``name``, the gate is named after the file.

    Returns
    -------
    GateSettings

    Raises
    ------
    SettingsError
        If there is no such gate, or a criterion is unknown or not allowed.
    """
    _watch_environment()
    shipped = find_configs() / "gate"
    path = Path(choice) if choice.endswith((".yaml", ".yml")) else shipped / f"{choice}.yaml"
    if not os.path.lexists(path):
        names = [file.stem for file in shipped.glob("*.yaml")]
        raise SettingsError(
            f"gate: there is no '{choice}'; {suggest_name(choice, names)}, or give a YAML file", code="PC-CLI-08"
        )
    try:
        criteria = OmegaConf.merge({"name": path.stem}, _load_text(read_yaml_text(path), str(path), OmegaConf.load))
        merged = OmegaConf.merge(OmegaConf.structured(TrainingSettings), {"gate": criteria})
    except (OmegaConfBaseException, YAMLError) as error:
        raise explain_refusal(error) from error
    except (ValueError, ArithmeticError, TypeError, KeyError, AttributeError) as error:
        raise SettingsError(f"{path} cannot be read: {type(error).__name__}", code="PC-CLI-09") from error
    assert isinstance(merged, DictConfig)
    return read_settings(merged).gate


def _setting_names(plain: Any, settings: type = TrainingSettings, prefix: str = "") -> Iterator[str]:
    hints = get_type_hints(settings)
    for name, value in plain.items():
        dotted = f"{prefix}{name}"
        if isinstance(value, Mapping) and dataclasses.is_dataclass(hints.get(name)):
            yield from _setting_names(value, hints[name], f"{dotted}.")
        else:
            yield dotted


def explain_refusal(error: Exception) -> PaincastError:
    """Convert an error of Hydra or OmegaConf into one with the setting, the reason and the most similar name."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _explain_missing_choice(error.missing_cfg_file, error.options)
    if isinstance(error, OverrideParseException):
        return SettingsError(
            f"cannot read '{error.override}'; write name=value, and quote values that hold , [ ] {{ }} or =",
            code="PC-CLI-11",
        )
    if isinstance(error, YAMLError):
        return SettingsError(f"a configuration file is not valid YAML: {error}", code="PC-CLI-12")
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    file = re.match(r"In '(?P<file>[^']+)': ", str(error))
    refusal = _explain_value(str(cause))
    return SettingsError(f"{file['file']}.yaml: {refusal}", code=refusal.code) if file else refusal


def _explain_value(message: str) -> SettingsError:
    """Convert a message of OmegaConf about one setting into an error; any other message is passed on."""
    lines = [line.strip() for line in message.splitlines()]
    words = lines[1] if "raised while composing config" in lines[0] and len(lines) > 1 else lines[0]
    name = next((line.removeprefix("full_key:").strip() for line in lines if line.startswith("full_key:")), "")
    if re.match(r"Key '.*' not in|Key '.*' is not in struct", words):
        if name.startswith("hydra."):
            return SettingsError(
                f"{name}: no such setting of Hydra; 'paincast train --cfg hydra' shows what there is", code="PC-CLI-06"
            )
        return unknown_setting(name)
    kind = find_type(re.sub(r"\[\d+\]$", "", name), TrainingSettings)
    if kind is None:
        return SettingsError(re.sub(r"^In '[^']+': ", "", words), code="PC-CLI-13")
    got = re.search(r"Value ('.*') (of type '|is not a )", words)
    return wrong_type(name, kind, got[1] if got else "null" if "is not Optional" in words else "")


def _explain_missing_choice(path: str, options: Sequence[str] | None) -> SettingsError:
    group, _, choice = path.rpartition("/")
    if options:
        return unknown_choice(group, choice, options)
    return SettingsError(f"{group}: unknown group; {suggest_name(group, list_groups())}", code="PC-CLI-10")
