"""Land-cover maps with a stated accuracy, from imagery and labelled points."""

__version__ = "0.1.0"
