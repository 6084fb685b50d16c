"""The one reader of files of patients: text and Parquet, in batches that know their places."""
