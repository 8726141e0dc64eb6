"""Record: to be described."""
