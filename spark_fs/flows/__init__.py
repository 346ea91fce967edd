"""Where the stores and the engine meet: every Spark action of the library starts here."""
