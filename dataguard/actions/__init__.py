"""What a user can do: one module a command; every effect comes through the context."""
