"""What can go wrong, said in words a user can act on.

Every message says what was expected, what was found (never a patient's value), what is allowed and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable


class PaincastError(Exception):
    """Base of every error a user can cause and mend; the command line prints it without a traceback.

    Parameters
    ----------
    message : str
        What was expected, what was found, what is allowed and what to do.
    code : str
        The stable name of this message, as in ``PC-READING-01``. Words may be improved; the code of a message stays,
        and is never given to another.
    """

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class SettingsError(PaincastError):
    """A setting has an unknown name, a wrong type or a value that is not allowed."""


class DataError(PaincastError):
    """Input data cannot be read or does not hold what was declared."""


class RefusalError(PaincastError):
    """The package declines to answer because the evidence or the data do not carry an answer."""


class LeakError(RefusalError):
    """Predictions rank outcomes better than the truth behind them can: something leaked, and nothing may go on."""


class OutputError(PaincastError):
    """A result cannot be written where it was asked for."""


def suggest_name(name: str, known: Iterable[str]) -> str:
    """Say which known names come nearest to an unknown one.

    Parameters
    ----------
    name : str
        The name that was not found.
    known : iterable of str
        The names that exist.

    Returns
    -------
    str
        ``"did you mean 'a' or 'b'?"``, or a list of what is known when nothing is near.

    Examples
    --------
    >>> suggest_name("pain_nsr", ["pain_nrs", "odi"])
    "did you mean 'pain_nrs'?"
    """
    names = sorted(set(known))
    from difflib import get_close_matches

    near = get_close_matches(name, names, n=2, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(f"'{candidate}'" for candidate in near) + "?"
    return "known: " + ", ".join(names)
