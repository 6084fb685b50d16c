"""Cross-validation splits by patient: all episodes of a patient are in the same fold."""

from paincast.splits.folds import CrossFitted, Fold, count_smaller_class, make_folds, spread_folds

__all__ = ["CrossFitted", "Fold", "count_smaller_class", "make_folds", "spread_folds"]
