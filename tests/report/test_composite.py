import numpy as np
import pytest

from landvisor.report.composite import NO_DATA_GREY, choose_rgb, stretch_rgb


@pytest.mark.parametrize(
    ("count", "bands", "chosen"),
    [
        (4, ("blue", "green", "red", "nir"), (2, 1, 0)),
        (4, ("Red", "Green", "Blue", "NIR"), (0, 1, 2)),
        (5, ("red edge", "R", "G", "B", "x"), (1, 2, 3)),
        (4, ("B1", "B2", "B3", "B4"), (2, 1, 0)),
        (4, ("infrared", "b2", "b3", "b4"), (2, 1, 0)),
        (1, ("pan",), (0, 0, 0)),
        (2, (), (0, 0, 0)),
    ],
)
def test_named_bands_are_shown_and_else_sensor_order(count, bands, chosen):
    assert choose_rgb(count, bands=bands) == chosen


def test_each_channel_spans_black_to_full_between_its_percentiles():
    ramp = np.tile(np.arange(1000.0), (3, 1)).reshape(3, 20, 50) * np.array([[[1]], [[5]], [[0.1]]])
    picture = stretch_rgb(ramp, np.ones((20, 50), bool))
    assert picture.dtype == np.uint8
    assert picture.shape == (20, 50, 3)
    assert (picture == 0).mean() == pytest.approx(0.02, abs=0.003)
    assert (picture == 255).mean() == pytest.approx(0.02, abs=0.003)
    assert np.abs(np.diff(picture.astype(int), axis=-1)).max() == 0


def test_no_data_is_grey_and_does_not_stretch_the_rest():
    data = np.full((3, 8, 8), 1e6)
    data[:, :, :4] = np.arange(32.0).reshape(8, 4)
    valid = np.zeros((8, 8), bool)
    valid[:, :4] = True
    data[:, 0, 0] = np.nan
    picture = stretch_rgb(data, valid)
    assert (picture[:, 4:] == NO_DATA_GREY).all()
    assert (picture[0, 0] == NO_DATA_GREY).all()
    assert picture[7, 3].min() == 255


def test_an_ordinary_picture_keeps_its_channels_and_colour_balance():
    photo = np.zeros((3, 10, 10), np.uint8)
    photo[0], photo[1] = 200, np.arange(100).reshape(10, 10)
    picture = stretch_rgb(photo, np.ones((10, 10), bool))
    assert (picture[..., 0] >= picture[..., 1]).all()
    assert (picture[..., 2] == 0).all()


@pytest.mark.parametrize("valid", [True, False])
def test_flat_and_empty_images_give_a_picture(valid):
    picture = stretch_rgb(np.full((1, 4, 4), 7, np.uint16), np.full((4, 4), valid))
    assert picture.shape == (4, 4, 3)
