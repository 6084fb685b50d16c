"""A trained model: report, card, checklists, limits, overview and summaries, from the contents of its run."""
