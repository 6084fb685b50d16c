"""The commands; the only place that knows Hydra."""

from paincast.cli.app import main

__all__ = ["main"]
