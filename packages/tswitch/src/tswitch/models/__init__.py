"""Models: to be described."""
