"""What follows from what things are: pure functions; no I/O, clock or environment."""
