"""Search: to be described."""
