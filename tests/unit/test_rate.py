"""Targets: what is asked for is what the file has, or the result says that it is not."""

from __future__ import annotations

import itertools
import math
import threading
import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from inrcodec import codec, media, metrics
from inrcodec.errors import ConfigError
from inrcodec.rate import EncodeResult, encode_to_target
from inrcodec.representations.base import Step
from inrcodec.request import EncodeRequest, Target
from inrcodec.signal import Kind, Signal

pytest.importorskip("torch")

SAMPLES = Path(__file__).parents[2] / "data" / "samples"
MODELS = ["siren", "hashgrid"]
ENOUGH = {"siren": 500, "hashgrid": 1200}  # iterations for a search to end where it should
both_models = pytest.mark.parametrize("model", MODELS)


@cache
def photograph() -> Signal:
    """A part of the photograph with detail, 64x48."""
    samples = media.read(SAMPLES / "kodim23.png").samples
    return Signal.image(samples[192:240, 448:512])


@cache
def speech() -> Signal:
    """A quarter of a second of the sound, at an eighth of its rate."""
    sound = media.read(SAMPLES / "speech-male.wav")
    return Signal.audio(sound.samples[40000:51000:8], 5512)


def encode(
    signal: Signal, target: Target | None = None, *, model: str = "hashgrid", **fields: object
) -> EncodeResult:
    options = {"iterations": 300, "target": target or Target()} | fields
    return encode_to_target(signal, EncodeRequest(model=model, **options))  # type: ignore[arg-type]


def psnr_of(signal: Signal, result: EncodeResult) -> float:
    value = metrics.psnr_db(signal, result.signal)
    assert value is not None
    return value


# --- targets are reached -------------------------------------------------------------------------


@both_models
def test_a_size_is_reached_from_below(model: str) -> None:
    result = encode(photograph(), Target("size", 1200), model=model, iterations=ENOUGH[model])
    assert 0.98 * 1200 <= len(result.data) <= 1200
    assert result.reached


def test_bits_per_pixel_are_a_size() -> None:
    result = encode(photograph(), Target("bpp", 2.0), model="siren", iterations=ENOUGH["siren"])
    assert len(result.data) * 8 / (64 * 48) == pytest.approx(2.0, rel=0.02)


def test_kilobits_per_second_are_a_size() -> None:
    target, seconds = Target("kbps", 24.0), speech().spec.seconds
    result = encode(speech(), target, model="siren", iterations=ENOUGH["siren"])
    assert seconds is not None
    assert len(result.data) * 8 / 1000 / seconds == pytest.approx(24.0, rel=0.02)


@pytest.mark.parametrize(("model", "decibels"), [("siren", 24.0), ("hashgrid", 27.0)])
def test_a_psnr_is_reached(model: str, decibels: float) -> None:
    target = Target("psnr", decibels)
    result = encode(photograph(), target, model=model, iterations=ENOUGH[model])
    assert result.reached
    assert psnr_of(photograph(), result) == pytest.approx(decibels, abs=0.1)


@pytest.mark.parametrize("iterations", [300, 600])
def test_a_size_is_not_exceeded_by_a_short_search(iterations: int) -> None:
    result = encode(photograph(), Target("size", 1200), model="hashgrid", iterations=iterations)
    assert result.reached
    assert 0.98 * 1200 <= len(result.data) <= 1200


@pytest.mark.parametrize("decibels", [5.0, 8.0])
def test_a_search_revives_a_grid_that_gave_up(decibels: float) -> None:
    result = encode(speech(), Target("snr", decibels), model="hashgrid", iterations=2000)
    assert result.reached
    assert metrics.snr_db(speech(), result.signal) == pytest.approx(decibels, abs=0.1)


def test_an_snr_is_reached() -> None:
    target = Target("snr", 12.0)
    result = encode(speech(), target, model="siren", iterations=ENOUGH["siren"])
    assert result.reached
    assert metrics.snr_db(speech(), result.signal) == pytest.approx(12.0, abs=0.1)


@both_models
def test_more_quality_takes_more_bytes_and_gives_less_error(model: str) -> None:
    targets = [Target("quality", quality) for quality in (20, 50, 80)]
    results = [encode(photograph(), target, model=model, iterations=200) for target in targets]
    assert all(len(a.data) < len(b.data) for a, b in itertools.pairwise(results))
    errors = [metrics.mse(photograph(), result.signal) for result in results]
    assert errors == sorted(errors, reverse=True)


def test_a_quality_is_a_lambda() -> None:
    by_quality = encode(photograph(), Target("quality", 50.0), iterations=20)
    by_lambda = encode(photograph(), Target("lambda", 10**-2.5), iterations=20)
    assert by_quality.data == by_lambda.data


def test_a_target_out_of_reach_gives_the_best_file_and_says_so() -> None:
    result = encode(photograph(), Target("psnr", 100.0), iterations=30)
    assert not result.reached
    assert codec.decode(result.data).spec == photograph().spec


# --- what a result says --------------------------------------------------------------------------


def test_a_result_tells_of_its_own_file() -> None:
    result = encode(photograph(), iterations=7)
    assert np.array_equal(result.signal.samples, codec.decode(result.data).samples)
    assert (result.model, result.iterations, result.cancelled) == ("hashgrid", 7, False)
    assert result.seconds > 0.0


def test_auto_chooses_by_the_kind_of_signal_and_names_the_model_that_it_took() -> None:
    spectrum = Signal.image(np.zeros((6, 5, 17), np.uint8))
    plane = Signal.array(photograph().samples[..., 0])
    for signal, model in (
        *((photograph(), "latentgrid"), (spectrum, "hashgrid")),
        *((speech(), "cosine"), (plane, "hashgrid")),
    ):
        assert encode(signal, model="auto", iterations=1).model == model


@both_models
@pytest.mark.parametrize("target", [Target(), Target("size", 1500), Target("psnr", 25)])
@pytest.mark.parametrize("iterations", [1, 2, 30])
def test_iterations_are_those_of_all_fits_together(
    model: str, target: Target, iterations: int
) -> None:
    result = encode(photograph(), target, model=model, iterations=iterations)
    assert result.iterations == iterations


@both_models
def test_the_same_seed_and_iterations_give_the_same_bytes(model: str) -> None:
    first, again, other = (
        encode(photograph(), Target("size", 1500), model=model, iterations=40, seed=seed)
        for seed in (7, 7, 8)
    )
    assert first.data == again.data
    assert first.data != other.data


# --- time ----------------------------------------------------------------------------------------


def test_seconds_are_of_the_whole_command() -> None:
    began = time.monotonic()
    request = EncodeRequest(model="hashgrid", seconds=1.5)
    result = encode_to_target(photograph(), request, started=began - 1.0)
    assert result.seconds >= 1.0
    assert time.monotonic() - began < 1.5  # of which a half was left


def test_a_time_that_is_over_before_it_begins_still_gives_a_file() -> None:
    result = encode(photograph(), Target("size", 1500), iterations=None, seconds=1e-6)
    assert result.iterations >= 1
    assert codec.decode(result.data).spec == photograph().spec


@pytest.mark.parametrize("target", [Target(), Target("size", 1500), Target("psnr", 25)])
def test_cancelling_before_the_first_fit_still_gives_a_file(target: Target) -> None:
    cancel = threading.Event()
    cancel.set()
    request = EncodeRequest(model="siren", iterations=10**6, target=target)
    result = encode_to_target(photograph(), request, cancel=cancel)
    assert result.cancelled
    assert codec.decode(result.data).spec == photograph().spec


def test_cancelling_ends_the_search_with_what_it_has() -> None:
    cancel, steps = threading.Event(), []

    def watch(step: Step) -> None:
        steps.append(step)
        cancel.set()

    request = EncodeRequest(model="hashgrid", iterations=10**5, target=Target("size", 1500))
    result = encode_to_target(photograph(), request, watch=watch, cancel=cancel)
    assert result.cancelled
    assert len(steps) <= 2
    assert 1 <= result.iterations < 10**5


# --- signals with nothing to find ----------------------------------------------------------------

PLAIN = {
    "black": Signal.image(np.zeros((9, 8, 3), np.uint8)),
    "one white pixel": Signal.image(np.array([[65535]], np.uint16)),
    "float of one value": Signal.image(np.full((3, 4), 7.5, np.float32)),
    "silence": Signal.audio(np.zeros(100, np.int16), 8000),
    "one sample": Signal.audio(np.array([12], np.int16), 8000),
}


@both_models
@pytest.mark.parametrize("name", PLAIN)
def test_every_target_gives_a_file_of_a_plain_signal(model: str, name: str) -> None:
    signal = PLAIN[name]
    sound = [Target("kbps", 64), Target("snr", 20)] if signal.spec.kind is Kind.AUDIO else []
    for target in (Target(), Target("size", 150), Target("psnr", 40), *sound):
        result = encode(signal, target, model=model, iterations=4)
        peak = np.abs(result.signal.samples.astype(float) - signal.samples).max()
        low, high = signal.spec.value_range
        assert peak <= 0.05 * (high - low)


# --- refusals ------------------------------------------------------------------------------------


def test_kilobits_per_second_of_an_image_are_refused() -> None:
    with pytest.raises(ConfigError, match="kbps is a measure of sounds"):
        encode(photograph(), Target("kbps", 64.0))


@pytest.mark.parametrize(
    ("measure", "value"),
    [
        *(("quality", -1), ("quality", 101), ("size", 0), ("bpp", 0), ("psnr", 0), ("snr", 500)),
        *(("kbps", -3), ("lambda", 0), ("psnr", math.nan), ("size", math.inf)),
    ],
)
def test_a_target_off_range_is_refused_with_its_range(measure: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"{measure} .* is not in \["):
        Target(measure, value)  # type: ignore[arg-type]


def test_an_unknown_measure_is_refused() -> None:
    with pytest.raises(ConfigError, match="'ssim' is not one of"):
        Target("ssim", 0.9)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"model": "jpeg"}, "'jpeg' is not one of auto, siren, hashgrid"),
        ({"preset": "best"}, "'best' is not one of fast"),
        ({"seconds": 0.0}, "time 0 s"),
        ({"seconds": math.nan}, "time nan s"),
        ({"iterations": 0}, "iterations 0"),
    ],
)
def test_a_request_off_range_is_refused(fields: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        EncodeRequest(**fields)  # type: ignore[arg-type]


def test_an_option_that_a_model_does_not_have_is_refused() -> None:
    with pytest.raises(ConfigError, match="siren does not take all of levels"):
        encode(photograph(), model="siren", options={"levels": 3})
