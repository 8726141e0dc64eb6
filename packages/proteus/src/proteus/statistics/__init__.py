"""Statistics: to be described."""
