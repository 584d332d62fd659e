"""The pipeline: what a file holds, what it costs, and what is refused before any work."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import inrcodec
from inrcodec import codec
from inrcodec.container import DecodeLimits, breakdown
from inrcodec.errors import InrcodecError, LimitError, SignalError
from inrcodec.representations import NAMES, by_name
from inrcodec.representations.base import Budget, FitGoal, Window
from inrcodec.signal import Kind, Metadata, SampleFormat, Signal

pytest.importorskip("torch")

GOAL = FitGoal(lam=1e-4, n_bytes=500.0)
every_family = pytest.mark.parametrize("name", NAMES)
every_continuous_family = pytest.mark.parametrize(
    "name", [name for name in NAMES if by_name(name).continuous]
)


def encoded(
    signal: Signal, name: str = "siren", *, iterations: int = 3, seed: int = 0
) -> codec.Encoded:
    family = by_name(name)
    return codec.encode(
        signal,
        family,
        family.Config(),
        replace(GOAL, seed=seed),
        budget=Budget(iterations=iterations),
    )


def picture(height: int = 9, width: int = 14, channels: int = 3) -> Signal:
    rng = np.random.default_rng(1)
    return Signal.image(rng.integers(0, 256, (height, width, channels)).astype(np.uint8))


RNG = np.random.default_rng(2)
DEEP = RNG.integers(-(2**23), 2**23, (50, 2)).astype(np.int32)
SIGNALS: dict[str, Signal] = {
    "grey": picture(channels=1),
    "two channels": picture(channels=2),
    "rgba": picture(channels=4),
    "one pixel": picture(1, 1),
    "one row": picture(1, 31),
    "one column": picture(37, 1, 1),
    "primes": picture(13, 17),
    "16 bit": Signal.image(RNG.integers(0, 65536, (7, 5, 3)).astype(np.uint16)),
    "float": Signal.image((RNG.random((7, 5)) * 1e4 - 30.0).astype(np.float32)),
    "half": Signal.image(np.linspace(-65504, 65504, 35).reshape(7, 5).astype(np.float16)),
    "float of one value": Signal.image(np.full((4, 3), -2.5, np.float32)),
    "smallest floats": Signal.image(np.array([[0.0, 1e-45]], np.float32)),
    "largest floats": Signal.image(np.array([[-3.4e38, 3.4e38]], np.float32)),
    "one sample": Signal.audio(np.array([-7], np.int16), 8000),
    "mono": Signal.audio(RNG.integers(-999, 999, 211).astype(np.int16), 44100),
    "stereo 24": Signal.audio(DEEP, 96000, sample_format=SampleFormat.S24),
    "32 bit": Signal.audio(np.array([-(2**31), 2**31 - 1, 5], np.int32), 1),
    "six channels": Signal.audio(RNG.random((40, 6)).astype(np.float32), (1 << 32) - 1),
}


def usual(name: str, height: int = 9, width: int = 14) -> Signal:
    """A picture, or for a family of sounds as many samples of one."""
    if name not in OF_SOUNDS:
        return picture(height, width)
    samples = np.random.default_rng(1).integers(-9999, 9999, (height * width, 2))
    return Signal.audio(samples.astype(np.int16), 8000)


OF_SOUNDS = ("cosine",)
OF_PICTURES = ("latentgrid",)

# --- what comes back -----------------------------------------------------------------------------


CASES = [
    (name, case)
    for name in NAMES
    for case, signal in SIGNALS.items()
    if name not in (OF_PICTURES if signal.spec.kind is Kind.AUDIO else OF_SOUNDS)
]


@pytest.mark.parametrize(("name", "case"), CASES)
def test_every_kind_of_signal_comes_back_in_its_own_kind(name: str, case: str) -> None:
    signal = SIGNALS[case]
    decoded = codec.decode(encoded(signal, name).data)
    assert decoded.spec == signal.spec
    assert decoded.samples.dtype == signal.samples.dtype
    assert np.isfinite(decoded.samples).all()
    low, high = signal.spec.value_range
    assert low <= decoded.samples.min() <= decoded.samples.max() <= high


@every_family
def test_the_decoder_has_exactly_the_integers_of_the_encoder(name: str) -> None:
    result = encoded(usual(name), name)
    _, decoded = codec.unpack(result.data)
    assert len(decoded.symbols) == len(result.fitted.symbols)
    assert all(map(np.array_equal, decoded.symbols, result.fitted.symbols))
    assert decoded.pack() == result.fitted.pack()


def test_metadata_and_the_place_of_a_part_come_back() -> None:
    metadata = Metadata(icc=b"icc", exif=b"exif", xmp=b"", dpi=(72.0, 300.25))
    assert codec.decode(encoded(replace(picture(), metadata=metadata)).data).metadata == metadata
    sound = SIGNALS["mono"].cut(20, 120)
    assert codec.decode(encoded(sound).data).part == (20, 120)
    assert codec.decode(encoded(SIGNALS["mono"]).data).part is None


@every_family
def test_the_same_seed_gives_the_same_file(name: str) -> None:
    signal = usual(name)
    assert encoded(signal, name).data == encoded(signal, name).data
    has_chance = name not in OF_SOUNDS
    assert (encoded(signal, name, seed=1).data != encoded(signal, name).data) is has_chance


@every_family
def test_a_window_is_the_same_part_of_the_whole(name: str) -> None:
    stream, representation = codec.unpack(encoded(usual(name, 20, 30), name, iterations=20).data)
    whole = codec.render(stream, representation)
    spans = (slice(3, 11), slice(29, 30))[: len(stream.spec.grid)]
    pairs = zip(stream.spec.grid, spans, strict=True)
    windows = tuple(Window.span(size, span.start, span.stop) for size, span in pairs)
    part = codec.evaluate(representation, stream.spec, windows)
    assert part.shape == whole.samples[spans].shape
    assert np.abs(part.astype(int) - whole.samples[spans]).max() <= 1


@every_continuous_family
def test_samples_between_the_samples_continue_them(name: str) -> None:
    ramp = np.arange(0, 250, 10, dtype=np.uint8)
    signal, windows = Signal.image(np.tile(ramp, (6, 1))), (Window.whole(6), Window.whole(50))
    if name in OF_SOUNDS:
        signal, windows = Signal.audio(ramp, 8000), (Window.whole(50),)
    stream, representation = codec.unpack(encoded(signal, name, iterations=200).data)
    twice = codec.evaluate(representation, stream.spec, windows)
    assert twice.shape == (*(len(window) for window in windows), 1)
    means = twice.reshape(*twice.shape[:-2], 25, 2).mean(axis=-1)
    assert np.abs(means - codec.render(stream, representation).samples[..., 0]).mean() < 8


def test_an_encoder_that_wrote_other_integers_is_caught() -> None:
    first, second = (encoded(picture(), seed=seed) for seed in (0, 1))
    codec.check_same_integers(first.fitted, first.unpacked)
    with pytest.raises(InrcodecError, match="does not decode to what was encoded"):
        codec.check_same_integers(second.fitted, first.unpacked)


# --- what it costs -------------------------------------------------------------------------------


@every_family
def test_a_plain_signal_costs_at_most_32_bytes_beside_model_and_symbols(name: str) -> None:
    signal = usual(name, 70, 130)
    result = encoded(signal, name)
    payloads = sum(len(payload) for payload in result.fitted.pack().values())
    assert len(result.data) - payloads <= 32
    sizes = breakdown(result.data)
    assert sum(sizes.values()) == len(result.data)
    assert set(sizes) == {
        "header",
        "model",
        "tile" if name in (*OF_PICTURES, *OF_SOUNDS) else "symbols",
    }


# --- what is refused -----------------------------------------------------------------------------

ONE_BYTE = np.zeros((1, 1), np.uint8)
TOO_LARGE: dict[str, tuple[Signal, str]] = {
    "channels": (picture(2, 2, 65), "65 channels are over the limit of 64"),
    "metadata": (
        replace(picture(), metadata=Metadata(icc=bytes(1 << 23), xmp=bytes((1 << 23) + 1))),
        "metadata is over its limit",
    ),
    "resolution": (replace(picture(), metadata=Metadata(dpi=(1e9, 1.0))), "dpi"),
    "samples": (
        Signal.image(np.broadcast_to(ONE_BYTE, (1 << 14, (1 << 14) + 1))),
        "samples are over the limit",
    ),
}


@pytest.mark.parametrize("case", TOO_LARGE)
def test_what_no_decoder_takes_back_is_refused_before_the_fit(case: str) -> None:
    signal, says = TOO_LARGE[case]
    began = time.process_time()
    with pytest.raises(SignalError, match=says):
        encoded(signal, iterations=10**6)
    assert time.process_time() - began < 2.0


def test_more_multiplications_than_allowed_are_refused() -> None:
    result = encoded(picture())
    macs = int(result.fitted.cost().macs_per_point * 9 * 14)
    assert codec.decode(result.data, limits=DecodeLimits(max_macs=macs)).samples.size == 9 * 14 * 3
    with pytest.raises(LimitError, match="multiplications are over"):
        codec.decode(result.data, limits=DecodeLimits(max_macs=macs - 1))


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (DecodeLimits(max_bytes=10), "file of"),
        (DecodeLimits(max_samples=9 * 14 * 3 - 1), "378 samples"),
        (DecodeLimits(max_channels=2), "3 channels"),
        (DecodeLimits(max_parameters=5), "parameters"),
    ],
)
def test_each_limit_holds(limits: DecodeLimits, says: str) -> None:
    with pytest.raises(LimitError, match=says):
        codec.decode(encoded(picture()).data, limits=limits)


def test_windows_are_held_to_the_limit_of_samples() -> None:
    stream, representation = codec.unpack(encoded(picture()).data)
    windows = (Window.whole(1 << 15), Window.whole(1 << 15))
    with pytest.raises(LimitError, match="samples are over"):
        codec.evaluate(representation, stream.spec, windows)


# --- decoding without the extra `fit` ------------------------------------------------------------

WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # an import of torch fails
import numpy as np
from inrcodec import codec
from inrcodec.errors import MissingExtraError
from inrcodec.representations import NAMES, by_name
from inrcodec.representations.base import Budget, FitGoal
signal = codec.decode(sys.stdin.buffer.read())
sys.stdout.buffer.write(np.ascontiguousarray(signal.samples).tobytes())
family = by_name("siren")
try:
    codec.encode(signal, family, family.Config(), FitGoal(lam=1.0, n_bytes=100.0),
                 budget=Budget(iterations=1))
except MissingExtraError as error:
    sys.exit(0 if "inrcodec[fit]" in str(error) else 1)
sys.exit(2)
"""


@every_family
def test_without_torch_files_decode_and_encoding_names_the_extra(name: str) -> None:
    data = encoded(usual(name), name).data
    env = dict(os.environ, PYTHONPATH=str(Path(inrcodec.__file__).parents[1]))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT_TORCH],
        input=data,
        env=env,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == codec.decode(data).samples.tobytes()


# --- the [0, 1] scale ----------------------------------------------------------------------------


@pytest.mark.parametrize("case", SIGNALS)
def test_the_unit_scale_and_back_gives_the_samples(case: str) -> None:
    signal = SIGNALS[case]
    unit = signal.spec.to_unit(signal.samples)
    assert unit.dtype == np.float32
    assert 0.0 <= unit.min() <= unit.max() <= 1.0
    low, high = signal.spec.value_range
    back = signal.spec.from_unit(unit).astype(np.float64)
    assert np.abs(back - signal.samples).max() <= (high - low) * 2.0**-24


@pytest.mark.parametrize("make", [np.zeros, np.ones])
def test_values_that_are_no_numbers_count_as_0(make: Callable[..., np.ndarray]) -> None:
    spec = Signal.image((make((1, 4)) * [[0, 1, 2, 3]]).astype(np.float32)).spec
    values = np.array([[np.nan, np.inf, -np.inf, 0.5]], np.float32)[..., None]
    low, high = spec.value_range
    assert spec.from_unit(values).ravel().tolist() == [low, high, low, (low + high) / 2]
