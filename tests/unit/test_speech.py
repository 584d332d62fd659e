"""Measures of speech: what is the same is best, noise is worse, and other things are refused."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inrcodec import media, metrics
from inrcodec.errors import ConfigError, MissingExtraError, SignalError
from inrcodec.signal import Signal

pytest.importorskip("pystoi")
pytest.importorskip("pesq")
pytest.importorskip("soundfile")
SPEECH = Path(__file__).parents[2] / "data" / "samples" / "speech-male.wav"


@pytest.fixture(scope="module")
def speech() -> Signal:
    return media.read(SPEECH).cut(0, 3 * 44100)


def noisy(signal: Signal, level: float) -> Signal:
    noise = level * np.random.default_rng(0).standard_normal(signal.samples.shape)
    samples = np.clip(signal.samples + noise, -32768, 32767).astype(np.int16)
    return replace(signal, samples=samples)


def test_equal_sounds_have_the_best_marks(speech: Signal) -> None:
    assert metrics.estoi(speech, speech) == pytest.approx(1.0, abs=1e-6)
    assert metrics.pesq_wb(speech, speech) == pytest.approx(4.64, abs=0.01)


def test_more_noise_is_worse(speech: Signal) -> None:
    for measure in (metrics.estoi, metrics.pesq_wb):
        marks = [measure(speech, noisy(speech, level)) for level in (30.0, 300.0, 3000.0)]
        assert marks == sorted(marks, reverse=True)
        assert marks[0] > marks[-1] + 0.2


def test_two_channels_count_alike(speech: Signal) -> None:
    other = noisy(speech, 1000.0)
    pair = [
        Signal.audio(np.concatenate(both, axis=1), 44100)
        for both in ((speech.samples, speech.samples), (speech.samples, other.samples))
    ]
    one, all_of_it = metrics.estoi(speech, other), metrics.estoi(speech, speech)
    assert metrics.estoi(*pair) == pytest.approx((one + all_of_it) / 2, abs=1e-6)


def test_what_is_no_speech_is_refused(speech: Signal) -> None:
    image = Signal.image(np.zeros((8, 8), np.uint8))
    with pytest.raises(ConfigError, match="speech is measured in sounds"):
        metrics.estoi(image, image)
    with pytest.raises(ConfigError, match="not of one length"):
        metrics.pesq_wb(speech, speech.cut(0, 44100))
    with pytest.raises(SignalError, match="half a second"):
        metrics.estoi(speech.cut(0, 4410), speech.cut(0, 4410))
    silence = Signal.audio(np.zeros((44100, 1), np.int16), 44100)
    with pytest.raises(SignalError, match="PESQ finds no speech"):
        metrics.pesq_wb(silence, silence)


@pytest.mark.parametrize(("package", "measure"), [("pystoi", "estoi"), ("pesq", "pesq_wb")])
def test_a_missing_package_is_said(
    speech: Signal, monkeypatch: pytest.MonkeyPatch, package: str, measure: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match="speech"):
        getattr(metrics, measure)(speech, speech)
