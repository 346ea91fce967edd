"""Joined rows as training data: transformed, split and spilled."""
