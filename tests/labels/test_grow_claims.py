"""Claims are limited for each seed, and settled among blocks without favour."""

import numpy as np

from landvisor.labels.grow_claims import Claims, limit_claims, no_claims, settle_claims


def claims(position, seed, confidence):
    return Claims(np.array(position), np.array(seed), np.array(confidence, dtype=np.float32))


def test_of_each_seed_the_nearest_then_most_confident_then_first_count():
    made = claims([9, 8, 7, 6, 5, 4], [0, 0, 0, 1, 1, 1], [0.5, 0.6, 0.6, 1, 1, 1])
    found = limit_claims(made, np.array([1, 2, 2, 3, 1, 1]), farthest=2.5, most=2)
    assert sorted(zip(found.seed.tolist(), found.position.tolist(), strict=True)) == [
        (0, 7),
        (0, 9),
        (1, 4),
        (1, 5),
    ]


def test_a_pixel_that_blocks_claim_for_two_classes_is_dropped():
    label = np.array([3, 3, 4])
    one = claims([10, 11, 12], [0, 0, 0], [0.5, 0.5, 0.5])
    two = claims([11, 12, 13], [1, 2, 2], [0.9, 0.9, 0.9])
    for parts in ([one, two], [two, one]):
        found = settle_claims(parts, label)
        assert found.position.tolist() == [10, 11, 13]
        assert found.seed.tolist() == [0, 1, 2]


def test_no_claims_settle_to_none():
    assert len(settle_claims([], np.zeros(0)).position) == 0
    assert len(settle_claims([no_claims()], np.array([1])).position) == 0
    empty = limit_claims(no_claims(), np.zeros(0), farthest=1, most=1)
    assert len(empty.position) == 0
