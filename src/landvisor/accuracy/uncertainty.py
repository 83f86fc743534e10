"""How unsure a model is: entropy, margin and disagreement of class probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def measure_all(
    shares: NDArray[np.floating], disagreement: NDArray[np.floating] | None = None
) -> dict[str, NDArray[np.floating]]:
    """Return each measure of probabilities `[..., class]` by name; 1 is least sure.

    Args:
        shares: Summing to one.
        disagreement: `[...]`, see `measure_disagreement`; None where one model told them.
    """
    found: dict[str, NDArray[np.floating]] = {
        "entropy": measure_entropy(shares),
        "margin": measure_margin(shares),
    }
    return found if disagreement is None else found | {"disagreement": disagreement}


def measure_entropy(shares: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the entropy of probabilities `[..., class]`, divided by that of equal ones.

    References:
        Shannon 1948, A mathematical theory of communication, section 6,
        doi:10.1002/j.1538-7305.1948.tb01338.x.
    """
    return _bits(shares) / _most_bits(shares.shape[-1])


def measure_margin(shares: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return one minus the margin of the two largest of probabilities `[..., class]`.

    References:
        Scheffer, Decomain and Wrobel 2001, Active hidden Markov models for information
        extraction, section 3, doi:10.1007/3-540-44816-0_31.
    """
    if shares.shape[-1] < 2:
        return np.zeros(shares.shape[:-1])
    best = np.sort(shares.astype(np.float64), axis=-1)[..., -2:]
    return np.asarray(1 - (best[..., 1] - best[..., 0]))


def measure_disagreement(
    told: NDArray[np.floating], weights: Sequence[float]
) -> NDArray[np.float64]:
    """Return the mutual information of class and member, as a share of the most entropy.

    It is the entropy of the members' weighted mean less the mean of their entropies: 0 where all
    say the same, however unsure, and large where each is sure of another class.

    Args:
        told: `[member, ..., class]`: probabilities of each member.
        weights: One per member, of sum 1.

    Returns:
        `[...]`, 0 to 1.

    References:
        Houlsby et al. 2011, Bayesian active learning for classification and preference learning,
        eq. 2, arXiv:1112.5745. Lakshminarayanan, Pritzel and Blundell 2017, Simple and scalable
        predictive uncertainty estimation using deep ensembles, arXiv:1612.01474: the members.
    """
    share = np.asarray(weights, dtype=np.float64)
    mean = np.tensordot(share, told.astype(np.float64), axes=1)
    inner = np.tensordot(share, _bits(told), axes=1)
    return np.asarray(np.maximum(_bits(mean) - inner, 0) / _most_bits(told.shape[-1]))


def _bits(shares: NDArray[np.floating]) -> NDArray[np.float64]:
    plain = shares.astype(np.float64)
    logs = np.log2(plain, out=np.zeros_like(plain), where=plain > 0)
    return np.asarray(-(plain * logs).sum(axis=-1))


def _most_bits(classes: int) -> float:
    return float(np.log2(classes)) if classes > 1 else 1.0
