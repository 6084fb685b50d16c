"""Evidence synthesis: from the extraction table to the figures of the records, by rules that are written down."""
