"""What the user declared: frozen, serialisable values that know nothing of any store."""
