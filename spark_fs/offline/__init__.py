"""Everything that becomes a DataFrame, every write to a Delta table, and its history."""
