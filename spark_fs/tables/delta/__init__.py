"""Delta Lake: the log, transactions, the layout of a table, and the Spark session that writes it."""
