"""Windows that are finished at the instant of a request, of what a sync left of each entity."""
