"""Plans and frames in, frames out.

Nothing here runs Spark: every function returns a DataFrame* to be read later.
"""
