"""Export: to be described."""
