"""Web pages of plain facts: each one HTML file that needs nothing else."""
