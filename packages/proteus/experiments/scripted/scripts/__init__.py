"""Scripts that come with the package."""
