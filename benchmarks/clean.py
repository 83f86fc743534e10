"""How well detectors find images that do not belong, and how many others they flag.

    python benchmarks/clean.py --data ../shared/data --out benchmarks/out/clean

Sixty of the images of mars are photographs from Earth. They were told apart by eye on contact
sheets of all 1,876: people, animals, food, streets and rockets, none of which a rover saw; all
others show ground, rock or sky of Mars. No detector is told which or how many. Nothing is known to
be wrong with dunes and roads: what is flagged there counts as false.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import average_precision_score
from sklearn.neural_network import MLPRegressor

from landvisor.geo.collection import Collection, open_collection
from landvisor.geo.importing import import_collection
from landvisor.geo.rasters import Reading
from landvisor.labels.alike import shrink
from landvisor.labels.clean import DEFAULT, clean_collection
from landvisor.labels.detectors import DETECTORS, Verdict, measure_excess
from landvisor.labels.looks import Look, read_looks
from landvisor.report.canvas import INK, figure_to_png, new_figure

READING = {"mars": Reading(), "dunes": Reading(nodata=0, nodata_tolerance=6), "roads": Reading()}
STRANGERS = {
    f"mars_train_{position:04d}"
    for position in (
        1, 34, 41, 82, 89, 98, 112, 119, 213, 228, 239, 273, 327, 348, 350, 425, 431, 485, 504,
        507, 519, 521, 574, 637, 672, 697, 700, 725, 747, 801, 853, 913, 938, 1018, 1032, 1044,
        1148, 1162, 1199, 1218, 1229, 1233, 1254, 1267, 1379, 1463, 1470, 1473, 1560, 1625, 1634,
        1637, 1655, 1657, 1676, 1679, 1781, 1787, 1796, 1834,
    )
}  # fmt: skip


def open_data(name: str, data: Path, out: Path) -> Collection:
    if name != "mars":
        return open_collection(data / name)
    if not (out / "mars").exists():
        import_collection(
            [data / "mars" / "mars_train.npz"], out / "mars", legend=data / "mars" / "legend.toml"
        )
    return open_collection(out / "mars")


def read_data(collection: Collection, name: str) -> list[Look]:
    read = read_looks(collection.items, legend=collection.legend, reading=READING[name])
    return [look for look in read if isinstance(look, Look)]


def detect_by_autoencoder(looks: Sequence[Look]) -> Verdict:
    """Rebuild thumbnails by a small autoencoder, fitted without the fifth that it rebuilds."""
    whole = np.stack([np.nan_to_num(shrink(look)).ravel() for look in looks]).astype(np.float64)
    whole = (whole - whole.mean()) / whole.std()
    part = np.argsort(np.argsort([look.name for look in looks])) % 5
    error = np.zeros(len(looks))
    for held in range(5):
        model = MLPRegressor(
            hidden_layer_sizes=(128, 16, 128), max_iter=60, early_stopping=True, random_state=0
        )
        model.fit(whole[part != held], whole[part != held])
        rest = whole[part == held]
        error[part == held] = np.linalg.norm(rest - model.predict(rest), axis=1)
    return Verdict(measure_excess(error), 3.5, tuple("" for _ in looks))


def score_detectors(collections: dict[str, Collection], *, autoencoder: bool) -> list[str]:
    """Return the rows of a table: what each detector finds on mars, and flags elsewhere."""
    detectors = {**DETECTORS, **({"autoencoder": detect_by_autoencoder} if autoencoder else {})}
    rows = [
        "| detector | mars: of 60 found | mars: others flagged | average precision "
        "| dunes flagged | roads flagged |",
        "|---|---|---|---|---|---|",
    ]
    looks = {name: read_data(collection, name) for name, collection in collections.items()}
    for name, detector in detectors.items():
        verdicts = {data: detector(shown) for data, shown in looks.items()}
        gone = {
            data: {looks[data][i].name for i in np.flatnonzero(verdict.suspect)}
            for data, verdict in verdicts.items()
        }
        truth = [look.name in STRANGERS for look in looks["mars"]]
        score = np.nan_to_num(verdicts["mars"].score, nan=-1e9)
        ranked = average_precision_score(truth, score)
        label = f"{name} (default)" if name in DEFAULT else name
        rows.append(
            f"| {label} | {len(gone['mars'] & STRANGERS)} | {len(gone['mars'] - STRANGERS)} "
            f"| {ranked:.2f} | {len(gone['dunes'])} % | {len(gone['roads'])} % |"
        )
    return rows


def draw_removed(collection: Collection, *, cols: int = 10) -> Figure:
    """Draw what the default detectors leave out, as a contact sheet."""
    removed = [entry.item for entry in clean_collection(collection).removed]
    rows = -(-len(removed) // cols)
    figure = new_figure(1.1 * cols, 0.68 * rows)
    grid = figure.subplots(rows, cols, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, item in zip(grid, removed, strict=False):
        axes.imshow(item.open().read().data[0], cmap="gray", vmin=0, vmax=255)
        axes.set_title(item.name.rsplit("_", 1)[-1], fontsize=6, color=INK, pad=2)
    figure.subplots_adjust(0.004, 0.004, 0.996, 1 - 0.14 / figure.get_figheight(), 0.03, 0.22)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--autoencoder", action="store_true", help="compare one with the PCA")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    collections = {name: open_data(name, args.data, args.out) for name in READING}
    assert all(len(collections[name]) == 100 for name in ("dunes", "roads")), "counts are shares"
    print("\n".join(score_detectors(collections, autoencoder=args.autoencoder)))
    (args.out / "removed.png").write_bytes(figure_to_png(draw_removed(collections["mars"]), dpi=75))


if __name__ == "__main__":
    main()
