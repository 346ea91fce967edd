"""A small system of two groups and a view, for processes that are killed, starved and run by a schedule."""
