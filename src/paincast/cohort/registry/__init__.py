"""From a registry's export to a cohort: mapping, fetching, suggesting, ingesting."""
