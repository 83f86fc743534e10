"""Two processes that share each batch against one that has it alone."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from landvisor.learn.nets import build_network
from landvisor.ranks import find_ranks
from landvisor.recipe import NetSpec

CHILD = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("test_ddp", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
module.run_child(module.Path(sys.argv[2]))
"""
# In every other step the first process has no place at all, else it has fewer than the second. No
# cell is so near the threshold that the order of a sum decides whether it is believed.
OPTIONS = {
    "epochs": 4, "steps": 5, "batch_size": 4, "pairwise": 2.0, "bare": (0, 1),
    "teacher": {"source": "both", "threshold": 0.4, "ramp": 0.5, "cutmix": 0.0},
}  # fmt: skip


def load_training():
    """Return the module that trains toys, with a small U-Net for them."""
    path = Path(__file__).with_name("test_training.py")
    spec = importlib.util.spec_from_file_location("test_training", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    net = NetSpec(model="plain_unet", widths=(8, 16, 16), norm="group")
    module.Toy = lambda: build_network(net, ("red", "nir"), classes=module.CLASSES)
    return module


def run_child(folder):
    torch.set_num_threads(1)
    training, ranks = load_training(), find_ranks(None, None, environ=os.environ)
    mine = folder / str(ranks.index)
    # only the first process validates: the others have no scores to give
    evaluate = training.told([0.1, 0.4, 0.3, 0.2] if ranks.leads else [])
    network, progress = training.train(mine, evaluate=evaluate, ranks=ranks, **OPTIONS)
    again, _ = training.train(mine, evaluate=evaluate, ranks=ranks, **OPTIONS)
    assert training.distance(network, again) == 0
    torch.save(network.state_dict(), folder / f"{ranks.index}.pt")
    assert progress.scores["mean_iou"] == 0.3  # of the third epoch, which ends the best three


def start_children(folder, count):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "a"}
    shared |= {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), "OMP_NUM_THREADS": "1"}
    return [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, __file__, str(folder)],
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]


def wait_for(children):
    """Return what they said; none is left behind."""
    try:
        return [child.communicate(timeout=240)[1] for child in children]
    finally:
        for child in children:
            child.kill()
            child.communicate()


def test_two_processes_learn_what_one_learns(tmp_path):
    torch.set_num_threads(1)
    children = start_children(tmp_path, 2)
    training = load_training()
    alone = tmp_path / "alone"
    evaluate = training.told([0.1, 0.4, 0.3, 0.2])
    network, _ = training.train(alone, evaluate=evaluate, **OPTIONS)
    said = wait_for(children)
    assert [child.returncode for child in children] == [0, 0], said
    for rank in range(2):
        weights = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        for name, tensor in network.state_dict().items():
            assert torch.allclose(weights[name], tensor, atol=1e-4), name
    assert sorted(path.name for path in tmp_path.glob("0/*")) == ["fit-run.pt", "metrics.jsonl"]
    assert not (tmp_path / "1").exists()
    told, shared = (
        [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        for folder in (alone, tmp_path / "0")
    )
    for one, two in zip(told, shared, strict=True):
        for name in ("loss", "loss_places", "loss_teacher", "loss_pairwise", "believed"):
            assert two[name] == pytest.approx(one[name], rel=1e-3), name
    assert 0.1 < told[-1]["believed"] <= 1
