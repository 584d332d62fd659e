"""Reader: parts of a stream are parts of the whole, at any size or rate."""

from fractions import Fraction

import numpy as np
import pytest

import inrcodec
from inrcodec.errors import ConfigError, LimitError
from inrcodec.signal import Metadata, Signal
from inrcodec.views import View, frames_of

HEIGHT, WIDTH, RATE = 21, 34, 8000


@pytest.fixture(scope="module")
def image():
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    planes = [120 + 90 * np.sin(x / 6), 120 + 90 * np.cos(y / 4), 7 * x]
    signal = Signal.image(
        np.stack(planes, axis=2).astype(np.uint8), metadata=Metadata(icc=b"profile")
    )
    return inrcodec.open(inrcodec.encode(signal, model="siren", iterations=60))


@pytest.fixture(scope="module")
def sound():
    tone = 9000 * np.sin(np.arange(4000) * 2 * np.pi * 100 / RATE)
    signal = Signal.audio(tone.astype(np.int16), RATE).cut(800, 2800)
    return inrcodec.open(inrcodec.encode(signal, model="siren", iterations=60))


def test_it_describes_what_is_coded(image, sound):
    assert (image.shape, image.dtype) == ((HEIGHT, WIDTH, 3), np.uint8)
    assert image.meta.icc == b"profile"
    assert image.model == "siren"
    assert sum(image.breakdown.values()) == image.n_bytes
    assert image.cost.n_parameters > 0
    assert (image.part_start, sound.part_start) == (None, 800)


@pytest.mark.parametrize(
    "index",
    [
        np.s_[...],
        np.s_[3:9, 30:],
        np.s_[-1],
        np.s_[:, 5],
        np.s_[2, 3, 1],
        np.s_[..., 0],
        np.s_[::4, ::-3],
        np.s_[15:2:-5, 1:-1, ::2],
        np.s_[4:4],
        np.s_[100:, 0],
        np.s_[-3:, ..., -1],
        (),
    ],
)
def test_an_index_gives_what_it_gives_of_the_whole_array(image, index):
    whole = image.read().samples
    np.testing.assert_array_equal(image[index], whole[index])


@pytest.mark.parametrize(
    "index", [HEIGHT, (0, -WIDTH - 1), (0, 0, 0, 0), (..., ...), "rows", ([1, 2],), 1.0, True, None]
)
def test_an_index_that_an_array_would_refuse_is_an_index_error(image, index):
    with pytest.raises(IndexError):
        image[index]


def test_integers_of_numpy_are_indices_as_pythons_own(image):
    row, column = np.array([3, -5])
    whole = image.read().samples
    np.testing.assert_array_equal(image[row, column], whole[row, column])
    np.testing.assert_array_equal(image[row : np.uint8(9), np.int16(2)], whole[3:9, 2])


def test_samples_lie_at_the_centres_of_their_cells(image):
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    centres = np.stack([(y + 0.5) / HEIGHT, (x + 0.5) / WIDTH], axis=2).reshape(-1, 2)
    values = image.sample(centres).reshape(HEIGHT, WIDTH, 3)
    whole = image.read().samples
    np.testing.assert_allclose(np.clip(values, 0, 255), whole, atol=0.51)


def test_coords_may_be_lists(image):
    np.testing.assert_array_equal(
        image.sample([[0.25, 0.5], [0, 1]]), image.sample(np.array([[0.25, 0.5], [0, 1]]))
    )


@pytest.mark.parametrize("coords", [[[0.5, 0.5], [0.5]], [["left", "top"]], [[None, {}]]])
def test_coords_that_are_not_numbers_are_refused(image, coords):
    with pytest.raises(ConfigError, match=r"not numbers \[n, 2\]"):
        image.sample(coords)


def test_coords_of_another_shape_are_refused(image):
    with pytest.raises(ConfigError, match=r"\(5, 3\), not \[n, 2\]"):
        image.sample(np.zeros((5, 3), np.float32))


def test_three_times_the_size_holds_the_coded_samples_in_its_middle(image):
    np.testing.assert_array_equal(image.read(scale=3).samples[1::3, 1::3], image.read().samples)


def test_a_region_of_a_scaled_image_is_that_part_of_all_of_it(image):
    part = image.read(scale=1.5, region=(10, 4, 20, 9))
    np.testing.assert_array_equal(part.samples, image.read(scale=1.5).samples[4:13, 10:30])
    assert part.spec.grid == (9, 20)
    assert part.metadata == image.meta


def test_a_tiny_scale_leaves_one_sample(image):
    assert image.read(scale=1e-9).samples.shape == (1, 1, 3)


def test_three_times_the_rate_holds_the_coded_samples_in_its_middle(sound):
    faster = sound.read(rate=3 * RATE)
    assert faster.spec.sample_rate == 3 * RATE
    np.testing.assert_array_equal(faster.samples[1::3], sound.read().samples)


def test_seconds_count_from_the_coded_start(sound):
    whole = sound.read()
    assert whole.part == (800, 2800)
    part = sound.read(seconds=(0.05, 0.1))
    assert part.part is None
    np.testing.assert_array_equal(part.samples, whole.samples[400:800])
    np.testing.assert_array_equal(sound.read(seconds=(0.2, None)).samples, whole.samples[1600:])


@pytest.mark.parametrize(
    "options",
    [
        {"scale": 0.0},
        {"scale": float("inf")},
        {"scale": 1e4},
        {"scale": 1e308},
        {"scale": 1e18, "region": (0, 0, 1, 1)},
        {"region": (0, 0, WIDTH + 1, 1)},
        {"region": (-1, 0, 2, 2)},
        {"rate": 8000},
        {"seconds": (0.0, 1.0)},
    ],
)
def test_what_an_image_cannot_give_is_refused(image, options):
    with pytest.raises(ConfigError, match=next(iter(options)) + "|samples"):
        image.read(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"rate": 0},
        {"rate": 1 << 32},
        {"seconds": (0.2, 0.1)},
        {"seconds": (0, 9)},
        {"seconds": (0, float("inf"))},
        {"seconds": (float("inf"), None)},
        {"seconds": (float("nan"), 0.1)},
        {"scale": 2.0},
    ],
)
def test_what_a_sound_cannot_give_is_refused(sound, options):
    with pytest.raises(ConfigError, match=next(iter(options)) + "|samples"):
        sound.read(**options)


@pytest.mark.parametrize("view", [View(), View(rate=Fraction(3000)), View(seconds=(0.1, 0.2))])
def test_parts_of_a_sound_are_the_whole(sound, view):
    parts = list(sound.sound(view, n_frames=333))
    assert max(len(part.samples) for part in parts) == 333
    whole = sound.show(view).samples
    np.testing.assert_allclose(np.concatenate([part.samples for part in parts]), whole, atol=1)


def test_a_sound_of_too_many_samples_is_read_in_parts(sound):
    limits = inrcodec.DecodeLimits(max_samples=500)
    data = inrcodec.encode(np.zeros(2000, np.int16), model="cosine", sample_rate=RATE)
    reader = inrcodec.open(data, limits=limits)
    assert [len(part.samples) for part in reader.sound()] == [500] * 4
    with pytest.raises(LimitError, match="2000 samples are over the limit of 500"):
        reader.read()
    with pytest.raises(LimitError, match="2000 samples are over the limit of 1999"):
        inrcodec.open(data, limits=inrcodec.DecodeLimits(max_sound_samples=1999))


def test_parts_are_of_sounds(image):
    with pytest.raises(ConfigError, match="holds image"):
        next(image.sound())


def test_a_span_ends_with_the_last_frame():
    assert frames_of((0.0, 1.0), 10, 10) == (0, 10)
    assert frames_of((0.25, None), 10, 10) == (2, 10)
    with pytest.raises(ConfigError, match=r"0:1\.1 are not within 0:1"):
        frames_of((0.0, 1.1), 10, 10)
