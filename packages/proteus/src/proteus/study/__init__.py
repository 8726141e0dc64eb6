"""Study: to be described."""
