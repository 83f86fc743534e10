"""What surrounds a run contradicts itself in one line."""

import pytest

from landvisor.errors import RecipeError
from landvisor.options import Options


def test_processes_here_and_a_cluster_are_not_asked_for_at_once():
    with pytest.raises(RecipeError, match=r"--workers 2 .*'tcp://10.0.0.1:8786'.* leave one out"):
        Options(workers=2, dask="tcp://10.0.0.1:8786")
    assert Options(workers=2).dask is None
