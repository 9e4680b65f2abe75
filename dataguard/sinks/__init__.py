"""Where findings go: files, the system's log, webhooks, metrics."""
