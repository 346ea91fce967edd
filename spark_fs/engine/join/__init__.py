"""The point-in-time join: its strategies, its stages and the match itself."""
