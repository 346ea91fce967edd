"""Reading Parquet files with Arrow in a worker, and choosing which files to read."""
