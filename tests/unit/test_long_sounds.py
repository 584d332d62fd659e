"""Sounds longer than what is kept of them: the same bytes, targets that are held, little memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inrcodec import codec, media, metrics
from inrcodec.rate import EncodeResult, encode_to_target
from inrcodec.reader import Reader
from inrcodec.request import EncodeRequest, Target
from inrcodec.signal import Signal

RATE = 8000


def sound(seconds: float, channels: int = 2) -> Signal:
    """Chords that change, each as loud as chance has it."""
    rng = np.random.default_rng(0)
    n = round(seconds * RATE)
    t = np.arange(n)[:, None] / RATE
    pitch = np.repeat(rng.uniform(100.0, 900.0, n // 4000 + 1), 4000)[:n, None]
    level = np.repeat(rng.uniform(0.02, 0.5, n // 4000 + 1), 4000)[:n, None]
    x = level * np.sin(2.0 * np.pi * pitch * t + 0.4 * np.arange(channels))
    x += 0.01 * rng.standard_normal(x.shape)
    return Signal.audio(np.rint(32767.0 * np.clip(x, -1.0, 1.0)).astype(np.int16), RATE)


def encoded(signal: Signal, measure: Any, value: float) -> EncodeResult:
    options = {"segment_seconds": 0.5}
    request = EncodeRequest(model="cosine", target=Target(measure, value), options=options)
    return encode_to_target(signal, request)


@pytest.mark.parametrize(("measure", "value"), [("kbps", 24.0), ("snr", 15.0), ("quality", 60.0)])
def test_what_is_made_anew_is_the_same(
    measure: Any, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    signal = sound(2.0)
    expected = encoded(signal, measure, value).data
    monkeypatch.setattr("inrcodec.representations.cosine.kept._KEPT_VALUES", 0)
    assert encoded(signal, measure, value).data == expected


@pytest.mark.parametrize(("measure", "value"), [("kbps", 12.0), ("size", 7500.0), ("snr", 30.0)])
def test_some_segments_stand_for_all_until_the_step_is_about_right(
    measure: Any, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    signal = sound(5.0, 1)
    usual = encoded(signal, measure, value)
    monkeypatch.setattr("inrcodec.representations.cosine.fit._MOST_CHOSEN", 4)
    long = encoded(signal, measure, value)
    assert usual.reached
    assert long.reached
    assert len(long.data) == pytest.approx(len(usual.data), rel=0.01)


def test_what_is_told_of_a_file_is_what_it_decodes_to() -> None:
    signal = sound(2.0)
    result = encoded(signal, "kbps", 24.0)
    decoded = codec.decode(result.data)
    np.testing.assert_array_equal(result.signal.samples, decoded.samples)
    assert result.mse == pytest.approx(metrics.mse(signal, decoded, unit=65535.0))


def test_a_long_sound_takes_the_memory_of_some_segments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("representations.cosine.kept._KEPT_VALUES", "mapped._RUN", "measure._AT_ONCE"):
        monkeypatch.setattr(f"inrcodec.{name}", 1 << 15)
    monkeypatch.setattr("inrcodec.mapped._MOST_IN_MEMORY", 1 << 16)
    monkeypatch.setattr("inrcodec.media.audio._BLOCK", 1 << 14)
    monkeypatch.setattr("inrcodec.metrics.distortion._BLOCK", 1 << 15)
    most = {seconds: peak_of(sound(seconds, 1), tmp_path) for seconds in (8.0, 40.0)}
    assert most[40.0] < most[8.0] + (1 << 19)  # its samples as floats are 2.5 MB


def peak_of(signal: Signal, folder: Path) -> int:
    """The most bytes of Python and numpy while a file of a sound is encoded and decoded."""
    media.write(signal, folder / "in.wav")
    del signal
    tracemalloc.start()
    result = encoded(media.read(folder / "in.wav"), "quality", 60.0)
    reader = Reader(result.data)
    blocks = (part.samples for part in reader.sound(n_frames=1 << 14))
    media.write_sound(folder / "out.wav", reader.spec, blocks)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak
