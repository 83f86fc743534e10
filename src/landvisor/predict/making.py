"""How scenes become maps: block by block, from where an earlier attempt stopped."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from odc.geo.geobox import GeoBox

from landvisor.errors import DamageError
from landvisor.files import writing
from landvisor.geo.bundle import MapFiles, list_rasters, map_files, write_map
from landvisor.geo.collection import Collection
from landvisor.geo.damage import DamagedBlock, tolerate
from landvisor.geo.identify import identify_imagery
from landvisor.geo.scene import Scene
from landvisor.geo.tiling import Window, full_window, split_blocks
from landvisor.journal import Journal
from landvisor.learn.ensemble import has_members, identify_model
from landvisor.learn.model import Model
from landvisor.options import Options, Progress
from landvisor.predict.adapt import adapt_scenes
from landvisor.predict.backends import Backend, prepare_backend
from landvisor.predict.blocks import BLOCKS, BlockStore, plan_runs
from landvisor.predict.cache import bound_cache
from landvisor.predict.cluster import gather_team
from landvisor.predict.disk import most_bytes, tell_room
from landvisor.predict.picture import Picture, plan_pictures
from landvisor.predict.stream import check_fit
from landvisor.predict.team import Computed, Task, Team
from landvisor.recipe import PredictSpec
from landvisor.record import find_versions

log = logging.getLogger(__name__)

_BACKEND = "backend.json"
DAMAGED = "damaged.json"
"""Beside maps of damaged images: what could not be read of them."""


def map_stem(pictures: Sequence[Scene | Picture], position: int) -> str:
    """Name a map: `map` where it is alone, else by its scene."""
    return "map" if len(pictures) == 1 else pictures[position].name


@dataclass(frozen=True)
class MadeMap:
    """A finished map that is not published yet: where it lies, on earth and on the disk."""

    grid: GeoBox
    files: MapFiles


def make_maps(
    model: Model,
    collection: Collection,
    *,
    work: Path,
    spec: PredictSpec,
    options: Options,
) -> list[MadeMap]:
    """Predict scenes, or go on where a killed run stopped, and make their maps in `work`.

    Args:
        model: What to predict with.
        collection: Scenes that fit the model; all are checked before the first is predicted.
        work: A folder that this process holds; see `landvisor.files.work_folder`.
        spec: Window, overlap, batch and block size; views; matching.
        options: How scenes are read; its `on_pixels` is called over all scenes.

    Returns:
        A map of each scene, or of all of them where `spec.mosaic` says so.

    Raises:
        DamageError: If part of a file does not read.
        ModelError: If a scene does not fit.
        OutputError: If writing fails.
    """
    scenes = collection.open_scenes(options.reading)
    for scene in scenes:
        check_fit(model, scene)
    with bound_cache(), _saying_way_out():
        read = tuple(tolerate(s)[0] for s in scenes) if spec.on_error == "nodata" else scenes
        seen = adapt_scenes(model, read, spec)
        # Before the journal, which a changed option empties: a wrong one shall not cost the blocks.
        pictures = plan_pictures(collection, seen, spec)
        circumstances = {
            "the model": identify_model(model),
            "the imagery": identify_imagery(collection, scenes, options.reading),
            "the options": spec.model_dump(mode="json"),
            "the software": find_versions(),
        }
        with _keeping(Journal(work / "predict", circumstances)) as journal:
            computed = _choose_backend(model, seen, journal, spec=spec)
            with gather_team(options) as team:
                return _make(
                    computed, pictures, journal, spec=spec, team=team, tell=options.on_pixels
                )


@contextmanager
def _keeping(journal: Journal) -> Iterator[Journal]:
    """Say that finished blocks are kept where a run ends early; a journal of none is dropped."""
    try:
        yield journal
    except BaseException:
        journal.drop_if_empty()
        if journal.count(BLOCKS):
            log.warning("what was finished is kept: the same command goes on from there")
        raise


@contextmanager
def _saying_way_out() -> Iterator[None]:
    """Add to what is said of a damaged file that the rest of it can be predicted."""
    try:
        yield
    except DamageError as error:
        said = f"{error}, or set predict.on_error=nodata to predict the rest"
        raise DamageError(said) from error


def _choose_backend(
    model: Model, scenes: Sequence[Scene], journal: Journal, *, spec: PredictSpec
) -> Computed:
    """Choose what computes the model, unless an earlier attempt has chosen."""
    folder = journal.folder / "backend"
    if not journal.holds(_BACKEND):
        with writing(folder):
            folder.mkdir(exist_ok=True)
        backend = prepare_backend(model, scenes, spec, folder=folder)
        journal.write(_BACKEND, backend.model_dump_json().encode())
    text = (journal.folder / _BACKEND).read_text(encoding="utf-8")
    return Computed(model, Backend.model_validate_json(text), folder)


def _make(
    computed: Computed,
    pictures: Sequence[Picture],
    journal: Journal,
    *,
    spec: PredictSpec,
    team: Team,
    tell: Progress | None,
) -> list[MadeMap]:
    legend, several = computed.model.card.legend, has_members(computed.model)
    counter = _Counter(sum(full_window(picture.grid.shape).size for picture in pictures), tell)
    stores = [
        BlockStore(
            journal,
            map_stem(pictures, position),
            blocks=list(split_blocks(picture.grid.shape, spec.block)),
            legend=legend,
            disagreement=several,
        )
        for position, picture in enumerate(pictures)
    ]
    damage = _DamageReport(journal)
    missing = [
        set() if _is_finished(store, journal) else set(store.find_missing()) for store in stores
    ]
    pixels, left = [store.pixels for store in stores], sum(b.size for m in missing for b in m)
    _tell_finished(sum(store.count for store in stores), sum(map(len, missing)))
    need = most_bytes(pixels, missing=left, classes=len(legend.ids), disagreement=several)
    tell_room(journal.folder, need)
    counter.add(sum(pixels) - left)
    tasks = _plan_tasks(pictures, missing, most=team.longest_run(sum(map(len, missing))))
    made: dict[int, MapFiles] = {}
    for packed in team.predict(computed, spec, tasks):
        damage.add(packed.damaged)  # first: a kill in between would leave it unreported
        stores[packed.position].write(packed.block, packed.content)
        counter.add(packed.block.size)
        missing[packed.position].discard(packed.block)
        if not missing[packed.position]:
            store, grid = stores[packed.position], pictures[packed.position].grid
            made[packed.position] = _assemble(store, grid, journal)
    for position in set(range(len(stores))) - set(made):  # an earlier attempt predicted them
        made[position] = _assemble(stores[position], pictures[position].grid, journal)
    return [MadeMap(picture.grid, made[position]) for position, picture in enumerate(pictures)]


def _tell_finished(blocks: int, missing: int) -> None:
    if missing < blocks:
        finished = blocks - missing
        log.info("going on: an earlier attempt finished %d of %d blocks", finished, blocks)


def _plan_tasks(
    pictures: Sequence[Picture],
    missing: Sequence[AbstractSet[Window]],
    *,
    most: int | None,
) -> Iterator[Task]:
    for position, picture in enumerate(pictures):
        if missing[position]:
            log.info("predicting %s", picture.name)
        for run in plan_runs(missing[position], most=most):
            yield Task(position, picture, tuple(run))


def _is_finished(store: BlockStore, journal: Journal) -> bool:
    """Tell whether all rasters of a map are there, so that its blocks are needed no more."""
    files = map_files(journal.folder / "maps", store.stem)
    rasters = list_rasters(files, store.legend, disagreement=store.disagreement)
    return all(journal.holds(part.path) for part in rasters)


def _assemble(store: BlockStore, grid: GeoBox, journal: Journal) -> MapFiles:
    """Make the files of a map from its blocks, but for those that are finished; then drop them."""
    files = map_files(journal.folder / "maps", store.stem)
    legend, several = store.legend, store.disagreement
    rasters = list_rasters(files, legend, disagreement=several)
    done = [part.path for part in rasters if journal.holds(part.path)]
    if files.classes not in done:  # it is finished last
        log.info("writing the map %s", files.classes.name)
    with writing(files.classes):
        files.classes.parent.mkdir(exist_ok=True)
    writing_map = write_map(
        files, grid, legend=legend, read_blocks=store.read, done=done, disagreement=several
    )
    for path in writing_map:
        journal.note(path)
    store.drop()
    return files


class _DamageReport:
    """Tells of damaged blocks of images, each once, and keeps them for the next attempt.

    Args:
        journal: Where they are kept.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._known: dict[str, Any] = {}
        if journal.holds(DAMAGED):
            text = (journal.folder / DAMAGED).read_text(encoding="utf-8")
            self._known = {block["message"]: block for block in json.loads(text)}

    def add(self, blocks: Sequence[DamagedBlock]) -> None:
        """Take note of blocks that may be known already."""
        new = {block.message: asdict(block) for block in blocks if block.message not in self._known}
        if not new:
            return
        for message in new:
            log.warning("%s; these pixels are no data in the map", message)
        self._known |= new
        content = json.dumps(list(self._known.values()), indent=2)
        self._journal.write(DAMAGED, content.encode())


class _Counter:
    """Counts the pixels that are done, for whoever wants to know."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._done, self._total = 0, total
        self._progress = progress

    def add(self, pixels: int) -> None:
        """Count pixels, and tell of it."""
        self._done += pixels
        if self._progress and pixels:
            self._progress(self._done, self._total)
