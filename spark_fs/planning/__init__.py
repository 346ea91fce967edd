"""A query bound to its groups: the plan, its conditions, and the plan as SQL."""
