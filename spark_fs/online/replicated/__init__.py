"""An online store that is read from replicas of the database that it is written to."""
