"""Content: to be described."""
