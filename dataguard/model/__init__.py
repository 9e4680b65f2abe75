"""What things are: frozen values and the Arrow schemas; no I/O."""
