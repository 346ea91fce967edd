"""One revision for each change of the tables.

A revision never changes again, so it repeats what ``tables`` says.
"""
