"""Films whose frames are images: read and written without the extra 'video'."""

from __future__ import annotations

import sys
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from inrcodec import media
from inrcodec.errors import ConfigError, SignalError
from inrcodec.signal import Metadata, Signal

NTSC = Fraction(30000, 1001)


@pytest.fixture(autouse=True)
def _without_av(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)


def _frames(n_frames: int = 5) -> np.ndarray:
    """A smooth RGB film, every frame of which is different."""
    y, x = np.mgrid[:18, :34]
    planes = [[x * 3 + i * 5, y * 4 + 20, 200 - i * 7 - x - y] for i in range(n_frames)]
    return np.array(planes).astype(np.uint8).transpose(0, 2, 3, 1)


def _write_images(folder: Path, numbers: list[int], samples: np.ndarray, form: str) -> str:
    for number, frame in zip(numbers, samples, strict=True):
        media.write(Signal.image(frame), folder / (form % number))
    return str(folder / form)


@pytest.mark.parametrize("first", [0, 1, 98])
@pytest.mark.parametrize("form", ["%d.png", "%04d.png", "shot 7 %03d.tif"])
def test_a_sequence_begins_at_its_smallest_number(tmp_path: Path, first: int, form: str) -> None:
    pattern = _write_images(tmp_path, list(range(first, first + 5)), _frames(), form)
    signal = media.read(pattern)
    np.testing.assert_array_equal(signal.samples, _frames())
    assert signal.spec.time_base == Fraction(1, 25)
    assert media.probe(pattern).format.endswith(" sequence")
    with media.open_film(pattern, rate=NTSC) as film:
        assert film.spec.time_base == 1 / NTSC
        (group,) = film.groups(2, start=3)
        np.testing.assert_array_equal(group.samples, _frames()[3:])


def test_images_of_sixteen_bits_and_grey_stay_so(tmp_path: Path) -> None:
    deep = _frames()[..., :1].astype(np.uint16) * 257
    signal = media.read(_write_images(tmp_path, [1, 2, 3, 4, 5], deep, "%d.png"))
    np.testing.assert_array_equal(signal.samples, deep)


def test_gaps_and_changes_are_refused_by_number(tmp_path: Path) -> None:
    with pytest.raises(SignalError, match="there is no such image"):
        media.read(tmp_path / "%d.png")
    pattern = _write_images(tmp_path, [1, 2, 4], _frames(3), "%02d.png")
    with pytest.raises(SignalError, match="image 3 of 4 is missing"):
        media.open_film(pattern)
    media.write(Signal.image(_frames()[0, :, :-1]), tmp_path / "03.png")
    with pytest.raises(SignalError, match="frame 2 is 33 x 18 pixels of 3 U8 channels, not 34 x"):
        media.read(pattern)
    (tmp_path / "02.png").write_bytes(b"no image")
    with pytest.raises(SignalError, match=r"02\.png is not an image"):
        media.read(pattern)


def test_a_sequence_keeps_the_profile_of_its_first_image(tmp_path: Path) -> None:
    icc = bytes(36) + b"acsp" + bytes(88)
    media.write(Signal.image(_frames()[0], metadata=Metadata(icc=icc)), tmp_path / "1.png")
    assert media.read(tmp_path / "%d.png").metadata == Metadata(icc=icc)


# --- writing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_images_return_every_bit(tmp_path: Path, dtype: type, channels: int) -> None:
    top = np.iinfo(dtype).max + 1
    samples = np.random.default_rng(channels).integers(0, top, (3, 17, 33, channels))
    film = Signal.video(samples.astype(dtype), Fraction(1, 25))
    media.write(film, tmp_path / "made late" / "%04d.png")
    names = [path.name for path in sorted((tmp_path / "made late").iterdir())]
    assert names == ["0001.png", "0002.png", "0003.png"]
    back = media.read(tmp_path / "made late" / "%04d.png")
    assert back.spec == film.spec
    np.testing.assert_array_equal(back.samples, film.samples)


def test_images_do_not_join_those_of_a_longer_film(tmp_path: Path) -> None:
    film = Signal.video(_frames(4), Fraction(1, 25))
    media.write(film, tmp_path / "%d.png")
    with pytest.raises(ConfigError, match=r"4\.png exists and is of another film"):
        media.write(film.cut(0, 3), tmp_path / "%d.png")


def test_images_have_no_rate_and_that_is_said(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="read at 25 frames per second"):
        media.write(Signal.video(_frames(), 1 / NTSC), tmp_path / "%d.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        media.write(Signal.video(_frames(), Fraction(1, 25)), tmp_path / "%d.png")


def test_times_of_frames_are_dropped_and_that_is_said(tmp_path: Path) -> None:
    film = Signal.video(_frames(3), Fraction(1, 25), times=np.array([0, 1, 5]))
    with pytest.warns(UserWarning, match="times of frames are dropped$"):
        media.write(film, tmp_path / "%d.png")


def test_what_shows_up_while_images_are_read_is_said_once(tmp_path: Path) -> None:
    frames = np.zeros((3, 8, 9, 3), np.uint8)
    for number, frame in enumerate(frames):
        image = Signal.image(frame, metadata=Metadata(xmp=b"<x:xmpmeta/>" if number else None))
        (tmp_path / f"{number}.png").write_bytes(media.to_bytes(image, ".png"))
    source = media.load(tmp_path / "%d.png")
    assert isinstance(source, media.FilmSource)
    with pytest.warns(UserWarning, match="XMP of images is dropped") as caught, source:
        list(source.groups(2))
    assert len(caught) == 1
