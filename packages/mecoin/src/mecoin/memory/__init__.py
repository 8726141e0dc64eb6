"""Memory: to be described."""
