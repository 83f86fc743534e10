"""Shares of pixels are the softmax of logits between which one interpolates."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from landvisor.learn.nets import upsample
from landvisor.learn.shares import spread_shares


@given(
    rows=st.integers(1, 40),
    cols=st.integers(1, 40),
    classes=st.integers(1, 7),
    stride=st.sampled_from([1, 2, 4, 8]),
    spread=st.sampled_from([0.1, 3, 50]),
    seed=st.integers(0, 99),
)
def test_they_are_what_torch_makes(rows, cols, classes, stride, spread, seed):
    shape = (2, classes, -(-rows // stride), -(-cols // stride))
    logits = np.random.default_rng(seed).normal(0, spread, shape).astype(np.float32)
    full = upsample(torch.from_numpy(logits), stride=stride, size=(rows, cols))
    expected = torch.softmax(full, dim=1).numpy()
    found = spread_shares(logits, stride=stride, size=(rows, cols))
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < 1e-6 * max(1, spread)
    assert found.sum(axis=1) == pytest.approx(np.ones((2, rows, cols)), abs=1e-6)


def test_any_layout_in_memory_will_do():
    logits = torch.randn(1, 5, 9, 7).contiguous(memory_format=torch.channels_last).numpy()
    found = spread_shares(logits, stride=2, size=(18, 14))
    assert (found == spread_shares(logits.copy(), stride=2, size=(18, 14))).all()


def test_certainty_and_numbers_that_are_none_stay_what_they_are():
    logits = np.array([400, -400, 0], np.float32).reshape(1, 3, 1, 1)
    assert spread_shares(logits, stride=1, size=(1, 1))[0, :, 0, 0] == pytest.approx([1, 0, 0])
    logits[0, 1] = np.nan
    assert np.isnan(spread_shares(logits, stride=2, size=(2, 2))).all()
