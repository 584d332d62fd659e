"""Films: groups of frames that are fitted one after another, and read back as one function."""

import threading
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

import inrcodec
from inrcodec import codec, metrics
from inrcodec.container import Stream
from inrcodec.errors import ConfigError, CorruptError, LimitError
from inrcodec.film import FramesOfSignal, encode_film
from inrcodec.request import EncodeRequest, Target
from inrcodec.signal import Colour, Metadata, Signal

FRAMES, HEIGHT, WIDTH = 10, 18, 24


def film(frames: int = FRAMES, **options: object) -> Signal:
    """A bright spot that moves over a still background, RGB."""
    t, y, x = np.mgrid[:frames, :HEIGHT, :WIDTH]
    spot = 120 * np.exp(-((x - 4 - 1.5 * t) ** 2 + (y - 9) ** 2) / 12)
    planes = [60 + spot, 90 + 40 * np.sin(x / 5), 100 + 2 * y + 0 * t]
    samples = np.rint(np.stack(planes, axis=-1)).astype(np.uint8)
    return Signal.video(samples, Fraction(1001, 30000), **options)  # type: ignore[arg-type]


def encoded(signal: Signal, iterations: int = 150, **options: object) -> bytes:
    return inrcodec.encode(signal, iterations=iterations, group_frames=4, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def coded() -> bytes:
    return encoded(film(), model="hashgrid")


# --- what is written -----------------------------------------------------------------------------


def test_groups_are_nearly_equal_and_all_but_the_first_are_differences(coded: bytes) -> None:
    groups = Stream.from_bytes(coded).groups
    assert [group.n_frames for group in groups] == [4, 4, 2]
    assert [group.predicted for group in groups] == [False, True, True]


def test_a_film_decodes_to_what_was_measured(coded: bytes) -> None:
    result = encode_film(
        FramesOfSignal(film()), EncodeRequest(model="hashgrid", iterations=150, group_frames=4)
    )
    assert result.data == coded
    decoded = codec.decode(coded)
    assert decoded.spec == film().spec
    assert metrics.film_psnr_db(film(), decoded) == pytest.approx(result.psnr_db)
    assert result.psnr_db > 25.0
    assert result.iterations == 3 * 150


def test_a_film_that_goes_on_costs_less_than_its_groups_alone(coded: bytes) -> None:
    alone = [encoded(film().cut(start, stop)) for start, stop in ((0, 4), (4, 8), (8, 10))]
    assert len(coded) < sum(len(data) for data in alone)


def test_a_new_scene_begins_anew() -> None:
    signal = film(8)
    samples = signal.samples.copy()
    rng = np.random.default_rng(0)
    samples[4:] = rng.integers(0, 256, (HEIGHT, WIDTH, 3))
    groups = Stream.from_bytes(encoded(replace(signal, samples=samples), 20)).groups
    assert [group.predicted for group in groups] == [False, False]


def test_times_colour_and_part_come_back() -> None:
    times = np.array([0, 3, 4, 9, 10, 11, 30, 31, 32, 40])
    metadata = Metadata(colour=Colour(1, 1, 1, 0))
    signal = film(times=times, metadata=metadata)
    decoded = codec.decode(encoded(signal, 3))
    np.testing.assert_array_equal(decoded.times, times)
    assert decoded.metadata == metadata
    source = FramesOfSignal(signal)
    request = EncodeRequest(iterations=3)
    part = codec.decode(encode_film(source, request, span=(2, 7)).data)
    assert part.part == (2, 7)
    np.testing.assert_array_equal(part.times, times[2:7] - times[2])


@pytest.mark.parametrize("span", [(0, 0), (5, 5), (3, 11), (10, None)])
def test_a_span_outside_the_film_is_refused(span: tuple[int, int | None]) -> None:
    with pytest.raises(ConfigError, match="not within 0:10"):
        encode_film(FramesOfSignal(film()), EncodeRequest(iterations=1), span=span)


# --- targets and budgets -------------------------------------------------------------------------


@pytest.mark.parametrize("target", [Target("size", 2500), Target("bpp", 3.0), Target("kbps", 45)])
def test_bytes_of_the_whole_film_are_held(target: Target) -> None:
    signal = film()
    request = EncodeRequest(target=target, iterations=500, group_frames=4)
    result = encode_film(FramesOfSignal(signal), request)
    seconds = signal.seconds
    assert seconds is not None
    of_target = {"size": 1.0, "bpp": signal.spec.n_points / 8, "kbps": 1000 * seconds / 8}
    wanted = target.value * of_target[target.measure]
    assert result.reached
    assert 0.98 * wanted <= len(result.data) <= 1.02 * wanted
    if target.measure == "size":
        assert len(result.data) <= wanted


def test_a_psnr_is_that_of_the_mean_over_frames() -> None:
    request = EncodeRequest(target=Target("psnr", 30.0), iterations=1200, group_frames=4)
    result = encode_film(FramesOfSignal(film()), request)
    assert result.reached
    decoded = codec.decode(result.data)
    assert metrics.film_psnr_db(film(), decoded) == pytest.approx(30.0, abs=0.1)


def test_a_cancelled_film_holds_the_groups_so_far() -> None:
    cancel = threading.Event()
    seen = []

    def watch(step) -> None:
        seen.append(step.fraction)
        if step.fraction > 0.45:
            cancel.set()

    request = EncodeRequest(iterations=40, group_frames=2)
    result = encode_film(FramesOfSignal(film()), request, watch=watch, cancel=cancel)
    assert result.cancelled
    decoded = codec.decode(result.data)
    n_frames = decoded.spec.grid[0]
    assert 2 <= n_frames < FRAMES
    assert decoded.part == (0, n_frames)
    assert seen == sorted(seen)


# --- what is read --------------------------------------------------------------------------------


def test_an_index_gives_what_it_gives_of_the_whole_film(coded: bytes) -> None:
    reader = inrcodec.open(coded)
    whole = reader.read().samples
    for index in (np.s_[5], np.s_[3:9, 2:4], np.s_[::-3, ..., 0], np.s_[9:, 17, 23], np.s_[4:4]):
        np.testing.assert_array_equal(reader[index], whole[index])


def test_groups_are_read_in_any_order(coded: bytes) -> None:
    whole = codec.decode(coded).samples
    reader = inrcodec.open(coded)
    for frame in (9, 0, 5, 4, 8, 3):
        np.testing.assert_array_equal(reader[frame], whole[frame])


def test_points_are_those_of_their_frames(coded: bytes) -> None:
    reader = inrcodec.open(coded)
    frame, row, column = 6, 4, 20
    place = [(frame + 0.5) / FRAMES, (row + 0.5) / HEIGHT, (column + 0.5) / WIDTH]
    values = reader.sample([place, [0.0, 0.5, 0.5], [1.0, 0.5, 0.5]])
    assert np.abs(values[0] - reader[frame, row, column]).max() <= 0.51
    assert np.isfinite(values).all()


def test_frames_between_the_frames(coded: bytes) -> None:
    reader = inrcodec.open(coded)
    twice = reader.read(rate=Fraction(60000, 1001))
    assert twice.spec.grid[0] == 2 * FRAMES
    assert twice.spec.time_base == Fraction(1001, 60000)
    whole = reader.read().samples.astype(float)
    between = twice.samples.reshape(FRAMES, 2, HEIGHT, WIDTH, 3).astype(float)
    assert np.abs(between.mean(axis=1) - whole).mean() < 3.0
    assert not np.array_equal(between[:, 0], between[:, 1])
    half = reader.read(rate=Fraction(15000, 1001), frames=(2, 8))
    assert half.spec.grid[0] == 3


def test_uneven_films_are_even_at_another_rate() -> None:
    times = np.array([0, 1, 2, 3, 10, 11, 12, 13, 14, 15])
    reader = inrcodec.open(encoded(film(times=times), 60))
    even = reader.read(rate=Fraction(30000, 1001))
    assert even.times is None
    assert even.spec.grid[0] == 17  # 15 time bases and a last frame of the mean length
    still = np.abs(np.diff(even.samples[4:9].astype(float), axis=0)).mean()
    moving = np.abs(np.diff(even.samples[10:15].astype(float), axis=0)).mean()
    assert still < moving


def test_a_smaller_film_holds_the_means(coded: bytes) -> None:
    reader = inrcodec.open(coded)
    whole = reader.read().samples.astype(float)
    small = reader.read(scale=1 / 3, region=(0, 0, 8, 6))
    assert small.samples.shape == (FRAMES, 6, 8, 3)
    means = whole.reshape(FRAMES, 6, 3, 8, 3, 3).mean(axis=(2, 4))
    assert np.abs(small.samples - means).max() <= 1.5


def test_a_film_is_shown_in_runs_of_few_frames(coded: bytes) -> None:
    reader = inrcodec.open(coded)
    parts = list(reader.film(n_frames=3))
    assert [len(part.samples) for part in parts] == [3, 3, 3, 1]
    joined = np.concatenate([part.samples for part in parts])
    np.testing.assert_array_equal(joined, reader.read().samples)


@pytest.mark.parametrize(
    "options",
    [
        {"frames": (4, 11)},
        {"frames": (10, None)},
        {"rate": 0},
        {"rate": 1e9},
        {"rate": float("nan")},
        {"seconds": (0, 1)},
        {"scale": 0},
        {"region": (0, 0, 25, 1)},
    ],
)
def test_what_a_film_cannot_give_is_refused(coded: bytes, options: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        inrcodec.open(coded).read(**options)


# --- what is refused -----------------------------------------------------------------------------


def test_groups_that_are_not_the_film_are_refused(coded: bytes) -> None:
    stream = Stream.from_bytes(coded)
    first, second, third = stream.groups

    def check(match: str, *groups: object) -> None:
        data = replace(stream, groups=groups).to_bytes()
        with pytest.raises(CorruptError, match=match):
            codec.decode(data)

    check("8 frames, the header 10", first, second)
    check("stored as a difference", second._replace(n_frames=10))
    check(
        "stores a tensor in way",
        first._replace(n_frames=8),
        third._replace(sections=first.sections),
    )
    check("GROUP of 0 frames", first._replace(n_frames=0), second, third)


def test_the_samples_of_a_group_are_limited() -> None:
    data = encoded(film(), 2)
    limits = inrcodec.DecodeLimits(max_samples=3 * HEIGHT * WIDTH * 3)
    with pytest.raises(LimitError, match="samples are over"):
        Stream.from_bytes(data, limits)


def test_the_frames_of_a_film_are_limited(coded: bytes) -> None:
    with pytest.raises(LimitError, match="10 frames are over the limit of 9"):
        Stream.from_bytes(coded, inrcodec.DecodeLimits(max_frames=9))
    slow = Signal.video(film(2).samples, Fraction(10**8))
    with pytest.raises(ConfigError, match="makes over"):
        inrcodec.open(encoded(slow, 2)).read(rate=20)


def test_a_part_of_a_film_in_memory_is_known_as_such() -> None:
    part = codec.decode(encoded(film().cut(3, 8), 2))
    assert part.part == (3, 8)
    inner = encode_film(FramesOfSignal(film().cut(3, 8)), EncodeRequest(iterations=2), span=(1, 3))
    assert codec.decode(inner.data).part == (4, 6)


def test_films_that_nearly_agree_are_not_equal() -> None:
    mine, theirs = film(), film()
    theirs.samples[0, 0, 0, 0] ^= 1
    decibels = metrics.frame_psnrs_db(mine, theirs)
    assert np.isfinite(decibels[0])
    assert np.isposinf(decibels[1:]).all()
    assert 90.0 < metrics.film_psnr_db(mine, theirs) < 100.0
    assert metrics.film_psnr_db(mine, film()) == float("inf")


def test_frames_of_a_slow_rate_stay_within_their_span(coded: bytes) -> None:
    reader = inrcodec.open(coded)
    (one,) = reader.read(rate=1, frames=(0, 2)).samples
    np.testing.assert_allclose(one, reader[:2].mean(axis=0), atol=12)
    assert reader.read(rate=1, frames=(8, 10)).spec.grid[0] == 1


def test_a_psnr_near_the_end_of_its_range_is_no_error() -> None:
    request = EncodeRequest(target=Target("psnr", 119.0), iterations=3, group_frames=5)
    assert not encode_film(FramesOfSignal(film()), request).reached


def test_a_film_of_floats_may_begin_in_the_dark() -> None:
    samples = film().samples.astype(np.float32) / 255
    samples[:4] = 0.0
    signal = Signal.video(samples, Fraction(1, 25))
    request = EncodeRequest(iterations=20, group_frames=4)
    result = encode_film(FramesOfSignal(signal), request)
    decoded = codec.decode(result.data)
    assert result.psnr_db == pytest.approx(metrics.film_psnr_db(signal, decoded))
    assert 10.0 < result.psnr_db < 100.0


def test_an_snr_of_a_film_is_that_of_all_its_samples() -> None:
    target = Target("snr", 20.0)
    request = EncodeRequest(target=target, iterations=1200, group_frames=10, seed=1)
    result = encode_film(FramesOfSignal(film()), request)
    assert result.reached
    decoded = codec.decode(result.data)
    assert metrics.snr_db(film(), decoded) == pytest.approx(20.0, abs=0.1)


def test_a_film_of_more_samples_than_the_limit_is_read_in_parts() -> None:
    data = encoded(film(), 2)
    limits = inrcodec.DecodeLimits(max_samples=4 * HEIGHT * WIDTH * 3)
    with pytest.raises(LimitError):
        inrcodec.decode(data, limits=limits)
    reader = inrcodec.open(data, limits=limits)
    assert [len(part.samples) for part in reader.film()] == [4, 4, 2]


def test_the_multiplications_of_all_groups_are_limited_together(coded: bytes) -> None:
    reader = inrcodec.open(coded)
    of_a_group = int(reader.cost.macs_per_point) * 4 * HEIGHT * WIDTH
    limits = inrcodec.DecodeLimits(max_macs=2 * of_a_group)
    assert inrcodec.open(coded, limits=limits)[:8].shape[0] == 8
    with pytest.raises(LimitError, match="multiplications are over"):
        inrcodec.decode(coded, limits=limits)
