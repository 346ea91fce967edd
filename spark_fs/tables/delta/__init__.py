"""Delta Lake: the log, transactions, a table's layout, and the Spark session that writes it."""
