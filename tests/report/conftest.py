import numpy as np
import pytest

from landvisor.geo.legend import LandClass, Legend
from landvisor.report.figures import Marks


@pytest.fixture
def legend():
    return Legend(
        (
            LandClass(1, "water", "#0000ff"),
            LandClass(3, "sand & <b>rock</b>", "#ff8800"),
            LandClass(4, "cloud", "#ffffff", ignore=True),
        )
    )


@pytest.fixture
def classes():
    content = np.ones((20, 30), np.uint8)
    content[:, 15:] = 3
    content[:4] = 0
    return content


@pytest.fixture
def rgb():
    return np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)


@pytest.fixture
def uncertainty(classes):
    return np.where(classes == 0, np.nan, np.linspace(0, 1, 30))


@pytest.fixture
def marks():
    return Marks(np.array([5.0, 6.5, 8.0]), np.array([3.0, 20.0, 9.0]), np.array([1, 3, 4]))
