"""What every server of ours has in common: its door, its connections, and how it is run."""
