"""Linear: to be described."""
