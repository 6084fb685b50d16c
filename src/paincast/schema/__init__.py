"""The data contract: a single declaration for each column, from which everything else is derived.

A cohort has three tables. An ``episode`` is a procedure on a patient, with the values known before the procedure; a
``visit`` is a follow-up of an episode; an ``event`` is a complication, repeat procedure, explant, surgery or death.
Validation, the data dictionary, the MLflow signature and the grouping of SHAP values use the declarations here.
"""

from paincast.schema.column import Column
from paincast.schema.episodes import EPISODES
from paincast.schema.names import (
    COMPARATORS,
    EVENT_KINDS,
    IMPLIED_FACTS,
    INDICATIONS,
    MINIMUM_CELL,
    NO_PROCEDURE,
    RESEARCH_MARK,
    TECHNIQUES,
)
from paincast.schema.tables import (
    EVENTS,
    MODEL_ROLES,
    TABLES,
    VISITS,
    is_model_input,
)

__all__ = [
    "COMPARATORS",
    "EPISODES",
    "EVENTS",
    "EVENT_KINDS",
    "IMPLIED_FACTS",
    "INDICATIONS",
    "MINIMUM_CELL",
    "MODEL_ROLES",
    "NO_PROCEDURE",
    "RESEARCH_MARK",
    "TABLES",
    "TECHNIQUES",
    "VISITS",
    "Column",
    "is_model_input",
]
