"""What commands came to, by command: the values that reports show."""
