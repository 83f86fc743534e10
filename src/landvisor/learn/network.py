"""How a segmentation network is learned for a job: encoder, chips, loss, validation, card."""

from __future__ import annotations

import logging
import zlib
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from landvisor.accuracy.confusion import count_confusion
from landvisor.card import Card, card_classes
from landvisor.errors import PointsError
from landvisor.geo.places import SOURCES, Places, concatenate, no_places
from landvisor.geo.tiling import Shape
from landvisor.labels.balance import class_weights
from landvisor.learn.audit import Verdict
from landvisor.learn.calibrate import calibrate
from landvisor.learn.checkpoint import Journal, Progress, digest_run
from landvisor.learn.chips import ChipDataset, Lesson
from landvisor.learn.device import find_device, uses_bf16
from landvisor.learn.encoders import Encoder
from landvisor.learn.engines import TorchEngine
from landvisor.learn.fit import MakeObjective, train_network
from landvisor.learn.guide import instant_job, make_guide
from landvisor.learn.instant import InstantLearner
from landvisor.learn.job import Job
from landvisor.learn.keeper import Evaluate
from landvisor.learn.losses import PlaceLoss, make_loss
from landvisor.learn.model import Model
from landvisor.learn.nets import Network, build_network, start_encoder
from landvisor.learn.network_predictor import NetworkPredictor, make_predictor
from landvisor.learn.objective import Objective
from landvisor.learn.plan import Course, Plan
from landvisor.learn.prior import make_adjustment, note_prior
from landvisor.learn.regions import Region, RegionCache, find_regions, group_by_shape
from landvisor.learn.sampling import Material, find_bare, gather_material
from landvisor.learn.scaling import Scaling, make_scaling

log = logging.getLogger(__name__)

__all__ = ["NetworkLearner", "NetworkPredictor", "score"]


@dataclass(frozen=True)
class Support:
    """What a training is given besides labelled places.

    Attributes:
        instant: Fits the trees that teach, where trees do; None takes those of the recipe.
        pseudo: Places that a network labelled, learned from by networks alone.
        course: An earlier training to repeat.
    """

    instant: InstantLearner | None = None
    pseudo: Places = field(default_factory=no_places)
    course: Course | None = None


@dataclass(frozen=True)
class Choice:
    """A fitted network, and how its training went.

    Attributes:
        model: With the weights of the best epoch.
        progress: Of the training.
        support: What it was given besides labelled places.
    """

    model: Model
    progress: Progress
    support: Support


@dataclass(frozen=True)
class NetworkLearner:
    """Fits a network to any part of a job's places; see `landvisor.learn.job.Learner`.

    Args:
        job: Its encoder is loaded, and each part of its imagery decoded, once for all fits.
    """

    job: Job

    def fit(self, train: Places, val: Places | None, *, seed: int) -> Model:
        """Fit on `train`; the epoch is chosen on `val` without the area prior, else the last.

        Raises:
            PointsError: If no place has a class to learn.
            ModelError: If the encoder or its weights cannot be had.
        """
        return self.refit(self.choose(train, val, seed=seed), train, val, seed=seed)

    def choose(
        self, train: Places, val: Places | None, *, seed: int, support: Support | None = None
    ) -> Choice:
        """Fit on `train` alone, as `fit` does before a refit."""
        checked = val if val is not None and len(val) else None
        return self._train(train, checked, seed=seed, support=support or Support())

    def refit(self, choice: Choice, train: Places, val: Places | None, *, seed: int) -> Model:
        """Train anew on all places for the epochs that `val` chose, where the recipe asks for it.

        The card keeps what validation said of the model that was chosen.
        """
        if not self.job.recipe.fit.refit or val is None or not len(val):
            return choice.model
        course = Course(choice.progress.best_epoch, tuple(choice.progress.drops))
        log.info("the network is trained anew on all places for %d epochs", course.epochs)
        support = replace(choice.support, course=course)
        again = self._train(concatenate([train, val]), None, seed=seed, support=support)
        return _with_choice(again, choice)

    def _train(self, train: Places, val: Places | None, *, seed: int, support: Support) -> Choice:
        encoder = self._encoder(seed)
        ids = self.job.legend.ids
        net = self.job.recipe.net
        network = build_network(net, self._bands, classes=len(ids), encoder=encoder, seed=seed)
        scaling = self._scaling(encoder)
        chips = self._chips(train, scaling, stride=network.stride, seed=seed, support=support)
        learned = concatenate([train, support.pseudo])
        places = [learned] if val is None else [learned, val]
        progress = train_network(
            network,
            chips,
            objective=self._objective(learned, chips, seed=seed),
            evaluate=None if val is None else self._evaluation(val, scaling),
            plan=self._plan(network, encoder, chips, places=places, course=support.course),
        )
        predictor = make_predictor(network, scaling, precision=self.job.recipe.fit.precision)
        card = self._card(encoder, scaling)
        made = _with_results(card, learned, val=val, progress=progress)
        model = Model(note_prior(made, learned), predictor)
        if val is not None:
            model = calibrate(model, self.predict(model, val), val)
        return Choice(model, progress, support)

    def predict(self, model: Model, places: Places) -> NDArray[np.float32]:
        """Return `[n, classes]`: probabilities at places, each from its most interior window."""
        assert isinstance(model.predictor, NetworkPredictor), "a model of this learner"
        return model.adjust(self._predict(model.predictor, places), axis=1)

    def ask(self, model: Model, places: Places) -> NDArray[np.float32]:
        """Return `[1, n, classes]`: what `predict` says, as a member of its own."""
        return self.predict(model, places)[None]

    @cached_property
    def instant(self) -> InstantLearner:
        """The instant model of the same job, which may teach the network."""
        return InstantLearner(instant_job(self.job))

    @property
    def _bands(self) -> tuple[str, ...]:
        return self.job.scenes[0].bands

    @property
    def _shapes(self) -> list[Shape]:
        return [scene.shape for scene in self.job.scenes]

    @cached_property
    def cache(self) -> RegionCache:
        """The decoded parts of the imagery."""
        scenes = (*self.job.scenes, *self.job.unlabelled)
        return RegionCache(scenes, self.job.folder / "chips")

    @cached_property
    def _loaded(self) -> Encoder:
        return start_encoder(self.job.recipe.net, self._bands)

    def _encoder(self, seed: int) -> Encoder:
        loaded = self._loaded
        if loaded.pretrained:
            return loaded
        bare = self.job.recipe.net.model_copy(update={"encoder_weights": "none"})
        return replace(start_encoder(bare, self._bands, seed=seed), notes=loaded.notes)

    def _scaling(self, encoder: Encoder) -> Scaling:
        dtype = str(self.job.scenes[0].dtype) if encoder.picture_range else None
        return make_scaling(self.job.radiometry, dtype=dtype, mean=encoder.mean, std=encoder.std)

    def _chips(
        self, train: Places, scaling: Scaling, *, stride: int, seed: int, support: Support
    ) -> ChipDataset:
        spec, learned = self.job.recipe.fit, concatenate([train, support.pseudo])
        material = gather_material(learned, self._shapes, legend=self.job.legend, chip=spec.chip)
        if not material.regions:
            raise PointsError(
                f"none of {len(train)} places has an active class of the legend; a network needs "
                "labelled places"
            )
        teacher = self.job.recipe.teacher
        if teacher.teaches and teacher.unlabelled:
            material = self._add_bare(material, learned, seed=seed)
        deviation = np.asarray(self.job.radiometry.std) / np.asarray(scaling.std)
        return ChipDataset(
            material,
            self.cache,
            scaling=scaling,
            spec=spec,
            deviation=deviation.astype(np.float32),
            seed=seed,
            lesson=self._lesson(
                train, material.everywhere, stride=stride, seed=seed, support=support
            ),
        )

    def _add_bare(self, material: Material, train: Places, *, seed: int) -> Material:
        bare = find_bare(
            train,
            self.job.scenes,
            extra=self.job.unlabelled,
            taken=material.regions,
            chip=self.job.recipe.fit.chip,
            seed=seed,
        )
        log.info("%d regions without a place are seen by the teacher too", len(bare))
        return replace(material, bare=bare)

    def _lesson(
        self,
        train: Places,
        regions: tuple[Region, ...],
        *,
        stride: int,
        seed: int,
        support: Support,
    ) -> Lesson:
        spec = self.job.recipe.teacher
        guide = None
        if spec.instructs and spec.teaches:
            folder = self.job.folder / "guide"
            learner = support.instant or self.instant
            guide = make_guide(learner, train, regions, cache=self.cache, folder=folder, seed=seed)
        colour = spec.colour if spec.averages and spec.teaches else None
        return Lesson(colour, guide, stride, spec.unlabelled)

    def _objective(self, train: Places, chips: ChipDataset, *, seed: int) -> MakeObjective:
        recipe, loss = self.job.recipe, self._loss(train)
        return lambda network: Objective(
            network,
            loss,
            fit=recipe.fit,
            teacher=recipe.teacher,
            names=self.job.legend.names,
            deviation=float(chips.deviation.mean()),
            seed=seed,
            bf16=uses_bf16(recipe.fit.precision, find_device()),
        )

    def _loss(self, train: Places) -> PlaceLoss:
        labels, legend = self.job.recipe.labels, self.job.legend
        kind, cap = labels.class_weights, labels.weight_cap
        images = train.scene
        weights = class_weights(train.label, legend.ids, kind=kind, cap=cap, images=images)
        shift = make_adjustment(self.job.recipe, legend, train)
        return make_loss(
            self.job.recipe.fit,
            torch.from_numpy(weights).float(),
            adjustment=None if shift is None else torch.from_numpy(shift).float(),
        )

    def _plan(
        self,
        network: Network,
        encoder: Encoder,
        chips: ChipDataset,
        *,
        places: list[Places],
        course: Course | None,
    ) -> Plan:
        recipe = self.job.recipe
        bf16 = uses_bf16(recipe.fit.precision, find_device())
        choices = {
            "recipe": recipe.model_dump(mode="json", exclude={"assess"}),
            "seed": chips.seed,
            "bf16": bf16,
            "course": None if course is None else [course.epochs, course.drops],
            "guide": [zlib.crc32(t.tobytes()) for t in (chips.lesson.guide or {}).values()],
            "legend": self.job.legend.ids,
            "scaling": [chips.scaling.mean, chips.scaling.std],
            "pixels": [self.cache.checksum(region) for region in chips.material.everywhere],
        }
        digest = digest_run(network, places=places, choices=choices)
        return Plan(
            spec=recipe.fit,
            seed=chips.seed,
            encoder_factor=recipe.fit.encoder_lr_factor if encoder.pretrained else 1.0,
            bf16=bf16,
            journal=Journal(self.job.folder, digest),
            progress=self.job.progress,
            curves=self.job.curves,
            ranks=self.job.ranks,
            course=course,
        )

    def _evaluation(self, val: Places, scaling: Scaling) -> Evaluate:
        ids = self.job.legend.ids
        bf16 = uses_bf16(self.job.recipe.fit.precision, find_device())

        def evaluate(network: Network) -> Verdict:
            engine = TorchEngine(network, bf16=bf16)
            found = self._predict(NetworkPredictor(network, scaling, engine), val)
            right = np.asarray(ids)[found.argmax(axis=1)] == val.label
            return Verdict(score(found, val.label, ids=ids), found, right)

        return evaluate

    def _predict(self, predictor: NetworkPredictor, places: Places) -> NDArray[np.float32]:
        spec = self.job.recipe.predict
        result = np.full((len(places), len(self.job.legend.ids)), np.nan, dtype=np.float32)
        found = find_regions(places, self._shapes, size=spec.window, overlap=spec.shared)
        for group in group_by_shape(found, spec.batch_size):
            pixels = [self.cache.read(region) for region, _ in group]
            inside = [places.coords[at] - (r.window.row, r.window.col) for r, at in group]
            result[np.concatenate([at for _, at in group])] = predictor.predict_at(
                np.stack([part.data for part in pixels]),
                np.stack([part.valid for part in pixels]),
                coords=np.concatenate(inside),
                batch=np.repeat(np.arange(len(group)), [len(at) for _, at in group]),
            )
        return result

    def _card(self, encoder: Encoder, scaling: Scaling) -> Card:
        job = self.job
        return Card(
            kind="network",
            classes=card_classes(job.legend),
            bands=self._bands,
            dtype=str(job.scenes[0].dtype),
            mean=job.radiometry.mean,
            std=job.radiometry.std,
            histogram=job.radiometry.quantiles,
            input_mean=scaling.mean,
            input_std=scaling.std,
            recipe=job.recipe,
            training={
                "scenes": [scene.name for scene in job.scenes],
                "unlabelled_scenes": [scene.name for scene in job.unlabelled],
            },
            notes=encoder.notes,
        )


def score(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], *, ids: tuple[int, ...]
) -> dict[str, float]:
    """Score probabilities `[n, class]` against class ids `[n]`, pooled over all places."""
    predicted = np.asarray(ids)[probabilities.argmax(axis=1)]
    metrics = count_confusion(labels, predicted, ids=ids).metrics()
    return {name: metrics[name] for name in ("mean_iou", "mean_f1", "oa")}


def _with_results(card: Card, train: Places, *, val: Places | None, progress: Progress) -> Card:
    legend = card.legend
    classes = zip(legend.names, legend.ids, strict=True)
    training = {
        **card.training,
        "places": len(train),
        "places_per_class": {name: int((train.label == i).sum()) for name, i in classes},
        "places_per_source": {n: int((train.source == code).sum()) for n, code in SOURCES.items()},
        "epochs": progress.epochs,
        "seconds": round(progress.seconds, 1),
        "history": {  # five digits draw a curve; NaN has no JSON
            name: [round(value, 5) if np.isfinite(value) else None for value in values]
            for name, values in progress.history.items()
        },
    }
    validation = {} if val is None else {"n": len(val), **progress.scores}
    validation["epoch"] = progress.best_epoch
    return card.model_copy(update={"training": training, "validation": validation})


def _with_choice(again: Choice, choice: Choice) -> Model:
    """Let a refitted model's card tell of the trainings before it, too."""
    card, chosen = again.model.card, choice.model.card
    training = {
        **chosen.training,
        **card.training,
        "refitted": True,
        "seconds": round(chosen.training["seconds"] + again.progress.seconds, 1),
        "history": chosen.training["history"],
    }
    note = f"trained anew on all places for {again.progress.epochs} epochs, as validation chose"
    update = {
        "training": training,
        "validation": chosen.validation,
        "temperature": chosen.temperature,
        "notes": (*card.notes, note),
    }
    return replace(again.model, card=card.model_copy(update=update))
