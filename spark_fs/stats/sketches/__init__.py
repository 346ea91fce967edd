"""Sketches that merge: distinct values and quantiles."""
