"""A synthetic scene that looks like land, with its true classes and points to learn from."""

from landvisor.demo.make import Demo, DemoPaths, make_demo, write_demo

__all__ = ["Demo", "DemoPaths", "make_demo", "write_demo"]
