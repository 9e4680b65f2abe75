"""How a job is started and ended."""
