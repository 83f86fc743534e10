"""Time what a training step on points costs, beside the network alone and the usual way.

    python benchmarks/tiles.py --data ../shared/data/dunes --weights ../shared/weights --seeds 0
    python benchmarks/cost.py --data benchmarks/out/dunes-256 --weights ../shared/weights

Needs the tiles of the first command; reads images of the train split and no mask. Places are
drawn at random, since no time depends on where they lie. All ways take turns on one batch, in an
order drawn anew each round, and a ratio is the median over rounds of what two ways took in the
same one: a busy machine slows both. Times are the processor's, of one thread, so that waiting for
it does not count. Each way has a U-Net of its own.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landvisor.geo.collection import open_collection
from landvisor.geo.legend import Legend, read_legend
from landvisor.geo.places import Places, make_places
from landvisor.geo.radiometry import measure_radiometry
from landvisor.geo.scene import Scene
from landvisor.learn.augment import Batch, collate
from landvisor.learn.checkpoint import Journal
from landvisor.learn.chips import ChipDataset, Lesson
from landvisor.learn.device import find_device, place_network, run_network
from landvisor.learn.encoders import Encoder
from landvisor.learn.fit import train_network
from landvisor.learn.losses import make_loss
from landvisor.learn.nets import Network, build_network, start_encoder, upsample
from landvisor.learn.objective import Objective
from landvisor.learn.optimise import clip_gradients, make_optimiser
from landvisor.learn.plan import Plan
from landvisor.learn.regions import RegionCache
from landvisor.learn.sampling import gather_material
from landvisor.learn.scaling import make_scaling
from landvisor.learn.task import Turn
from landvisor.recipe import FitSpec, NetSpec, TeacherSpec

ENCODER = "mobilenetv2_100"
IGNORE = 255
WARM_UP = 2  # the first rounds pay for memory
ALONE, POINTS = "network alone, forward and backward", "points"
TEACHERS = ("average", "instant", "both")
FIT = FitSpec()
GRADIENTS, UPDATE = ("teacher", "forward", "backward", "chips"), ("clip", "optimiser", "average")
Laps = dict[str, float]
Way = Callable[[Batch], Laps]


class Watch:
    """Times the pieces of a step, one after the other."""

    def __init__(self) -> None:
        self.laps: Laps = {}
        self.last = time.process_time()

    def lap(self, name: str) -> None:
        """Book the time since the last call on a piece."""
        now = time.process_time()
        self.laps[name] = now - self.last
        self.last = now


@dataclass(frozen=True)
class Ground:
    """What all ways learn from.

    Attributes:
        scenes: Tiles.
        legend: Its classes.
        net: The network.
        encoder: With its weights.
        folder: For caches.
    """

    scenes: tuple[Scene, ...]
    legend: Legend
    net: NetSpec
    encoder: Encoder
    folder: Path

    @property
    def classes(self) -> int:
        """Their number."""
        return len(self.legend.ids)

    def build(self) -> Network:
        """Build a network, the same each time."""
        bands = self.scenes[0].bands
        return build_network(self.net, bands, classes=self.classes, encoder=self.encoder).train()

    def draw_places(self, count: int) -> Places:
        """Draw places of any class, so many on each tile."""
        generator, scenes = np.random.default_rng(0), len(self.scenes)
        return make_places(
            generator.uniform(0, 1, (scenes * count, 2)) * (np.array(self.scenes[0].shape) - 1),
            generator.choice(self.legend.ids, scenes * count),
            scene=np.repeat(np.arange(scenes), count),
        )

    def make_chips(self, count: int, *, taught: bool) -> ChipDataset:
        """Make chips from tiles with so many places each, if taught with all that teachers need."""
        shapes = [scene.shape for scene in self.scenes]
        places = self.draw_places(count)
        material = gather_material(places, shapes, legend=self.legend, chip=FIT.chip)
        radiometry = measure_radiometry(self.scenes)
        mean, std = self.encoder.mean, self.encoder.std
        scaling = make_scaling(radiometry, dtype=str(self.scenes[0].dtype), mean=mean, std=std)
        lesson = Lesson()
        if taught:
            generator = np.random.default_rng(1)
            cells = (self.classes, FIT.chip // 2, FIT.chip // 2)
            told = generator.dirichlet(np.ones(self.classes), cells[1:]).transpose(2, 0, 1)
            guide = dict.fromkeys(material.regions, told.astype(np.float16))
            lesson = Lesson(TeacherSpec().colour, guide, stride=2)
        return ChipDataset(
            material,
            RegionCache(self.scenes, self.folder),
            scaling=scaling,
            spec=FIT,
            deviation=np.float32(radiometry.std) / np.float32(scaling.std),
            seed=0,
            lesson=lesson,
        )

    def make_objective(self, network: Network, *, fit: FitSpec, teacher: TeacherSpec) -> Objective:
        """Make what a network lowers."""
        loss = make_loss(fit, torch.ones(self.classes))
        return Objective(
            network, loss, fit=fit, teacher=teacher, names=self.legend.names, deviation=1.0, seed=0,
            bf16=True,
        )  # fmt: skip


class Alone:
    """A network's own forward and backward, at its decoder's stride, as landvisor runs it."""

    def __init__(self, ground: Ground) -> None:
        self.network = place_network(ground.build(), find_device())
        self.slope: Tensor | None = None

    def __call__(self, batch: Batch) -> Laps:
        """Take a step, and tell what its pieces took, in seconds."""
        watch = Watch()
        self.network.zero_grad()
        logits = run_network(self.network, batch.image, bf16=True)
        watch.lap("forward")
        if self.slope is None:
            self.slope = torch.randn(logits.shape, generator=torch.Generator().manual_seed(0))
        (logits * self.slope).sum().backward()
        watch.lap("backward")
        return watch.laps


class Step:
    """A step of landvisor's training, piece by piece; `follow_loop` times the whole loop."""

    def __init__(self, ground: Ground, *, fit: FitSpec = FIT, teacher: TeacherSpec) -> None:
        self.network = place_network(ground.build(), find_device())
        self.fit = fit
        self.objective = ground.make_objective(self.network, fit=fit, teacher=teacher)
        self.optimiser = make_optimiser(self.network, fit, encoder_factor=fit.encoder_lr_factor)

    def __call__(self, batch: Batch) -> Laps:
        """Take a step, and tell what its pieces took, in seconds."""
        watch = Watch()
        # not an epoch's first step, which compares gradients; the teacher has its full say
        task = self.objective.settle(self.objective.ask(batch, Turn(0, 1, share=1.0)))
        watch.lap("teacher")
        self.network.zero_grad()
        terms = self.objective.terms(self.network, task)
        watch.lap("forward")
        torch.stack(list(terms.values())).sum().backward()
        watch.lap("backward")
        self.objective.note(terms)
        clip_gradients(self.network.parameters(), self.fit.clip)
        watch.lap("clip")
        self.optimiser.step()
        watch.lap("optimiser")
        self.objective.follow(self.network)
        watch.lap("average")
        return watch.laps


class Usual:
    """Logits of every pixel, and cross-entropy with an `ignore_index` on a raster of labels."""

    def __init__(
        self, network: nn.Module, *, stride: int = 1, bf16: bool = False, last: bool = False
    ) -> None:
        self.layout = torch.channels_last if last else torch.contiguous_format
        self.network = network.to(memory_format=self.layout).train()
        self.stride = stride
        self.bf16 = bf16
        self.optimiser = make_optimiser(network, FIT, encoder_factor=FIT.encoder_lr_factor)

    def __call__(self, batch: Batch) -> Laps:
        """Take a step, and tell what its pieces took, in seconds."""
        target = draw_raster(batch)
        watch = Watch()
        self.network.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.bf16):
            logits = self.network(batch.image.contiguous(memory_format=self.layout))
        full = upsample(logits, stride=self.stride, size=tuple(target.shape[1:]))
        loss = F.cross_entropy(full.float(), target, ignore_index=IGNORE)
        watch.lap("forward")
        loss.backward()
        watch.lap("backward")
        clip_gradients(self.network.parameters(), FIT.clip)
        watch.lap("clip")
        self.optimiser.step()
        watch.lap("optimiser")
        return watch.laps


def draw_raster(batch: Batch) -> Tensor:
    """Draw places as a raster of labels, `IGNORE` where there is none."""
    target = torch.full(tuple(batch.valid.shape), IGNORE)
    row, col = batch.coords.round().long().clamp(0, target.shape[-1] - 1).unbind(1)
    target[batch.batch, row, col] = batch.label
    return target


def make_ways(ground: Ground, chips: dict[str, ChipDataset]) -> dict[str, Way]:
    import segmentation_models_pytorch as smp  # not before landvisor, which mends its imports

    nobody = TeacherSpec()
    smp_unet = smp.Unet(
        f"tu-{ENCODER}", encoder_weights=None, in_channels=len(ground.scenes[0].bands),
        classes=ground.classes,
    )  # fmt: skip
    whole = {"stride": ground.build().stride}
    return {
        ALONE: Alone(ground),
        POINTS: Step(ground, teacher=nobody),
        **{
            f"points, teacher.source={s}": Step(ground, teacher=TeacherSpec(source=s))
            for s in TEACHERS
        },
        "points, fit.pairwise=1": Step(ground, fit=FitSpec(pairwise=1.0), teacher=nobody),
        "usual way: full size, float32": Usual(ground.build(), **whole),
        "the same, channels last": Usual(ground.build(), **whole, last=True),
        "the same, channels last, bfloat16": Usual(ground.build(), **whole, last=True, bf16=True),
        "smp.Unet, float32": Usual(smp_unet),
        **{name: Loading(dataset) for name, dataset in chips.items()},
    }


class Loading:
    """Makes a batch of chips; what it is given it has no use for."""

    def __init__(self, chips: ChipDataset) -> None:
        self.chips = chips
        self.step = 0

    def __call__(self, _: Batch) -> Laps:
        """Take a step, and tell what its pieces took, in seconds."""
        watch = Watch()
        self.batch()
        watch.lap("chips")
        return watch.laps

    def batch(self) -> Batch:
        """Make the next batch."""
        first, size = self.step % (len(self.chips) // FIT.batch_size), FIT.batch_size
        self.step += 1
        return collate([self.chips[first * size + number] for number in range(size)])


def measure(ways: dict[str, Way], batches: Loading, *, rounds: int) -> dict[str, list[Laps]]:
    """Time all ways in turn, over and over."""
    order, times = random.Random(0), {name: [] for name in ways}
    for _ in range(rounds + WARM_UP):
        batch = batches.batch()
        for name in order.sample(list(ways), len(ways)):
            times[name].append(ways[name](batch))
    return {name: taken[WARM_UP:] for name, taken in times.items()}


def follow_loop(ground: Ground, chips: ChipDataset, alone: Alone, *, rounds: int) -> list[float]:
    """Train as `landvisor fit` does; return what a step takes, in steps of the network alone."""
    batch, ratios = Loading(chips).batch(), []

    def make(network: Network) -> Objective:
        objective = ground.make_objective(network, fit=FIT, teacher=TeacherSpec())
        follow, started = objective.follow, time.process_time()

        def follow_and_compare(network: Network) -> None:
            nonlocal started
            follow(network)
            took = time.process_time() - started
            ratios.append(took / sum(alone(batch).values()))
            started = time.process_time()

        objective.follow = follow_and_compare  # type: ignore[method-assign]
        return objective

    spec = FIT.model_copy(update={"epochs": 1, "steps": rounds + WARM_UP})
    chips.spec = spec
    journal = Journal(ground.folder / "journal", str(sum(chips.material.counts.values())))
    plan = Plan(spec, seed=0, encoder_factor=FIT.encoder_lr_factor, bf16=True, journal=journal)
    train_network(ground.build(), chips, objective=make, evaluate=None, plan=plan)
    return ratios[WARM_UP:]


def compare(mine: list[Laps], theirs: list[Laps], *, pieces: tuple[str, ...]) -> str:
    """Say how often as long some pieces of one way take as another way in the same round."""
    pairs = zip(mine, theirs, strict=True)
    return spread([add(laps, pieces) / sum(other.values()) for laps, other in pairs])


def add(laps: Laps, pieces: tuple[str, ...]) -> float:
    return sum(laps.get(name, 0) for name in pieces)


def spread(ratios: list[float]) -> str:
    low, middle, high = np.quantile(ratios, (0.25, 0.5, 0.75))
    return f"{middle:.3f} ({low:.3f} to {high:.3f})"


def print_ways(times: dict[str, list[Laps]]) -> None:
    print("| way | ms | gradients, times the network alone | all, times the network alone "
          "| all, times a step on points |\n|---|--:|--:|--:|--:|")  # fmt: skip
    for name, taken in times.items():
        whole = 1e3 * np.median([sum(laps.values()) for laps in taken])
        ratios = (
            compare(taken, times[other], pieces=pieces)
            for other, pieces in (
                (ALONE, GRADIENTS),
                (ALONE, GRADIENTS + UPDATE),
                (POINTS, GRADIENTS + UPDATE),
            )
        )
        print(f"| {name} | {whole:.0f} | {' | '.join(ratios)} |", flush=True)


def print_pieces(times: dict[str, list[Laps]]) -> None:
    names = GRADIENTS[:3] + UPDATE
    print(f"\n| ms | {' | '.join(names)} |\n|---|{'--:|' * len(names)}")
    for way, taken in times.items():
        if "chips" not in taken[0]:
            middle = [1e3 * np.median([laps.get(name, 0) for laps in taken]) for name in names]
            print(f"| {way} | {' | '.join(f'{ms:.1f}' for ms in middle)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--points", type=int, nargs="+", default=[10, 500])
    parser.add_argument("--tiles", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=21)
    args = parser.parse_args()
    torch.set_num_threads(1)
    net = NetSpec(
        model="unet", encoder=ENCODER, encoder_weights=str(args.weights / f"{ENCODER}.safetensors")
    )
    scenes = open_collection(args.data / "collection.csv").select("train").open_scenes()
    with tempfile.TemporaryDirectory() as folder:
        ground = Ground(
            scenes[: args.tiles], read_legend(args.data / "legend.toml"), net,
            start_encoder(net, scenes[0].bands), Path(folder),
        )  # fmt: skip
        for count in args.points:
            report(ground, count, rounds=args.rounds)


def report(ground: Ground, count: int, *, rounds: int) -> None:
    chips = {
        "making a batch of chips": ground.make_chips(count, taught=False),
        "making one for teachers": ground.make_chips(count, taught=True),
    }
    ways = make_ways(ground, chips)
    batches = Loading(chips["making one for teachers"])
    held = len(batches.batch().label) / FIT.batch_size
    print(
        f"\n{count} places a tile, {held:.0f} a chip of {FIT.chip}², batch {FIT.batch_size}, "
        f"{ground.classes} classes\n",
        flush=True,
    )
    times = measure(ways, batches, rounds=rounds)
    print_ways(times)
    print_pieces(times)
    plain = ground.make_chips(count, taught=False)
    loop = follow_loop(ground, plain, ways[ALONE], rounds=rounds)
    print(f"\nthe whole loop, chips made on the way: {spread(loop)} times the network alone")


if __name__ == "__main__":
    main()
