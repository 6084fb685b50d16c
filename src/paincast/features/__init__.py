"""Encode episodes as a numeric matrix.

The fitted state is a list of :class:`EncodedVariable` that a bundle stores as JSON, so predictions need no pickle, and
no scikit-learn: :class:`EpisodeEncoder`, which learns the state, is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from paincast.features.encoding import EncodedVariable, FittedEncoder

if TYPE_CHECKING:
    from paincast.features.encoder import EpisodeEncoder

__all__ = ["EncodedVariable", "EpisodeEncoder", "FittedEncoder"]


def __getattr__(name: str) -> Any:
    if name != "EpisodeEncoder":
        raise AttributeError(f"module 'paincast.features' has no attribute '{name}'")
    from paincast.features.encoder import EpisodeEncoder

    return EpisodeEncoder
