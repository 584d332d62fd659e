"""Films written: without loss by FFV1, small by H.264, raw, as images; whole or not at all."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from inrcodec import media
from inrcodec.errors import ConfigError, SignalError
from inrcodec.signal import Colour, Metadata, Signal

av = pytest.importorskip("av")

NTSC = Fraction(1001, 30000)


def _noise(shape: tuple[int, ...], dtype: type = np.uint8) -> np.ndarray:
    """Random samples, which no lossy codec would return."""
    top = np.iinfo(dtype).max + 1
    return np.random.default_rng(len(shape)).integers(0, top, shape).astype(dtype)


def _ramp(n_frames: int = 4, height: int = 18, width: int = 34) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    planes = [[x * 3 + i * 5, y * 4 + 20, 200 - i * 7 - x - y] for i in range(n_frames)]
    frames = np.array(planes).reshape(n_frames, 3, height, width)
    return frames.clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1)


def _film(samples: np.ndarray, time_base: Fraction = Fraction(1, 25), **rest: object) -> Signal:
    return Signal.video(samples, time_base, **rest)


def _error(signal: Signal, expected: Signal) -> int:
    assert signal.samples.shape == expected.samples.shape
    return int(np.abs(signal.samples.astype(int) - expected.samples).max())


# --- samples -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [(17, 33), (1, 1), (18, 34)])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_ffv1_returns_every_bit(
    tmp_path: Path, dtype: type, channels: int, size: tuple[int, int], suffix: str
) -> None:
    film = _film(_noise((3, *size, channels), dtype))
    path = tmp_path / f"film{suffix}"
    with media.create_film(path, film.spec, film.metadata, codec="ffv1") as writer:
        writer.write(film.samples[:2])
        writer.write(film.samples[2:])
    assert writer.notes == []
    back = media.read(path)
    assert back.spec == film.spec
    np.testing.assert_array_equal(back.samples, film.samples)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".y4m"])
def test_bytes_and_files_are_the_same(tmp_path: Path, suffix: str) -> None:
    film = _film(_ramp())
    media.write(film, tmp_path / f"film{suffix}")
    assert media.to_bytes(film, suffix) == (tmp_path / f"film{suffix}").read_bytes()


@pytest.mark.parametrize("size", [(18, 34), (17, 33), (1, 1)])
@pytest.mark.parametrize(
    ("told", "stated"),
    [
        (None, Colour(1, 1, 1, 0)),
        (Colour(9, 14, 9, 0), Colour(9, 14, 9, 0)),
        (Colour(1, 13, 5, 1), Colour(1, 13, 5, 1)),
        (Colour(1, 13, 0, 1), Colour(1, 13, 1, 0)),
    ],
)
def test_h264_states_the_matrix_that_it_was_made_with(
    size: tuple[int, int], told: Colour | None, stated: Colour
) -> None:
    film = _film(_ramp(4, *size), metadata=Metadata(colour=told))
    back = media.read(media.to_bytes(film, ".mp4"))
    assert back.metadata.colour == stated
    assert _error(back, film) <= 12


def test_h264_has_ten_bits_at_most_and_says_so() -> None:
    film = _film(_ramp().astype(np.uint16) * 257)
    with pytest.warns(UserWarning, match=r"output \.mp4: samples of 16 bits are written as 10$"):
        data = media.to_bytes(film, ".mp4")
    assert _error(media.read(data), film) <= 12 * 257


def test_crf_trades_size_for_quality(tmp_path: Path) -> None:
    film = _film(_noise((4, 32, 48, 3)))
    sizes = []
    for crf in (4, 18, 40):
        with media.create_film(
            tmp_path / "x.mkv", film.spec, film.metadata, codec="x264", crf=crf
        ) as writer:
            writer.write(film.samples)
        sizes.append((tmp_path / "x.mkv").stat().st_size)
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("full_range", [0, 1])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_raw_frames_come_back_but_for_rounding(dtype: type, channels: int, full_range: int) -> None:
    samples = _noise((3, 17, 33, channels), dtype)
    film = _film(samples, metadata=Metadata(colour=Colour(full_range=full_range)))
    back = media.read(media.to_bytes(film, ".y4m"))
    assert _error(back, film) <= (0 if channels == 1 else 3 if dtype is np.uint8 else 300)


@pytest.mark.parametrize(
    ("channels", "dtype", "suffix", "message"),
    [
        (2, np.uint8, ".mkv", "FFV1 cannot hold 2 U8 channels"),
        (3, np.float32, ".mkv", "FFV1 cannot hold 3 F32 channels"),
        (4, np.uint8, ".mp4", r"H\.264 cannot hold 4 U8 channels"),
        (4, np.uint16, ".y4m", "Y4M cannot hold 4 U16 channels"),
        (3, np.uint8, ".webm", r"suffix '\.webm' is not one of"),
        (3, np.uint8, ".png", "PNG cannot hold video"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(
    channels: int, dtype: type, suffix: str, message: str
) -> None:
    film = _film(np.ones((1, 2, 2, channels), dtype))
    with pytest.raises(ConfigError, match=message):
        media.to_bytes(film, suffix)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("x.mkv", {"codec": "x264", "crf": 52}, r"crf 52 is not in \[0, 51\]"),
        ("x.y4m", {"codec": "ffv1"}, "Y4M has no codec, got ffv1"),
        ("-", {}, "not written to standard output"),
        ("missing/x.mkv", {}, "folder .*missing does not exist"),
        ("missing/more/%d.png", {}, "folder .*missing does not exist"),
        ("%d.mkv", {}, "MKV is not a format of images"),
        ("%d.jpg", {}, None),
    ],
)
def test_outputs_are_refused_before_any_work(
    tmp_path: Path, name: str, options: dict[str, object], message: str | None
) -> None:
    spec = _film(_ramp()).spec
    path = name if name == "-" else tmp_path / name
    if message is None:
        media.create_film(path, spec, Metadata(), **options)
    else:
        with pytest.raises(ConfigError, match=message):
            media.create_film(path, spec, Metadata(), **options)
    assert list(tmp_path.iterdir()) == []


# --- times ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".y4m"])
@pytest.mark.parametrize(
    "time_base", [NTSC, NTSC / 2, Fraction(1, 24), Fraction(2, 15), Fraction(3, 7), Fraction(20)]
)
@pytest.mark.parametrize("n_frames", [1, 2, 31])
def test_even_rates_are_exact(suffix: str, time_base: Fraction, n_frames: int) -> None:
    film = _film(_ramp(n_frames, 4, 6), time_base)
    back = media.read(media.to_bytes(film, suffix))
    assert (back.spec.time_base, back.times) == (time_base, None)
    assert back.spec.grid == film.spec.grid


def test_a_rate_that_mkv_rounds_is_noted_and_mp4_keeps_it() -> None:
    film = _film(_ramp(3, 4, 6), Fraction(100003, 3000017))
    with pytest.warns(UserWarning, match=r"the rate of 3000017/100003 .* \.mp4 keeps it"):
        media.to_bytes(film, ".mkv")
    assert media.read(media.to_bytes(film, ".mp4")).spec.time_base == film.spec.time_base


@pytest.mark.parametrize(("suffix", "tick"), [(".mp4", 90000), (".mp4", 600), (".mkv", 1000)])
def test_times_of_frames_are_kept_from_the_first_on(suffix: str, tick: int) -> None:
    times = np.array([7, 40, 87, 100000])
    film = _film(_ramp(), Fraction(1, tick), times=times)
    back = media.read(media.to_bytes(film, suffix))
    assert back.times is not None
    seconds = [int(time) * back.spec.time_base for time in back.times]
    assert seconds == [Fraction(int(time) - 7, tick) for time in times]


def test_times_that_a_format_cannot_keep_are_noted_or_refused() -> None:
    film = _film(_ramp(), Fraction(1, 12800), times=np.array([0, 100, 500, 501]))
    with pytest.raises(ConfigError, match=r"frames 2 and 3, less than 1 ms apart; \.mp4 can"):
        media.to_bytes(film, ".mkv")
    film = _film(_ramp(), Fraction(1, 12800), times=np.array([0, 100, 500, 900]))
    with pytest.warns(UserWarning, match="rounded to milliseconds") as caught:
        media.to_bytes(film, ".mkv")
    assert len(caught) == 1
    with pytest.warns(UserWarning, match="times of frames are dropped"):
        media.to_bytes(film, ".y4m")


@pytest.mark.parametrize(
    ("change", "times", "message"),
    [
        (lambda x: x[:, :-1], [None] * 2, r"\(2, 17, 34, 3\) of uint8 are not \[n, 18, 34, 3\]"),
        (lambda x: x.astype(np.uint16), [None] * 2, "of uint16 are not"),
        (lambda x: x, [None, [2, 3]], "frame 2 has times where others have not"),
        (lambda x: x, [[0, 5], None], "frame 2 has times where others have not"),
        (lambda x: x, [[0, 5], [5, 6]], "frame 2 is not shown after"),
        (lambda x: x, [[0, 5], [6]], r"times of shape \(1,\) for 2 frames"),
    ],
)
def test_frames_that_do_not_go_on_from_those_before_are_refused(
    tmp_path: Path, change: Callable, times: list, message: str
) -> None:
    first, second = (None if part is None else np.array(part) for part in times)
    samples = _ramp()
    with pytest.raises(SignalError, match=message):
        _write(tmp_path / "x.mkv", (samples[:2], first), (change(samples[2:]), second))
    assert list(tmp_path.iterdir()) == []


def _write(path: Path, *groups: tuple, error: type[BaseException] | None = None) -> None:
    film = _film(_ramp())
    with media.create_film(path, film.spec, film.metadata) as writer:
        for samples, times in groups:
            writer.write(samples, times)
        if error is not None:
            raise error


# --- whole or not at all -------------------------------------------------------------------------


NAMES = ["x.mkv", "x.mp4", "x.y4m", "%03d.png", "new/%d.png"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("error", [KeyboardInterrupt, SignalError])
def test_an_error_midway_leaves_nothing(
    tmp_path: Path, name: str, error: type[BaseException]
) -> None:
    with pytest.raises(error):
        _write(tmp_path / name, (_ramp(2), None), error=error)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_film_without_frames_is_refused(tmp_path: Path, name: str) -> None:
    for groups in ((), ((_ramp(0), None),)):
        with pytest.raises(SignalError, match="no frames were written"):
            _write(tmp_path / name, *groups)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["x.mkv", "x.mp4", "x.y4m"])
def test_a_full_disk_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        media.write(_film(_ramp()), tmp_path / name)
    assert caught.value.filename == str(tmp_path / name)
    assert (tmp_path / name).read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".y4m"])
def test_a_device_that_takes_nothing_is_an_error_of_the_system(tmp_path: Path, suffix: str) -> None:
    link = tmp_path / f"x{suffix}"
    link.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        media.write(_film(_noise((3, 200, 300, 3))), link)


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in NAMES[:4]:
        media.write(_film(_ramp()), tmp_path / name)
        media.read(tmp_path / name)
    assert capfd.readouterr() == ("", "")


def test_an_existing_film_is_refused_unless_forced(tmp_path: Path) -> None:
    film = _film(_ramp())
    for name in ("x.mkv", "%d.png"):
        media.write(film, tmp_path / name, force=False)
        with pytest.raises(ConfigError, match="exists; -f overwrites it"):
            media.write(film, tmp_path / name, force=False)
        media.write(film, tmp_path / name)


def test_films_by_other_programs_and_ours_agree() -> None:
    film = _film(_ramp())
    with av.open(io.BytesIO(media.to_bytes(film, ".mkv"))) as file:
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    np.testing.assert_array_equal(frames, film.samples)
