import pytest
from hypothesis import given
from hypothesis import strategies as st

from landvisor.errors import RecipeError
from landvisor.ranks import ALONE, Ranks, find_ranks

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4", "RANK": "6",
    "LOCAL_RANK": "2",
}  # fmt: skip
SLURM = {
    "SLURM_PROCID": "5", "SLURM_STEP_ID": "0", "SLURM_NTASKS": "8", "SLURM_NTASKS_PER_NODE": "4",
}  # fmt: skip


@given(st.integers(1, 9), st.integers(1, 5), st.integers(1, 64))
def test_processes_share_each_chip_of_a_batch_once(devices, nodes, size):
    shares = [Ranks(devices, nodes, k).share_out(size) for k in range(devices * nodes)]
    assert [chip for share in shares for chip in share] == list(range(size))
    lengths = [len(share) for share in shares]
    assert max(lengths) - min(lengths) <= 1


def test_one_device_is_one_process_whatever_the_cluster_says():
    assert find_ranks(None, None, environ={}) == ALONE
    assert find_ranks(1, 1, environ=SLURM) == ALONE
    assert find_ranks(None, None, environ={"WORLD_SIZE": "8", "RANK": "3"}) == ALONE
    assert ALONE.leads


def test_torchrun_says_who_a_process_is():
    found = find_ranks(None, None, environ=TORCHRUN)
    assert found == Ranks(4, 2, 6, "torchrun") == find_ranks(4, 2, environ=TORCHRUN)
    assert (found.count, found.local, found.leads) == (8, 2, False)


def test_slurm_says_who_a_process_is():
    assert find_ranks(4, 2, environ=SLURM) == Ranks(4, 2, 5, "slurm")


def test_a_batch_script_without_srun_starts_processes_itself():
    inside = {key: value for key, value in SLURM.items() if key != "SLURM_STEP_ID"}
    assert find_ranks(4, 1, environ=inside) == Ranks(4, 1, 0, "landvisor")


def test_processes_that_landvisor_started_know_their_place():
    assert find_ranks(4, None, environ={"LOCAL_RANK": "3"}) == Ranks(4, 1, 3)
    there = {"NODE_RANK": "1", "MASTER_ADDR": "first", "LOCAL_RANK": "1"}
    assert find_ranks(2, 2, environ=there) == Ranks(2, 2, 3)


@pytest.mark.parametrize(
    ("devices", "nodes", "environ", "said"),
    [
        (2, 2, TORCHRUN, "torchrun started 8 processes, 4 of them here"),
        (4, 4, SLURM, "srun started 8 tasks"),
        (4, 2, {**SLURM, "SLURM_NTASKS": "1"}, "srun started 1 tasks"),
        (4, 2, {}, "start with srun or torchrun"),
        (None, None, {**TORCHRUN, "WORLD_SIZE": "7"}, "torchrun started 7"),
    ],
)
def test_numbers_that_contradict_each_other_are_refused(devices, nodes, environ, said):
    with pytest.raises(RecipeError, match=said):
        find_ranks(devices, nodes, environ=environ)
