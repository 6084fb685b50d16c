"""The profile of a cohort: one page, and the tables and sentences that a terminal shows of it."""
