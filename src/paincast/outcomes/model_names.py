"""Name models: by technique and outcome, and beside the model of the primary month by the further month."""

from __future__ import annotations

_MARK = ".month-"


def name_model(technique: str, outcome: str, further_month: float | None = None) -> str:
    """Name a model; the name is the key of the model and its path inside the models folder.

    Parameters
    ----------
    technique, outcome : str
        The procedure, and the predicted outcome.
    further_month : float, optional
        The month in months after the procedure; None for the model of the primary month.

    Returns
    -------
    str
        Names of months below 100 sort by month.

    Examples
    --------
    >>> name_model("facet_rfa", "pain_response"), name_model("facet_rfa", "pain_response", 3.0)
    ('facet_rfa/pain_response', 'facet_rfa/pain_response.month-03')
    """
    if further_month is None:
        return f"{technique}/{outcome}"
    whole, *part = f"{further_month:g}".split(".")
    return f"{technique}/{outcome}{_MARK}{'.'.join([whole.zfill(2), *part])}"


def split_name(name: str) -> tuple[str, str, float | None]:
    """Split the name of a model into technique, outcome and further month.

    Examples
    --------
    >>> split_name("facet_rfa/pain_response"), split_name("facet_rfa/pain_response.month-03")
    (('facet_rfa', 'pain_response', None), ('facet_rfa', 'pain_response', 3.0))
    """
    technique, _, rest = name.partition("/")
    outcome, _, month = rest.partition(_MARK)
    return technique, outcome, float(month) if month else None
