"""Sessions: to be described."""
