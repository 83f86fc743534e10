"""Models turned into maps."""
