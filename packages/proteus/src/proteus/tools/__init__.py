"""Tools: to be described."""
