"""Statistics and associations of columns, in tasks."""
