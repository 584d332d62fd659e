"""Films that are not what they seem: one line of SignalError or a signal, and nothing else."""

from __future__ import annotations

import functools
import io
import struct
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from inrcodec import media
from inrcodec.errors import SignalError
from inrcodec.signal import Signal

av = pytest.importorskip("av")

NAMES = [".mp4", ".mkv", ".y4m", ".avi"]


@functools.cache
def _whole(name: str) -> bytes:
    """A small valid film of a kind."""
    y, x = np.mgrid[:18, :34]
    planes = np.array([[x * 3 + i * 5, y * 4 + 20, 200 - x - y] for i in range(5)])
    film = Signal.video(planes.astype(np.uint8).transpose(0, 2, 3, 1), Fraction(1, 25))
    if name != ".avi":
        return media.to_bytes(film, name)
    sink = io.BytesIO()
    with av.open(sink, "w", format="avi") as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.height, stream.width = 18, 34
        for samples in film.samples:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(samples)))
        file.mux(stream.encode(None))
    return sink.getvalue()


def _outcome(data: bytes) -> Signal | None:
    """The signal, or None for an error of one line; our warnings pass, any other is a failure."""
    message = ""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="^input: ")
        try:
            return media.read(data)
        except SignalError as error:
            message = str(error)
    assert message
    assert "\n" not in message
    assert "Errno" not in message
    assert " object at " not in message
    return None


@pytest.mark.parametrize("name", NAMES)
def test_every_cut_is_refused(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    data = _whole(name)
    assert _outcome(data) is not None
    step = max(1, len(data) // 150)
    read = [
        cut for cut in range(0, len(data) - 1, step) if _outcome(data[:cut] or b"x") is not None
    ]
    assert read == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("reach", [700, 1 << 30])
def test_changed_bytes_give_an_error_or_a_signal(
    name: str, reach: int, capfd: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(reach + len(name))
    whole = _whole(name)
    for _ in range(100):
        data = bytearray(whole)
        for place in rng.integers(0, min(len(data), reach), 2):
            data[place] = rng.choice([0, 1, 127, 255, rng.integers(256)])
        _outcome(bytes(data))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0\0\x18ftypmp42" + bytes(100),
        b"RIFF\xff\0\0\0AVI " + bytes(100),
        b"\x1a\x45\xdf\xa3" + bytes(100),
        b"YUV4MPEG2 W0 H0 F25:1\nFRAME\n",
        b"YUV4MPEG2 W4 H2 F25:1 Cmono\n",
        b"YUV4MPEG2 W4 H2 F0:0 Cmono\nFRAME\n",
        b"\0\0\x01\xba" + bytes(200),
        b"\x47" + bytes(187) + b"\x47" + bytes(187) + b"\x47" + bytes(187),
        b"FLV\x01" + bytes(100),
        b"OggS" + bytes(24) + b"\x80theora" + bytes(100),
    ],
)
def test_heads_of_films_without_a_film_are_refused(data: bytes) -> None:
    assert _outcome(data) is None


def test_lists_of_other_files_are_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "secret.mp4"
    target.write_bytes(_whole(".mp4"))
    lists = (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{target}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile {target}\n",
    )
    for text in lists:
        path = tmp_path / "x.avi"
        path.write_text(text)
        with pytest.raises(SignalError, match="damaged or unsupported film file"):
            media.read(path)


def test_frames_beyond_memory_are_refused_before_allocation() -> None:
    head = b"YUV4MPEG2 W9600 H9600 F25:1 Cmono\nFRAME\n" + bytes(100)
    with pytest.raises(SignalError, match="9600 x 9600 pixels is over the limit"):
        media.read(head)
    data = bytearray(_whole(".mp4"))
    place = data.index(b"avc1") + 4 + 24  # width and height of the sample entry
    data[place : place + 4] = struct.pack(">HH", 65535, 65535)
    _outcome(bytes(data))


def _packets(data: bytes) -> list[tuple[int, int]]:
    """Where the packets of a film lie, in the order of the file, and how long they are."""
    with av.open(io.BytesIO(data)) as file:
        packets = [bytes(packet) for packet in file.demux(video=0) if packet.size]
    return [(data.index(packet), len(packet)) for packet in packets]


@pytest.mark.parametrize("number", range(5))
def test_frames_that_cannot_be_decoded_are_named(number: int) -> None:
    data = bytearray(_whole(".mp4"))
    place, size = _packets(bytes(data))[number]
    data[place : place + size] = bytes(size)
    message = r"film breaks off at frame \d: |Invalid data" if number else "Invalid data"
    with pytest.raises(SignalError, match=message):
        media.read(bytes(data))


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("blank", [True, False])
def test_lossless_frames_with_a_wrong_checksum_are_named(number: int, blank: bool) -> None:
    data = bytearray(_whole(".mkv"))
    place, size = _packets(bytes(data))[number]
    if blank:
        data[place : place + size] = bytes(size)
    else:
        data[place + size // 3] ^= 1
    with pytest.raises(SignalError, match=f"frame {number} is damaged|Invalid data"):
        media.read(bytes(data))
