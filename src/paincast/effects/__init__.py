"""Effects of one technique against another: target trials on a cohort, with diagnostics before any contrast."""

from paincast.effects.comparison import Comparison, compare_techniques
from paincast.effects.trial import TargetTrial, read_trial

__all__ = ["Comparison", "TargetTrial", "compare_techniques", "read_trial"]
