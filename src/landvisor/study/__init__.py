"""Designed experiments: factors and levels in, effects with intervals and a verdict out."""
