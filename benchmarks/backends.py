"""Time every backend on windows of real imagery, and count how often it says what torch says.

    python benchmarks/backends.py MODEL.safetensors COLLECTION.csv --split test --window 256

All backends take turns on the same windows, in an order drawn anew each round; a ratio is the
median over rounds of what torch in float32 and a backend took in the same one: a busy machine
slows both. What is timed is `Model.predict`: scaling, network, upsampling, softmax and, in a model
that has them, trees. Agreement is over valid pixels of windows drawn at random.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from landvisor.geo.collection import open_collection
from landvisor.learn.engine_kinds import ENGINES, REFERENCE
from landvisor.learn.model import Model
from landvisor.learn.model_file import load_model
from landvisor.predict.backends import apply_backend, prepare_backend
from landvisor.predict.export_graph import find_networks
from landvisor.predict.trials import Batch, draw_batches
from landvisor.recipe import PredictSpec


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("collection", type=Path)
    parser.add_argument("--split")
    parser.add_argument("--window", type=int, default=512)
    parser.add_argument("--batches", type=int, default=4, help="of four windows, timed")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--network-only", action="store_true", help="the network of a pair")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    scenes = open_collection(given.collection).select(given.split).open_scenes()
    model = load_model(given.model)
    if given.network_only:
        ((_, model),) = find_networks(model, network_only=True)
    spec = PredictSpec(window=given.window)
    batches = draw_batches(scenes, spec, count=4 * given.batches, seed=2)
    with tempfile.TemporaryDirectory() as folder:
        models, agreement = {}, {}
        for name in ENGINES:
            place = Path(folder) / name
            place.mkdir()
            asked = spec.model_copy(update={"backend": name})
            backend = prepare_backend(model, scenes, asked, folder=place)
            models[name] = apply_backend(model, backend, folder=place)
            agreement[name] = backend.agreement or 1.0
        seconds = race(models, batches, rounds=given.rounds)
    show(seconds, agreement, sum(valid.size for _, valid in batches) / 1e6)


def race(models: dict[str, Model], batches: list[Batch], *, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each model in each round."""
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for model in models.values():
        model.predict(*batches[0])
    for turn in range(rounds):
        for name in random.Random(turn).sample(list(models), len(models)):
            start = time.perf_counter()
            for data, valid in batches:
                models[name].predict(data, valid)
            seconds[name].append(time.perf_counter() - start)
    return seconds


def show(seconds: dict[str, list[float]], agreement: dict[str, float], megapixels: float) -> None:
    """Print a row for each backend."""
    reference = np.array(seconds[REFERENCE])
    print("| backend | megapixels a second | times torch-fp32 | of pixels the same class |")
    print("|---|--:|--:|--:|")
    for name, taken in seconds.items():
        ratio = np.median(reference / np.array(taken))
        rate = megapixels / np.median(taken)
        print(f"| `{name}` | {rate:.2f} | {ratio:.2f} | {100 * agreement[name]:.2f} % |")


if __name__ == "__main__":
    main()
