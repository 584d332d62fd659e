"""Bytes that are not what they seem: one line of SignalError or a signal, and nothing else."""

from __future__ import annotations

import functools
import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inrcodec import media
from inrcodec.errors import SignalError
from inrcodec.signal import Metadata, Signal

soundfile = pytest.importorskip("soundfile")

SUFFIX = {
    "png": ".png",
    "png16": ".png",
    "jpg": ".jpg",
    "webp": ".webp",
    "avif": ".avif",
    "tif": ".tif",
    "tif16": ".tif",
    "float": ".tif",
}
DTYPE = {"png16": np.uint16, "tif16": np.uint16, "float": np.float32}
PILLOW = ["palette", "lzw", "fax"]
SOUND = {
    "wav": ("WAV", "PCM_16"),
    "wav24": ("WAV", "PCM_24"),
    "adpcm": ("WAV", "IMA_ADPCM"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}
NAMES = [*SUFFIX, *PILLOW, *SOUND]


@functools.cache
def _whole(name: str) -> bytes:
    """A small valid file of a kind."""
    if name in SOUND:
        sink = io.BytesIO()
        media_format, subtype = SOUND[name]
        wave = np.sin(np.arange(1500) / 9) / 2
        soundfile.write(sink, wave, 8000, format=media_format, subtype=subtype)
        return sink.getvalue()
    y, x = np.mgrid[:13, :17]
    samples = np.stack([x * 9, y * 9, x + y], axis=-1).astype(DTYPE.get(name, np.uint8))
    if name in PILLOW:
        return _by_pillow(name, samples)
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "a camera", 6
    icc = bytes(36) + b"acsp" + bytes(88)
    metadata = Metadata(icc=icc, exif=exif.tobytes()[6:], xmp=b"<x/>")
    return media.to_bytes(Signal.image(samples, metadata=metadata), SUFFIX[name])


def _by_pillow(name: str, samples: np.ndarray) -> bytes:
    sink, image = io.BytesIO(), Image.fromarray(samples)
    if name == "palette":
        image.quantize(8).save(sink, "PNG", transparency=1)
    elif name == "lzw":
        grey = Image.fromarray(samples[:, :, 0].astype(np.uint16))
        grey.save(sink, "TIFF", compression="tiff_lzw", tiffinfo={317: 2})
    else:
        image.convert("1").save(sink, "TIFF", compression="group4")
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
    if name in ("lzw", "fax"):  # libtiff may have all it needs before the last bytes
        read = [cut for cut in read if cut < len(data) - 8]
    assert read == []
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", NAMES)
def test_changed_bytes_give_an_error_or_a_signal(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(len(name))
    for _ in range(150):
        data = bytearray(_whole(name))
        for place in rng.integers(0, min(len(data), 400), 2):
            data[place] = rng.choice([0, 1, 127, 255, rng.integers(256)])
        _outcome(_with_right_checksums(bytes(data)))
    assert capfd.readouterr().err == ""


def _with_right_checksums(data: bytes) -> bytes:
    """PNG stops at a wrong checksum; with right ones the change reaches what lies behind."""
    fixed, position = bytearray(data), 8
    while data[:4] == b"\x89PNG" and position + 12 <= len(data):
        end = position + 8 + int.from_bytes(data[position : position + 4], "big")
        if end + 4 > len(data):
            break
        fixed[end : end + 4] = struct.pack(">I", zlib.crc32(data[position + 4 : end]))
        position = end + 4
    return bytes(fixed)


def _png(*chunks: tuple[bytes, bytes]) -> bytes:
    framed = (struct.pack(">I", len(body)) + name + body + bytes(4) for name, body in chunks)
    return _with_right_checksums(b"\x89PNG\r\n\x1a\n" + b"".join(framed))


@pytest.mark.parametrize("data", [b"hello", b"\x89INR", b"RIFF\0\0\0\0EGG ", b"\0\0\0\x18ftypheic"])
def test_what_is_not_media_is_named(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(data)
    for work in (media.read, media.probe):
        with pytest.raises(SignalError, match=r"^not a media file that inrcodec reads: .*x\.png$"):
            work(path)


def test_empty_missing_and_folder_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    with pytest.raises(SignalError, match=r"empty\.png is empty"):
        media.read(tmp_path / "empty.png")
    with pytest.raises(SignalError, match=r"nowhere\.png: No such file"):
        media.read(str(tmp_path / "nowhere.png"))
    with pytest.raises(SignalError, match="is a folder"):
        media.read(tmp_path)


def test_noise_named_mp3_is_not_sound(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.mp3"
    path.write_bytes(b"no frame in here " * 50)
    with pytest.raises(SignalError, match=r"cannot read .*x\.mp3: damaged or unsupported MP3"):
        media.read(path)
    assert capfd.readouterr().err == ""


def test_a_png_that_inflates_beyond_its_size_is_cut_off() -> None:
    pixels = zlib.compress(bytes(1 << 24))
    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    data = _png((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    signal = media.read(data)
    assert signal.samples.tolist() == [[[0, 0, 0]]]


def test_metadata_that_inflates_beyond_the_limit_is_dropped_and_that_is_said() -> None:
    bomb = b"x\0\0" + zlib.compress(bytes(1 << 26))
    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    pixel = (b"IDAT", zlib.compress(b"\0\x07"))
    data = _png((b"IHDR", header), (b"iCCP", bomb), pixel, (b"IEND", b""))
    with pytest.warns(UserWarning, match="ICC is dropped: metadata of over 16777216 bytes"):
        signal = media.read(data)
    assert (signal.samples.tolist(), signal.metadata.icc) == ([[[7]]], None)


def test_sizes_beyond_memory_are_refused_before_allocation() -> None:
    huge = struct.pack(">IIBBBBB", (1 << 31) - 1, (1 << 31) - 1, 16, 6, 0, 0, 0)
    data = bytearray(_whole("png16"))
    data[16:29] = huge
    with pytest.raises(SignalError, match="is over the limit"):
        media.read(_with_right_checksums(bytes(data)))
