"""Where the configuration files are."""

from __future__ import annotations

from pathlib import Path

from paincast.errors import SettingsError


def find_configs() -> Path:
    """Find the folder of Hydra configurations and registry mappings: in the wheel, or in the checkout.

    Returns
    -------
    Path
        The folder that holds ``config.yaml``.

    Raises
    ------
    SettingsError
        If the installation is broken and neither exists.
    """
    package = Path(__file__).resolve().parents[1]
    for candidate in (package / "configs", package.parents[1] / "configs"):
        if (candidate / "config.yaml").is_file():
            return candidate
    raise SettingsError(
        "the configuration folder is missing from this installation; reinstall paincast", code="PC-SETTINGS-24"
    )
