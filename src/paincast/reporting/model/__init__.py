"""A trained model shown: report, card, checklist, limits, overview, summary."""
