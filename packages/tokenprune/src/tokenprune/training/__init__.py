"""Training: to be described."""
