"""Values of masks are counted whatever their type."""

import numpy as np
import pytest

from landvisor.geo.mask_values import count_values


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.uint16, np.int32])
def test_values_are_counted_over_the_whole_range_of_a_type(dtype):
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    found = count_values(np.array([[low, high, high], [1, 1, 1]], dtype=dtype))
    assert found == {low: 1, 1: 3, high: 2}
