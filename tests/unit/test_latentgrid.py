"""The latent grid as a representation: fits, streams, tiles, regions, and what it refuses."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from inrcodec import codec, kernels
from inrcodec.container import DecodeLimits, Stream, tile_key
from inrcodec.errors import BitstreamError, ConfigError, CorruptError, LimitError, UnsupportedError
from inrcodec.representations.base import Budget, FitGoal, Window
from inrcodec.representations.latentgrid.config import MACS, LatentGridConfig
from inrcodec.representations.latentgrid.family import LatentGrid
from inrcodec.representations.latentgrid.schedule import moment_of
from inrcodec.representations.latentgrid.tiling import Tile, Tiling
from inrcodec.signal import Signal

SMALL = LatentGridConfig(macs=500)
TILED = LatentGridConfig(macs=500, tile=64)


def waves(height: int, width: int, channels: int = 3, *, depth: int = 8) -> Signal:
    """Soft waves and an edge, different in each channel."""
    rows, columns = np.mgrid[:height, :width]
    planes = [np.sin(rows / (5 + c)) * np.cos(columns / (7 - c % 5)) for c in range(channels)]
    values = np.stack(planes, axis=-1) * 0.3 + 0.5 + 0.15 * (columns > rows)[..., None]
    top = (1 << depth) - 1
    return Signal.image(np.rint(values.clip(0, 1) * top).astype(f"u{depth // 8}"))


def encoded(
    signal: Signal, config: LatentGridConfig = SMALL, *, iterations: int = 6, lam: float = 1e-3
) -> codec.Encoded:
    goal = FitGoal(lam=lam, n_bytes=500.0)
    return codec.encode(signal, LatentGrid, config, goal, budget=Budget(iterations=iterations))


@pytest.fixture(scope="module")
def tiled() -> codec.Encoded:
    return encoded(waves(150, 140), TILED)


# --- fits ----------------------------------------------------------------------------------------


def test_a_fit_comes_closer_for_fewer_bits() -> None:
    signal = waves(48, 64)

    def cost(iterations: int) -> float:
        made = encoded(signal, iterations=iterations)
        decoded = codec.decode(made.data)
        errors = (decoded.samples.astype(float) - signal.samples) / 255
        return float(np.square(errors).mean()) + 1e-3 * 8 * len(made.data) / signal.spec.n_points

    assert cost(150) < 0.6 * cost(15)


def test_a_seed_repeats_a_file_and_another_does_not() -> None:
    signal = waves(20, 30)
    one, again = encoded(signal), encoded(signal)
    assert one.data == again.data
    goal = FitGoal(lam=1e-3, n_bytes=500.0, seed=1)
    other = codec.encode(signal, LatentGrid, SMALL, goal, budget=Budget(iterations=6))
    assert other.data != one.data


def test_a_fit_goes_on_from_an_earlier_one_and_is_never_worse() -> None:
    signal = waves(40, 40)
    goal = FitGoal(lam=1e-3, n_bytes=500.0)
    first = LatentGrid.fit(signal, SMALL, goal, Budget(iterations=60))
    second = LatentGrid.fit(signal, SMALL, goal, Budget(iterations=20), start=first)

    def cost(one: LatentGrid) -> float:
        values = one.render((Window.whole(40), Window.whole(40)))
        mse = float(np.square(values - signal.spec.to_unit(signal.samples)).mean())
        n_bytes = sum(len(payload) for payload in one.pack().values())
        return mse + 1e-3 * 8 * n_bytes / 1600

    assert cost(second) < 1.01 * cost(first)


@pytest.mark.parametrize(
    ("side", "asked", "iterations", "seconds", "macs"),
    [
        (1449, None, 999, None, 1000),
        (1449, None, 1000, None, 2000),
        (1449, 500, 999, None, 500),
        (1440, None, 999, None, 2000),
        (40, None, 10_000, 1e4, 2000),
        (40, None, 10_000, -1.0, 500),  # there is no time for any of them
        (40, None, None, -1.0, 500),
    ],
)
def test_large_images_and_short_times_get_smaller_networks(
    side: int, asked: int | None, iterations: int | None, seconds: float | None, macs: int
) -> None:
    cancel = threading.Event()
    cancel.set()
    deadline = None if seconds is None else time.monotonic() + seconds
    budget = Budget(iterations=iterations, deadline=deadline, cancel=cancel)
    goal = FitGoal(lam=1e-3, n_bytes=500.0)
    fitted = LatentGrid.fit(waves(side, side, 1), LatentGridConfig(macs=asked), goal, budget)
    assert MACS[fitted.model.size] == macs


def test_a_cancelled_fit_still_gives_a_file() -> None:
    budget = Budget(iterations=1000)
    budget.cancel.set()
    goal = FitGoal(lam=1e-3, n_bytes=500.0)
    made = codec.encode(waves(20, 20), LatentGrid, SMALL, goal, budget=budget)
    assert codec.decode(made.data).samples.shape == (20, 20, 3)


def test_the_schedule_rounds_latents_last_and_prices_weights_early() -> None:
    moments = [moment_of(k / 100, resumed=False) for k in range(101)]
    order = ["free", "noisy", "rounded"]
    ways = [order.index(moment.weighing) for moment in moments]
    assert (ways[0], ways[5], ways[100]) == (0, 1, 2)
    assert ways == sorted(ways)
    hard = [moment.hard for moment in moments]
    assert not hard[50]
    assert hard == sorted(hard)
    assert hard[-1]
    soft = [moment for moment in moments if not moment.hard]
    assert all(
        a.temperature > b.temperature and a.rate > b.rate for a, b in itertools.pairwise(soft)
    )


# --- images of every kind ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "signal",
    [
        waves(1, 1),
        waves(1, 40),
        waves(33, 1, 1),
        waves(17, 24, 1, depth=16),
        waves(17, 24, 4),
        waves(9, 11, 16),
        Signal.image(np.full((12, 20, 3), 77, np.uint8)),
        Signal.image(np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)),
        Signal.image(np.zeros((12, 20), np.uint16)),
        Signal.image(np.linspace(-3, 9, 60, dtype=np.float32).reshape(6, 10)),
        Signal.array(np.arange(40, dtype=np.float64).reshape(8, 5) * 1e-9),
    ],
    ids=lambda signal: f"{signal.samples.shape}{signal.samples.dtype}",
)
def test_images_of_every_kind_go_round(signal: Signal) -> None:
    decoded = codec.decode(encoded(signal, iterations=4).data)
    assert decoded.samples.shape == signal.samples.shape
    assert decoded.samples.dtype == signal.samples.dtype


def test_one_colour_comes_back_as_it_was() -> None:
    signal = Signal.image(np.full((12, 20, 3), 77, np.uint8))
    decoded = codec.decode(encoded(signal, iterations=30).data)
    assert np.abs(decoded.samples.astype(int) - 77).max() <= 1


def test_what_is_no_image_is_refused() -> None:
    sound = Signal.audio(np.zeros(50, np.int16), 8000)
    with pytest.raises(ConfigError, match="takes images and arrays of two axes, not audio"):
        encoded(sound)
    with pytest.raises(ConfigError, match="1 to 16 channels, not 17"):
        encoded(waves(8, 8, 17))


# --- streams -------------------------------------------------------------------------------------


def changed(data: bytes, *, model: dict[int, int]) -> bytes:
    """A stream with other bytes in its MODEL."""
    stream = Stream.from_bytes(data)
    head = bytearray(stream.sections[2])
    for at, value in model.items():
        head[at] = value
    return replace(stream, sections={**stream.sections, 2: bytes(head)}).to_bytes()


def test_an_unknown_prior_is_named() -> None:
    data = changed(encoded(waves(8, 8)).data, model={1: 3})
    with pytest.raises(UnsupportedError, match="prior 3"):
        codec.decode(data)


def test_stored_numbers_are_counted_before_anything_is_decoded() -> None:
    data = encoded(waves(64, 64)).data
    with pytest.raises(LimitError, match="parameters are over 5000"):
        codec.decode(data, limits=DecodeLimits(max_parameters=5000))


def test_a_wrong_checksum_names_the_tile_and_its_offset(tiled: codec.Encoded) -> None:
    stream = Stream.from_bytes(tiled.data)
    at = tiled.data.index(stream.sections[tile_key(4)])
    damaged = tiled.data[: at + 9] + bytes([tiled.data[at + 9] ^ 8]) + tiled.data[at + 10 :]
    with pytest.raises(CorruptError, match=r"checksum of tile 4 is wrong \(at byte \d+\)"):
        codec.decode(damaged)


def test_damage_under_a_right_checksum_names_the_tile(tiled: codec.Encoded) -> None:
    stream = Stream.from_bytes(tiled.data)
    payload = stream.sections[tile_key(2)]
    sections = {**stream.sections, tile_key(2): payload[:-4]}
    with pytest.raises(BitstreamError, match="tile 2"):
        codec.decode(replace(stream, sections=sections).to_bytes())


def test_missing_and_surplus_tiles_are_refused(tiled: codec.Encoded) -> None:
    stream = Stream.from_bytes(tiled.data)
    n_tiles = len(stream.sections) - 1
    fewer = {key: value for key, value in stream.sections.items() if key != tile_key(n_tiles - 1)}
    with pytest.raises(CorruptError, match=f"tile {n_tiles - 1} of {n_tiles} is missing"):
        codec.decode(replace(stream, sections=fewer).to_bytes())
    more = {**stream.sections, tile_key(n_tiles): b"x"}
    with pytest.raises(CorruptError, match=f"TILE beside the {n_tiles} tiles"):
        codec.decode(replace(stream, sections=more).to_bytes())


# --- tiles ---------------------------------------------------------------------------------------


def test_a_part_is_that_part_of_the_whole(tiled: codec.Encoded) -> None:
    whole = tiled.unpacked.render((Window.whole(150), Window.whole(140)))
    for y, x, height, width in ((0, 0, 150, 140), (40, 50, 30, 31), (149, 139, 1, 1)):
        part = tiled.unpacked.render(
            (Window.span(150, y, y + height), Window.span(140, x, x + width))
        )
        np.testing.assert_array_equal(part, whole[y : y + height, x : x + width])


def test_a_part_decodes_only_the_tiles_that_it_touches(tiled: codec.Encoded) -> None:
    function = tiled.unpacked
    assert isinstance(function, LatentGrid)
    payloads = (function.payloads[0], *(b"damaged" for _ in function.payloads[1:]))
    part = replace(function, payloads=payloads, _decoded={})
    assert part.render((Window.span(150, 0, 20), Window.span(140, 5, 20))).shape == (20, 15, 3)
    with pytest.raises(BitstreamError, match="tile 1"):
        part.render((Window.span(150, 0, 20), Window.span(140, 60, 80)))


@pytest.mark.usefixtures("_backend_is_put_back")
def test_pixels_do_not_depend_on_threads(tiled: codec.Encoded) -> None:
    decoded = []
    for n_threads in (1, 3):
        kernels.set_threads(n_threads)
        decoded.append(codec.decode(tiled.data).samples)
    np.testing.assert_array_equal(*decoded)


def test_other_sizes_than_the_coded_one_are_refused(tiled: codec.Encoded) -> None:
    with pytest.raises(ConfigError, match="at the size that is coded"):
        tiled.unpacked.render((Window.whole(75), Window.whole(70)))
    with pytest.raises(ConfigError, match="between its samples"):
        tiled.unpacked.sample(np.zeros((1, 2), np.float32))


@pytest.mark.parametrize(
    "tiling",
    [
        Tiling.whole(7, 9),
        Tiling(100, 70, 32, 32, 16),
        Tiling(67, 66, 32, 64, 8),
        Tiling(3, 5, 1, 1, 0),
        Tiling.even(4097, 3001, 1024, 8),
    ],
    ids=str,
)
def test_weights_of_tiles_sum_to_their_unit_everywhere(tiling: Tiling) -> None:
    rows, columns = np.zeros(tiling.height, int), np.zeros(tiling.width, int)
    for tile in tiling.tiles():
        if tile.columns[0] == 0:
            rows[slice(*tile.rows)] += tiling.row_weights(tile)
        if tile.rows[0] == 0:
            columns[slice(*tile.columns)] += tiling.column_weights(tile)
    side = max(2 * tiling.overlap, 1)
    assert (set(rows.tolist()), set(columns.tolist())) == ({side}, {side})
    assert tiling.unit == side**2
    assert tiling.n_tiles == len(list(tiling.tiles()))


def test_large_images_are_cut_into_nearly_equal_tiles() -> None:
    tiling = LatentGridConfig().tiling(4000, 6000)
    assert (tiling.n_tiles, tiling.rows, tiling.columns, tiling.overlap) == (24, 1000, 1000, 8)
    assert LatentGridConfig().tiling(1365, 1500).n_tiles == 1
    last = list(tiling.tiles())[-1]
    assert last == Tile(23, (3000, 4000), (5000, 6000))


@pytest.mark.parametrize("fields", [(9, 9, 10, 9, 0), (9, 9, 9, 9, 1), (40, 40, 20, 20, 11)])
def test_tilings_that_no_stream_has_are_refused(fields: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="tiles of"):
        Tiling(*fields)


# --- what may be chosen --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"macs": 1500}, "macs 1500"),
        ({"levels": 13}, "levels 13"),
        ({"hyper_levels": -1}, "hyper_levels -1"),
        ({"tile": 63}, "tile 63"),
        ({"alpha_weight": -1.0}, "alpha_weight -1.0"),
    ],
)
def test_choices_off_range_are_refused(fields: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        LatentGridConfig(**fields)  # type: ignore[arg-type]


def test_levels_follow_the_size_of_the_image() -> None:
    config = LatentGridConfig()
    sizes = [(1, 1), (1, 40), (64, 48), (512, 768), (1000, 1000), (2000, 1500)]
    assert [config.n_levels(*size) for size in sizes] == [
        (1, 0), (7, 3), (7, 3), (7, 3), (8, 4), (9, 5),
    ]  # fmt: skip


def test_what_is_left_out_of_a_fit_stays_zero() -> None:
    bare = LatentGridConfig(macs=500, stabilisers=False, features=False, hyper_levels=0)
    tile = encoded(waves(40, 40), bare).unpacked.symbols
    full = encoded(waves(40, 40)).unpacked.symbols
    assert len(tile) == len(full) - 3  # the grids of hyperlatents
    made = encoded(waves(40, 40), bare).fitted
    assert isinstance(made, LatentGrid)
    assert made.fitted is not None
    (only,) = made.fitted.tiles
    names = [group[0].group for group in only.shape.groups]
    assert not only.symbols[names.index("blend")].any()
    assert not only.symbols[names.index("feature")].any()
    head = only.symbols[names.index("head")]
    assert not head[head.size // 2 :].any()  # direct
