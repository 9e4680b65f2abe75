"""Where records are: the database, its migrations and the event log."""
