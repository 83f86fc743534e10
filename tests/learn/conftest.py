"""Runs the torchvision guard before any test module imports what needs torchvision."""

import pytest
import torch

import landvisor.learn  # noqa: F401


@pytest.fixture
def one_thread():
    """Small tensors only lose by threads, most of all where other tests run beside."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
