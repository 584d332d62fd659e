"""Films read in groups of frames: colours, depths, times, turns, parts, sequences of images."""

from __future__ import annotations

import io
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from inrcodec import media
from inrcodec.errors import ConfigError, MissingExtraError, SignalError
from inrcodec.media.film_times import timing
from inrcodec.signal import Colour, Kind, SampleFormat, Signal

av = pytest.importorskip("av")

SAMPLE = Path(__file__).parents[2] / "data" / "samples" / "bunny.mp4"
NTSC = Fraction(30000, 1001)


def _frames(n_frames: int = 5, height: int = 18, width: int = 34) -> np.ndarray:
    """A smooth RGB film, every frame of which is different."""
    y, x = np.mgrid[:height, :width]
    planes = [[x * 3 + i * 5, y * 4 + 20, 200 - i * 7 - x - y] for i in range(n_frames)]
    return np.array(planes).clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1)


def _film(
    frames: np.ndarray,
    *,
    container: str = "mp4",
    codec: str = "libx264",
    pixels: str = "yuv444p",
    rate: Fraction = Fraction(25),
    times: list[int] | None = None,
    time_base: Fraction | None = None,
    colour: Colour | None = None,
    turn: int = 0,
    aspect: Fraction | None = None,
    sound: bool = False,
    key_frames: int = 250,
) -> bytes:
    """A film file by PyAV alone. `times` are in units of `time_base`."""
    sink = io.BytesIO()
    with av.open(sink, "w", format=container) as file:
        x264 = {"crf": "4", "bf": "2", "g": str(key_frames)}
        options = x264 if codec == "libx264" else {}
        base = time_base or 1 / rate
        stream = file.add_stream(codec, rate=rate, options=options, time_base=base)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixels
        if turn:
            stream.set_display_rotation(turn)
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if colour is not None:
            stream.codec_context.colorspace = colour.matrix
            stream.codec_context.color_range = 1 + colour.full_range
        tone = file.add_stream("aac", rate=44100) if sound else None
        for number, samples in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(samples, format=_format_of(samples)).reformat(
                format=pixels,
                dst_colorspace=5 if colour is None else colour.matrix,
                dst_color_range=1 if colour is None else 1 + colour.full_range,
                threads=1,  # more now and then give wrong rows of 16-bit frames
            )
            frame.pts = number if times is None else times[number]
            frame.time_base = base
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
        if tone is not None:
            _add_tone(file, tone)
    return sink.getvalue()


def _add_tone(file: av.container.OutputContainer, stream: av.AudioStream) -> None:
    frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp")
    frame.sample_rate = 44100
    file.mux(stream.encode(frame))
    file.mux(stream.encode(None))


def _format_of(samples: np.ndarray) -> str:
    wide = samples.dtype == np.uint16
    if samples.ndim == 2:
        return "gray16le" if wide else "gray"
    return {3: "rgb48le" if wide else "rgb24", 4: "rgba"}[samples.shape[2]]


def _error(signal: Signal, expected: np.ndarray) -> int:
    return int(np.abs(signal.samples.astype(int) - expected).max())


# --- what a film is ------------------------------------------------------------------------------


def test_the_sample_film_reads_and_probes_without_a_warning() -> None:
    signal, info = media.read(SAMPLE), media.probe(SAMPLE)
    assert (info.kind, info.format, info.spec) == (Kind.VIDEO, "MP4", signal.spec)
    assert (signal.spec.grid, signal.spec.channels) == ((16, 180, 320), 3)
    assert (signal.spec.time_base, signal.times) == (Fraction(1, 25), None)
    assert signal.metadata.colour == Colour(1, 1, 1, 0)
    assert signal.part is None


def test_frames_are_those_that_pyav_decodes() -> None:
    data = _film(_frames(), pixels="yuv420p")
    with av.open(io.BytesIO(data)) as file:
        expected = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    np.testing.assert_array_equal(media.read(data).samples, expected)


@pytest.mark.parametrize(
    "colour", [None, Colour(matrix=1), Colour(matrix=1, full_range=1), Colour(matrix=9)]
)
def test_colours_come_back_by_the_matrix_and_range_that_the_file_states(
    colour: Colour | None,
) -> None:
    frames = _frames()
    signal = media.read(_film(frames, colour=colour))
    assert signal.metadata.colour == colour
    assert _error(signal, frames) <= 6


def test_a_film_read_by_another_matrix_would_have_other_colours() -> None:
    frames = _frames()
    tagged = _film(frames, colour=Colour(matrix=1))
    with av.open(io.BytesIO(tagged)) as file:
        first = next(file.decode(video=0))
        first.colorspace = 5
        wrong = first.to_ndarray(format="rgb24")
    assert np.abs(wrong.astype(int) - frames[0]).max() > 12


@pytest.mark.parametrize("codec", ["ffv1", "libx264"])
@pytest.mark.parametrize(("height", "width"), [(17, 33), (1, 1), (2, 70)])
def test_odd_sizes_keep_every_row_and_column(codec: str, height: int, width: int) -> None:
    frames = _frames(3, height, width)
    pixels = "bgr0" if codec == "ffv1" else "yuv444p"
    signal = media.read(_film(frames, container="matroska", codec=codec, pixels=pixels))
    assert signal.spec.grid == (3, height, width)
    assert _error(signal, frames) <= (0 if codec == "ffv1" else 10)


def test_ten_bits_fill_sixteen() -> None:
    frames = _frames().astype(np.uint16) * 257
    frames[:, :4, :4] = 65535
    ten = _film(frames, container="matroska", codec="ffv1", pixels="gbrp10le")
    signal = media.read(ten)
    assert signal.spec.sample_format is SampleFormat.U16
    assert signal.samples.max() == 65535
    assert _error(signal, frames) <= 64
    yuv = media.read(_film(frames, pixels="yuv444p10le", colour=Colour(matrix=1)))
    assert _error(yuv, frames) <= 8 * 257


def test_grey_has_one_channel_and_alpha_a_fourth() -> None:
    frames = _frames()
    grey = media.read(_film(frames[..., 0], container="matroska", codec="ffv1", pixels="gray"))
    np.testing.assert_array_equal(grey.samples, frames[..., :1])
    clear = np.concatenate([frames, frames[..., :1]], axis=3)
    alpha = media.read(_film(clear, container="matroska", codec="ffv1", pixels="bgra"))
    np.testing.assert_array_equal(alpha.samples, clear)


def test_grey_of_limited_range_is_widened() -> None:
    ramp = np.linspace(16, 235, 33).round().astype(np.uint8)[None, None].repeat(17, axis=1)
    colour = Colour(matrix=2, full_range=0)
    data = _film(ramp, container="matroska", codec="ffv1", pixels="gray", colour=colour)
    expected = np.rint((ramp.astype(float) - 16) * 255 / 219)
    assert _error(media.read(data), expected[..., None]) == 0


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_turned_films_stand_upright(turn: int) -> None:
    frames = _frames()
    signal = media.read(_film(frames, turn=turn))
    upright = np.rot90(frames, turn // 90, axes=(1, 2))
    assert signal.spec.grid == upright.shape[:3]
    assert _error(signal, upright) <= 6


def test_what_is_lost_is_said_in_one_warning() -> None:
    data = _film(_frames(), sound=True, aspect=Fraction(4, 3))
    with pytest.warns(UserWarning, match="sound") as caught:
        media.read(data)
    (warning,) = caught
    assert str(warning.message) == (
        "input: 1 sound track is dropped; pixels of 4:3 are taken as square"
    )


# --- times ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("container", ["mp4", "matroska"])
@pytest.mark.parametrize(
    "rate", [NTSC, Fraction(60000, 1001), Fraction(24), Fraction(60), Fraction(15, 2)]
)
@pytest.mark.parametrize("n_frames", [1, 2, 9])
def test_even_rates_are_exact(container: str, rate: Fraction, n_frames: int) -> None:
    signal = media.read(_film(_frames(n_frames), container=container, rate=rate))
    assert (signal.spec.time_base, signal.times) == (1 / rate, None)
    assert signal.spec.grid[0] == n_frames


@pytest.mark.parametrize(("container", "tick"), [("mp4", 12800), ("matroska", 1000)])
def test_uneven_times_are_kept_from_the_first_on(container: str, tick: int) -> None:
    times = [40, 80, 87, 200, 1000]
    data = _film(_frames(), container=container, times=times, time_base=Fraction(1, tick))
    signal = media.read(data)
    assert signal.times is not None
    seconds = [int(time) * signal.spec.time_base for time in signal.times]
    assert seconds == [Fraction(time - 40, tick) for time in times]
    assert _error(signal, _frames()) <= 6  # in the order in which they are shown


def test_a_rate_is_believed_within_rounding_only() -> None:
    rounded = [0, 33, 67, 100, 133]
    assert timing(rounded, Fraction(1, 1000), [NTSC]) == (1 / NTSC, None)
    assert timing([0, 40, 80], Fraction(1, 1000), [None]) == (Fraction(1, 25), None)
    base, times = timing([0, 33, 67, 102], Fraction(1, 1000), [NTSC])
    assert (base, list(times if times is not None else ())) == (Fraction(1, 1000), [0, 33, 67, 102])
    base, times = timing([0, 1, 2, 4], Fraction(1, 25), [Fraction(25)])
    assert times is not None


@pytest.mark.parametrize("shown", [[0, 1, 1], [5, 7, 3]])
def test_times_that_do_not_rise_are_refused_by_number(shown: list[int]) -> None:
    with pytest.raises(SignalError, match="frame 2 is not shown after the one before it"):
        timing(shown, Fraction(1, 25))


# --- groups --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """A film of several key frames, with B-frames between them."""
    path = tmp_path_factory.mktemp("film") / "long.mp4"
    path.write_bytes(_film(_frames(40), key_frames=12))
    return path, media.read(path).samples


@pytest.mark.parametrize(("start", "stop", "size"), [(0, None, 7), (13, 39, 5), (39, None, 9)])
def test_groups_are_the_frames_of_the_whole(
    long_film: tuple[Path, np.ndarray], start: int, stop: int | None, size: int
) -> None:
    path, whole = long_film
    with media.open_film(path) as film:
        groups = list(film.groups(size, start=start, stop=stop))
    last = stop or 40
    assert [group.part for group in groups] == [
        (first, min(first + size, last)) for first in range(start, last, size)
    ]
    assert all(group.spec.grid[0] <= size for group in groups)
    joined = np.concatenate([group.samples for group in groups])
    np.testing.assert_array_equal(joined, whole[start:last])


def test_a_part_is_sought_for_and_passes_do_not_disturb_each_other() -> None:
    frames = _frames(30)
    signal = Signal.video(frames, Fraction(1, 30))
    with media.open_film(media.to_bytes(signal, ".mkv")) as film:
        passes = zip(film.groups(1), film.groups(1, start=11), strict=False)
        for number, (one, other) in enumerate(passes):
            np.testing.assert_array_equal(one.samples[0], frames[number])
            np.testing.assert_array_equal(other.samples[0], frames[11 + number])


def test_groups_carry_their_times() -> None:
    times = [0, 40, 87, 200, 1000]
    with media.open_film(_film(_frames(), times=times, time_base=Fraction(1, 12800))) as film:
        groups = list(film.groups(2))
        assert film.times is not None
        np.testing.assert_array_equal(
            np.concatenate([group.times for group in groups if group.times is not None]), film.times
        )


@pytest.mark.parametrize(("start", "stop", "size"), [(0, 6, 1), (3, 3, 1), (-1, 2, 1), (0, 2, 0)])
def test_parts_that_are_not_there_are_refused(start: int, stop: int, size: int) -> None:
    with media.open_film(_film(_frames())) as film, pytest.raises(ConfigError, match="not within"):
        next(film.groups(size, start=start, stop=stop))


def test_a_film_of_too_many_samples_is_read_in_groups_only(monkeypatch: pytest.MonkeyPatch) -> None:
    data = _film(_frames())
    monkeypatch.setattr("inrcodec.media.film.MAX_SAMPLES", 5 * 18 * 34 * 3 - 1)
    with pytest.raises(SignalError, match=r"^cannot read input: film of 9180 samples is over 9179"):
        media.read(data)
    with media.open_film(data) as film:
        assert sum(group.spec.grid[0] for group in film.groups(2)) == 5


def test_standard_input_and_named_pipes_are_films_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = _film(_frames())
    for read in (media.read, lambda source: media.open_film(source).read()):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        assert read("-").spec.grid == (5, 18, 34)
    unnamed = tmp_path / "film"
    unnamed.write_bytes(data)
    assert media.probe(unnamed).format == "MP4"


# --- older containers, and what is no film -------------------------------------------------------


@pytest.mark.parametrize(
    ("container", "codec", "pixels"),
    [("avi", "mpeg4", "yuv420p"), ("mpegts", "libx264", "yuv420p"), ("webm", "libvpx", "yuv420p")],
)
def test_other_containers_are_read(container: str, codec: str, pixels: str) -> None:
    frames = _frames(6, 32, 48)
    signal = media.read(_film(frames, container=container, codec=codec, pixels=pixels))
    assert (signal.spec.grid, signal.spec.time_base) == ((6, 32, 48), Fraction(1, 25))
    assert signal.times is None


def test_raw_frames_are_read_by_their_own_header() -> None:
    head = b"YUV4MPEG2 W4 H2 F25:1 Ip A1:1 Cmono\n"
    planes = [bytes(range(i, i + 8)) for i in (0, 100)]
    signal = media.read(head + b"".join(b"FRAME\n" + plane for plane in planes))
    assert signal.samples.reshape(2, 8).tolist() == [list(plane) for plane in planes]
    assert media.probe(head + b"FRAME\n" + planes[0]).format == "Y4M"


def test_sound_alone_is_no_film() -> None:
    sink = io.BytesIO()
    with av.open(sink, "w", format="mp4") as file:
        _add_tone(file, file.add_stream("aac", rate=44100))
    for work in (media.read, media.probe, media.open_film):
        with pytest.raises(SignalError, match=r"^cannot read input: this MP4 file has no video$"):
            work(sink.getvalue())


def test_images_and_folders_are_no_films(tmp_path: Path) -> None:
    media.write(Signal.image(_frames()[0]), tmp_path / "x.png")
    with pytest.raises(SignalError, match=r"x\.png: PNG holds image, not a film$"):
        media.open_film(tmp_path / "x.png")
    with pytest.raises(SignalError, match="is a folder"):
        media.open_film(tmp_path)
    with pytest.raises(SignalError, match=r"x\.mp4: No such file"):
        media.open_film(tmp_path / "x.mp4")
    with pytest.raises(ConfigError, match="rate 30 is for images"):
        media.open_film(SAMPLE, rate=Fraction(30))


def test_frames_that_change_their_size_are_refused_by_number() -> None:
    small, large = _frames(2), _frames(2, 34, 66)
    parts = [_film(small, container="mpegts"), _film(large, container="mpegts", times=[9, 10])]
    with pytest.raises(SignalError, match=r"frame \d is 66 x 34 pixels, others are 34 x 18"):
        media.read(b"".join(parts))


def test_without_the_extra_a_film_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    for work in (media.read, media.probe):
        with pytest.raises(MissingExtraError, match=r"reading film needs the extra 'video'"):
            work(SAMPLE)
    with pytest.raises(MissingExtraError, match=r"writing film needs the extra 'video'"):
        media.to_bytes(Signal.video(_frames(), Fraction(1, 25)), ".mkv")
