import numpy as np
import torch

from landvisor.learn.augment import Batch
from landvisor.learn.mixing import draw_boxes, mix_maps, mix_places

SIZE = (64, 96)


def make_batch(count=3, places=200, seed=0):
    """Chips whose first band is the label of every pixel, and places that carry it."""
    generator = np.random.default_rng(seed)
    image = torch.from_numpy(generator.integers(0, 5, (count, 1, *SIZE))).float()
    owner = torch.from_numpy(generator.integers(0, count, places))
    coords = torch.from_numpy(generator.integers(0, SIZE, (places, 2))).float()
    row, col = coords.long().T
    return Batch(
        image=image,
        valid=torch.ones(count, *SIZE, dtype=torch.bool),
        coords=coords,
        batch=owner,
        label=image[owner, 0, row, col].long(),
        weight=torch.arange(places).float(),
    )


def mix(batch, boxes):
    return mix_places(batch, boxes)._replace(image=mix_maps(batch.image, boxes))


def test_places_travel_with_the_pixels_they_label():
    batch = make_batch()
    boxes = draw_boxes(np.random.default_rng(1), 3, size=SIZE, share=1.0)
    mixed = mix(batch, boxes)
    row, col = mixed.coords.long().T
    assert (mixed.image[mixed.batch, 0, row, col].long() == mixed.label).all()
    assert not torch.equal(mixed.image, batch.image)
    assert 0 < len(mixed.label) != len(batch.label)


def test_every_place_is_kept_or_pasted_by_where_it_lies():
    batch = make_batch()
    boxes = [(0, 0, 32, 96), (0, 0, 0, 0), (8, 8, 16, 24)]
    mixed = mix_places(batch, boxes)
    inside = [
        ((batch.coords >= torch.tensor(b[:2])) & (batch.coords < torch.tensor(b[2:]))).all(dim=1)
        for b in boxes
    ]
    for chip in range(3):
        partner = (chip + 1) % 3
        kept = (batch.batch == chip) & ~inside[chip]
        pasted = (batch.batch == partner) & inside[chip]
        expected = sorted(batch.weight[kept | pasted].tolist())
        assert sorted(mixed.weight[mixed.batch == chip].tolist()) == expected


def test_maps_of_a_stride_are_pasted_where_pixels_are():
    boxes = draw_boxes(np.random.default_rng(2), 3, size=SIZE, share=1.0)
    owner = torch.arange(3).float()[:, None, None].expand(3, *SIZE)
    whole = mix_maps(owner, boxes)
    for stride in (2, 4, 8):
        cells = mix_maps(owner[:, ::stride, ::stride], boxes, stride=stride)
        assert torch.equal(cells, whole[:, ::stride, ::stride])


def test_a_share_of_none_mixes_nothing_and_boxes_keep_their_bounds():
    batch = make_batch()
    none = draw_boxes(np.random.default_rng(0), 3, size=SIZE, share=0.0)
    assert torch.equal(mix_maps(batch.image, none), batch.image)
    assert len(mix_places(batch, none).label) == len(batch.label)
    for top, left, bottom, right in draw_boxes(np.random.default_rng(0), 200, size=SIZE, share=1.0):
        assert 0 <= top < bottom <= SIZE[0]
        assert 0 <= left < right <= SIZE[1]
        assert {edge % 8 for edge in (top, left, bottom, right)} == {0}


def test_a_batch_of_one_or_without_places_is_mixed_too():
    batch = make_batch(count=1)
    boxes = draw_boxes(np.random.default_rng(0), 1, size=SIZE, share=1.0)
    mixed = mix(batch, boxes)
    assert torch.equal(mixed.image, batch.image)
    assert len(mixed.label) == len(batch.label)
    bare = batch._replace(
        coords=torch.zeros(0, 2),
        batch=torch.zeros(0, dtype=torch.int64),
        label=torch.zeros(0, dtype=torch.int64),
        weight=torch.zeros(0),
    )
    assert len(mix_places(bare, boxes).label) == 0
