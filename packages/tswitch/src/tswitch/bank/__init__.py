"""Bank: to be described."""
