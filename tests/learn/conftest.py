"""Runs the torchvision guard before any test module imports what needs torchvision."""

import landvisor.learn  # noqa: F401
