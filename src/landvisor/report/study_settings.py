"""Settings of a study's arms: which they share, and in which they differ."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from landvisor.architectures import PLAIN_NETWORKS
from landvisor.recipe import INSTANT_MODELS
from landvisor.report.document import Align, Block, Paragraph, Styled, Table, Text
from landvisor.report.study_values import Plain, StudyPage, StudyRun

Settings = dict[str, Any]
_COLUMNS = 4  # settings beyond that do not fit beside each other
_NETWORK = {
    "net.model": "model",
    "net.encoder": "encoder",
    "net.encoder_weights": "weights that the encoder starts from",
    "net.widths": "channels by level, finest first",
    "net.norm": "normalisation",
    "net.dropout": "dropout of the bottleneck",
    "net.partner": "instant model averaged with the network",
    "net.separate": "class that has a network of its own",
    "labels.class_weights": "class weights",
    "labels.weight_cap": "largest ratio of class weights",
    "fit.loss": "loss",
    "fit.gamma": "γ, focusing",
    "fit.alpha": "α, scalar",
    "fit.normalise_alpha": "scalar α is divided out",
    "fit.label_smoothing": "label smoothing",
    "fit.epochs": "epochs at most",
    "fit.patience": "epochs without gain before training stops",
    "fit.batch_size": "chips in a batch",
    "fit.chip": "side of a chip in pixels",
    "fit.optimizer": "optimiser",
    "fit.lr": "learning rate",
    "fit.encoder_lr_factor": "rate of a pretrained encoder, relative",
    "fit.weight_decay": "weight decay",
    "fit.schedule": "schedule of the rate",
    "fit.clip": "largest gradient norm; 0 does not clip",
    "fit.average": "decay of averaged weights",
    "fit.flips": "turns and mirrors",
    "fit.scale": "random zoom",
    "fit.colour": "random brightness and contrast",
    "fit.distort": "random distortion",
    "fit.keep": "epoch whose weights are kept",
    "fit.members": "networks averaged",
    "teacher.source": "teacher of unlabelled pixels",
    "teacher.weight": "weight of the teacher's term",
    "teacher.fade": "share of an instant teacher's say that is gone by the end",
    "teacher.rounds": "rounds of teaching",
}
_INSTANT = {
    "net.model": "model",
    "labels.class_weights": "class weights",
    "instant.classifier": "classifier",
    "instant.trees": "trees",
    "instant.min_leaf": "samples in a leaf, at least",
    "instant.sigmas": "widths of the filter bank in pixels",
    "instant.refit": "fitted again to train and val together",
}
_PREDICT = {
    "link.area": "what linked places label",
    "grow.method": "growing of labels",
    "predict.tta": "views of a window, averaged",
    "predict.scales": "zooms of a window, averaged",
    "predict.window": "side of a window in pixels",
    "predict.overlap": "pixels that windows share",
    "predict.local_prior": "strength of the local prior",
    "predict.match_histogram": "matching of histograms",
}

_DIGEST = re.compile(r"\b([0-9a-f]{16})[0-9a-f]{48}\b")


def flatten_choices(choices: Plain) -> Settings:
    """Return what a run was told by dotted path, the seed and names of inputs aside."""
    told = {**choices["recipe"], "data": choices["data"], "points": choices["points"]}
    told.pop("seed", None)
    return dict(_flatten(told))


def list_differences(page: StudyPage) -> dict[str, dict[str, Any]]:
    """Return the paths in which arms differ, each with its value by arm."""
    flat = {arm: flatten_choices(run.choices) for arm, run in page.of_each_arm().items()}
    paths = next(iter(flat.values()))
    differ = [path for path in paths if len({repr(known[path]) for known in flat.values()}) > 1]
    return {path: {arm: known[path] for arm, known in flat.items()} for path in differ}


def trains_network(run: StudyRun) -> bool:
    """Tell whether a run trains a network, as far as is known."""
    kind = run.facts.get("kind")
    if kind is not None:
        return str(kind) != "instant"
    return run.choices["recipe"]["net"]["model"] not in INSTANT_MODELS


def describe_arms(page: StudyPage) -> tuple[Block, ...]:
    """Return the settings in which arms differ, a row of a table per arm."""
    differ = list_differences(page)
    return _list_departures(page, differ) if len(differ) > _COLUMNS else (_tabulate(page, differ),)


def _tabulate(page: StudyPage, differ: Mapping[str, Mapping[str, Any]]) -> Table:
    left: Align = "left"
    rows = tuple(
        (arm, *(say_setting(by_arm[arm]) for by_arm in differ.values())) for arm in page.arms
    )
    return Table(
        "The arms, and all settings in which any of them differ.",
        ("arm", *(Styled(path, "code") for path in differ)),
        rows,
        (left,) * (1 + len(differ)),
    )


def _list_departures(page: StudyPage, differ: Mapping[str, Mapping[str, Any]]) -> tuple[Block, ...]:
    """Return for each arm only those settings that most arms do not have."""
    usual: dict[str, str] = {}
    for path, by_arm in differ.items():
        ((usual[path], _),) = Counter(map(say_setting, by_arm.values())).most_common(1)
    rows: list[tuple[Text, ...]] = []
    for arm in page.arms:
        own = {path: say_setting(by_arm[arm]) for path, by_arm in differ.items()}
        said = [f"{path} = {value}" for path, value in own.items() if value != usual[path]]
        rows.append((arm, Styled(", ".join(said), "code") if said else "all as most"))
    most = ", ".join(f"{path} = {value}" for path, value in usual.items())
    table = Table(
        "The arms, and those settings of each that most arms do not have.",
        ("arm", "settings that differ"),
        tuple(rows),
        ("left", "left"),
    )
    return (Paragraph(("Settings in which arms differ; most arms have ", Styled(most, "code"),
                       ".")), table)  # fmt: skip


def tabulate_settings(page: StudyPage) -> Table:
    """Return the settings of model and training, those that vary with their values."""
    runs = page.of_each_arm()
    nets = [trains_network(run) for run in runs.values()]
    words = {**(_NETWORK if any(nets) else {}), **({} if all(nets) else _INSTANT), **_PREDICT}
    flat = {arm: flatten_choices(run.choices) for arm, run in runs.items()}
    settled = [find_settled(page, arm) for arm in runs]
    rows: list[tuple[Text, ...]] = []
    for path, said in words.items():
        if path not in next(iter(flat.values())) or not _applies(path, list(flat.values())):
            continue
        values = list(dict.fromkeys(say_setting(known[path]) for known in flat.values()))
        became = list(dict.fromkeys(say_setting(s[path]) for s in settled if path in s))
        became = became if "auto" in values else []
        rows.append((said, Styled(path, "code"), _say_values(values, became)))
    return Table(
        "Model, training and prediction. All other settings have their defaults of this version "
        "of landvisor, or are in the study file.",
        ("what", "setting", "value"),
        tuple(rows),
        ("left", "left", "left"),
    )


def _applies(path: str, arms: Sequence[Settings]) -> bool:
    """Tell whether a setting does anything in some arm."""
    if path in ("net.encoder", "net.encoder_weights", "fit.encoder_lr_factor"):
        return any(arm["net.model"] not in PLAIN_NETWORKS for arm in arms)
    if path in ("net.widths", "net.norm", "net.dropout"):
        return any(arm["net.model"] == "plain_unet" for arm in arms)
    if path == "fit.gamma":
        return any("focal" in arm["fit.loss"] for arm in arms)
    if path == "fit.normalise_alpha":
        return any(arm["fit.alpha"] is not None for arm in arms)
    if path == "labels.weight_cap":
        return any(arm["labels.class_weights"] != "none" for arm in arms)
    if path in ("teacher.weight", "teacher.rounds"):
        return any(arm["teacher.source"] != "none" for arm in arms)
    if path == "teacher.fade":
        return any(arm["teacher.source"] not in ("none", "average") for arm in arms)
    if path == "instant.sigmas":
        return any(arm["net.model"] == "bank" for arm in arms)
    return True


def find_settled(page: StudyPage, arm: str) -> Mapping[str, Any]:
    """Return what `auto` became in the runs of an arm."""
    for run in page.runs_of(arm):
        return dict(run.facts.get("settled", {}))
    return {}


def _say_values(values: Sequence[str], became: Sequence[str]) -> str:
    said = " | ".join(values) + (" (varied)" if len(values) > 1 else "")
    return f"{said}: {' | '.join(became)}" if became else said


def say_setting(value: Any) -> str:
    """Write the value of a setting."""
    if value is None:
        return "not given"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(say_setting, value)) or "nothing"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {say_setting(part)}" for key, part in value.items()) or "nothing"
    return _DIGEST.sub(r"\1…", str(value)) or "none"


def _flatten(content: Plain, prefix: str = "") -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for key, value in content.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            flat += _flatten(value, f"{path}.")
        else:
            flat.append((path, value))
    return flat
