"""Many decision trees as plain arrays, asked for millions of pixels.

Trees are grown by scikit-learn and flattened: the children of a split are neighbours, and equal
leaves share one row of probabilities. `tree_votes` walks through them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

from landvisor.learn.tree_votes import NODE, count_groups, group_rows, vote
from landvisor.parallel import map_ordered

Kind = Literal["extra", "forest"]
_KINDS = {"extra": ExtraTreesClassifier, "forest": RandomForestClassifier}


@dataclass(frozen=True)
class Trees:
    """Classification trees that vote with equal weight.

    Attributes:
        feature: int32 `[node]`: which feature a split asks for; -1 at a leaf.
        threshold: float32 `[node]`: values up to it go to the first child.
        child: int32 `[node]`: position of a split's first child, the second follows it; at a
            leaf the row of `leaves`.
        roots: int32 `[tree]`: where each tree begins.
        leaves: float32 `[leaf, class]`: distinct class probabilities.
    """

    feature: NDArray[np.int32]
    threshold: NDArray[np.float32]
    child: NDArray[np.int32]
    roots: NDArray[np.int32]
    leaves: NDArray[np.float32]

    def predict(
        self, features: NDArray[np.float32], *, workers: int | None = None
    ) -> NDArray[np.float32]:
        """Return `[..., class]`: the mean of the trees' class probabilities.

        Args:
            features: `[..., feature]`, finite. Of `[row, col, feature]` squares of pixels are
                asked together, which is faster, since they resemble each other.
            workers: Threads; None is one per processor. The result does not depend on them.
        """
        shape = features.shape[:-1]
        rows = np.ascontiguousarray(features, dtype=np.float32).reshape(-1, features.shape[-1])
        votes = np.empty((len(rows), self.leaves.shape[1]), dtype=np.float32)
        order, room = group_rows(shape), count_groups(rows.shape[1])
        threads = workers or os.cpu_count() or 1
        step = max(room, -(-len(order) // threads))

        def vote_part(first: int) -> None:
            part = order[first : first + step]
            vote(rows, part, room, self._nodes, self._starts, self._shares, votes)

        map_ordered(vote_part, range(0, len(order), step), workers=threads)
        return votes.reshape(*shape, votes.shape[1])

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name, as a model file stores them."""
        names = ("feature", "threshold", "child", "roots", "leaves")
        return {name: getattr(self, name) for name in names}

    @staticmethod
    def from_tensors(tensors: dict[str, NDArray[Any]]) -> Trees:
        """Build trees from what `tensors` returned."""
        return Trees(**tensors)

    @cached_property
    def _nodes(self) -> NDArray[Any]:
        leaf = self.feature < 0
        nodes = np.empty(len(leaf), dtype=NODE)
        nodes["feature"] = np.where(leaf, 0, self.feature)
        nodes["threshold"] = np.where(leaf, np.inf, self.threshold)
        nodes["next"] = self.child
        nodes["leaf"] = leaf
        return nodes

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        return self.roots.astype(np.int64)

    @cached_property
    def _shares(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """Where each leaf's entries begin, and the class and share of each: few are not 0."""
        leaf, label = np.nonzero(self.leaves)
        starts = np.searchsorted(leaf, np.arange(len(self.leaves) + 1))
        return starts, label, self.leaves[leaf, label]


def fit_trees(
    features: NDArray[np.float32],
    label: NDArray[np.int64],
    *,
    classes: int,
    weights: NDArray[np.float64] | None = None,
    trees: int = 200,
    min_leaf: int = 1,
    seed: int = 0,
    kind: Kind = "extra",
) -> Trees:
    """Grow trees on labelled feature rows.

    Args:
        features: `[n, feature]`, finite.
        label: `[n]`: position of each row's class, below `classes`.
        classes: Columns of the probabilities; a class without rows has probability 0.
        weights: `[n]`, above 0; None weighs all rows alike.
        trees: How many.
        min_leaf: Fewest rows of a leaf.
        seed: Number that all randomness follows from.
        kind: `extra` draws thresholds at random from all rows, for a tenth of the features where
            that is more than their root (on dunes 0.40 instead of 0.385 mIoU); `forest` searches
            the best ones on bootstrapped rows, as most GIS tools do.

    References:
        Geurts, Ernst and Wehenkel (2006), Extremely randomized trees, table 1,
        doi:10.1007/s10994-006-6226-1. Breiman (2001), Random forests,
        doi:10.1023/A:1010933404324.
    """
    count = features.shape[1]
    tried = max(int(count**0.5), count // 10 if kind == "extra" else 1, 1)
    grower = _KINDS[kind](
        n_estimators=trees,
        min_samples_leaf=min_leaf,
        max_features=tried,
        random_state=seed,
        n_jobs=-1,
    )
    grower.fit(features, label, sample_weight=weights)
    return flatten_trees(grower, classes=classes)


def flatten_trees(grower: Any, *, classes: int) -> Trees:
    """Turn a fitted forest of scikit-learn, whose labels are 0 to `classes` - 1, into arrays."""
    grown = [estimator.tree_ for estimator in grower.estimators_]
    sizes = [tree.node_count for tree in grown]
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    orders = [_order_nodes(tree.children_left, tree.children_right) for tree in grown]
    feature = np.concatenate([tree.feature[o] for tree, o in zip(grown, orders, strict=True)])
    threshold = np.concatenate([tree.threshold[o] for tree, o in zip(grown, orders, strict=True)])
    child = np.concatenate(
        [_move(tree.children_left, o) + r for tree, o, r in zip(grown, orders, roots, strict=True)]
    )
    leaf = feature < 0
    values = np.concatenate([tree.value[o, 0] for tree, o in zip(grown, orders, strict=True)])
    leaves, child[leaf] = _share_leaves(values[leaf], grower.classes_, classes)
    return Trees(
        feature=np.where(leaf, -1, feature).astype(np.int32),
        threshold=np.where(leaf, 0, _round_down(threshold)).astype(np.float32),
        child=child.astype(np.int32),
        roots=roots.astype(np.int32),
        leaves=leaves,
    )


def _order_nodes(left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    """List nodes level by level, the two children of a split side by side."""
    levels, level = [], np.zeros(1, dtype=np.int64)
    while len(level):
        levels.append(level)
        splits = level[left[level] >= 0]
        level = np.stack([left[splits], right[splits]], axis=1).ravel()
    return np.concatenate(levels)


def _move(left: NDArray[np.int64], order: NDArray[np.int64]) -> NDArray[np.int64]:
    position = np.empty_like(order)
    position[order] = np.arange(len(order))
    return np.asarray(position[left[order]])


def _share_leaves(
    values: NDArray[np.float64], present: NDArray[np.int64], classes: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    probabilities = np.zeros((len(values), classes), dtype=np.float32)
    probabilities[:, present] = values / values.sum(axis=1, keepdims=True)
    leaves, which = np.unique(probabilities, axis=0, return_inverse=True)
    return leaves, which.reshape(-1)


def _round_down(threshold: NDArray[np.float64]) -> NDArray[np.float32]:
    """Round towards minus infinity: float32 values then fall on the same side as in float64."""
    nearest = threshold.astype(np.float32)
    below = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest > threshold, below, nearest)
