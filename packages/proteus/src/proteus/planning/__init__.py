"""Planning: to be described."""
