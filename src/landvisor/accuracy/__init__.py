"""How good a map is, counted and estimated."""
