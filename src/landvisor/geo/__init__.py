"""Imagery, places and map files on their grids."""
