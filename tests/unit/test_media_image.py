"""Images in and out: every mode and depth, odd sizes, metadata, orientation, the one warning."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import png as pypng
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from inrcodec import media
from inrcodec.container import Stream
from inrcodec.errors import ConfigError, SignalError
from inrcodec.media import metadata, png
from inrcodec.signal import Kind, Metadata, Signal

SAMPLES = Path(__file__).parents[2] / "data" / "samples"
ICC = bytes(36) + b"acsp" + bytes(100)
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"


def _random(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    high = np.iinfo(dtype).max + 1
    return np.random.default_rng(0).integers(0, high, shape).astype(dtype)


def _smooth() -> Image.Image:
    y, x = np.mgrid[:23, :31]
    return Image.fromarray(np.stack([x * 8, y * 10, x + y], axis=-1).astype(np.uint8))


def _saved(image: Image.Image, media_format: str, **settings: object) -> bytes:
    sink = io.BytesIO()
    image.save(sink, media_format, **settings)
    return sink.getvalue()


def _exif(orientation: int | None) -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    exif.get_ifd(0x8769)[0x9003] = "2020:02:02 02:02:02"
    if orientation is not None:
        exif[0x0112] = orientation
    return exif.tobytes()[6:]


def _read_quietly(data: bytes) -> Signal:
    """Read with every warning an error, and check that `probe` says the same."""
    signal = media.read(data)
    assert media.probe(data).spec == signal.spec
    return signal


def test_the_sample_photograph_reads_and_probes_without_a_warning() -> None:
    signal = media.read(SAMPLES / "kodim23.png")
    info = media.probe(SAMPLES / "kodim23.png")
    assert (info.kind, info.format, info.spec) == (Kind.IMAGE, "PNG", signal.spec)
    assert (signal.spec.grid, signal.spec.channels) == ((512, 768), 3)
    with Image.open(SAMPLES / "kodim23.png") as image:
        np.testing.assert_array_equal(signal.samples, np.asarray(image))
    signal.samples[0, 0, 0] = 0  # ours to write to


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 1), (67, 31)])
def test_integers_survive(size: tuple[int, int], channels: int, dtype: type, suffix: str) -> None:
    samples = _random(*size, channels, dtype=dtype)
    signal = _read_quietly(media.to_bytes(Signal.image(samples), suffix))
    assert signal.samples.dtype == dtype
    np.testing.assert_array_equal(signal.samples, samples)


@pytest.mark.parametrize(("channels", "suffix"), [(3, ".webp"), (4, ".webp")])
def test_webp_out_is_lossless(channels: int, suffix: str) -> None:
    samples = _random(5, 3, channels)
    signal = _read_quietly(media.to_bytes(Signal.image(samples), suffix))
    np.testing.assert_array_equal(signal.samples, samples)


@pytest.mark.parametrize(
    ("suffix", "channels"), [(".jpg", 1), (".jpeg", 3), (".avif", 1), (".avif", 3)]
)
def test_lossy_formats_stay_close_and_keep_their_channels(suffix: str, channels: int) -> None:
    samples = np.asarray(_smooth())[:, :, :channels]
    signal = _read_quietly(media.to_bytes(Signal.image(samples), suffix))
    assert signal.spec.channels == channels
    assert np.abs(signal.samples.astype(int) - samples).max() <= 8


@pytest.mark.parametrize("colours", ["1", "L", "P", "LA", "RGBA"])
def test_every_pillow_mode_becomes_grey_or_rgb(colours: str) -> None:
    image = _smooth().convert(colours)
    plain = {"1": "L", "P": "RGB"}.get(colours, colours)
    signal = _read_quietly(_saved(image, "PNG"))
    np.testing.assert_array_equal(np.squeeze(signal.samples), np.asarray(image.convert(plain)))


@pytest.mark.parametrize("colours", ["1", "L", "P", "RGB"])
def test_a_transparent_colour_becomes_alpha(colours: str) -> None:
    image = _smooth().convert(colours)
    key = (0, 0, 0) if colours == "RGB" else 0
    signal = _read_quietly(_saved(image, "PNG", transparency=key))
    assert signal.spec.channels == (4 if colours in ("P", "RGB") else 2)
    transparent = signal.samples[:, :, -1] == 0
    assert transparent.any()
    assert not transparent.all()


def test_16_bit_colour_key_becomes_alpha() -> None:
    sink = io.BytesIO()
    rows = [[1, 2, 3, 1, 2, 4]]
    pypng.Writer(2, 1, greyscale=False, bitdepth=16, transparent=(1, 2, 3)).write(sink, rows)
    signal = _read_quietly(sink.getvalue())
    assert signal.samples.tolist() == [[[1, 2, 3, 0], [1, 2, 4, 65535]]]


def _png_of(lines: bytes, header: bytes) -> bytes:
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    framed = (
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
    return png.SIGNATURE + b"".join(framed)


@pytest.mark.parametrize(("colour", "channels"), [(0, 1), (4, 2), (2, 3), (6, 4)])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (9, 4), (3, 13), (17, 16)])
@pytest.mark.parametrize("interlaced", [False, True])
def test_16_bit_png_equals_pypng(
    colour: int, channels: int, height: int, width: int, interlaced: bool
) -> None:
    """Any bytes are valid filtered lines, so random ones try every filter on every edge."""
    rng = np.random.default_rng(height * width)
    passes = png.ADAM7 if interlaced else ((0, 0, 1, 1),)
    lines = b""
    for y, x, dy, dx in passes:
        rows, columns = -(-(height - y) // dy), -(-(width - x) // dx)
        for row in range(rows if columns > 0 else 0):
            lines += bytes([(row + rng.integers(5)) % 5]) + rng.bytes(columns * channels * 2)
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, interlaced)
    data = _png_of(lines, header)
    _, _, expected, _ = pypng.Reader(bytes=data).read()
    signal = _read_quietly(data)
    np.testing.assert_array_equal(signal.samples.reshape(height, -1), np.array(list(expected)))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".avif", ".tif"])
def test_metadata_survives_every_format_that_has_a_place_for_it(suffix: str) -> None:
    dpi = None if suffix in (".webp", ".avif") else (300.0, 150.0)
    metadata = Metadata(icc=ICC, exif=_exif(None), xmp=XMP, dpi=dpi)
    written = Signal.image(np.asarray(_smooth()), metadata=metadata)
    kept = _read_quietly(media.to_bytes(written, suffix)).metadata
    assert (kept.icc, kept.xmp) == (ICC, XMP)
    assert kept.dpi == (None if dpi is None else pytest.approx(dpi, rel=1e-4))
    assert kept.exif is not None
    exif = Image.Exif()
    exif.load(kept.exif)
    assert exif[0x010F] == "a camera"
    assert exif.get_ifd(0x8769)[0x9003] == "2020:02:02 02:02:02"


@pytest.mark.parametrize("media_format", ["PNG", "JPEG", "WEBP", "AVIF", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once_and_removed(orientation: int, media_format: str) -> None:
    settings: dict[str, object] = {"exif": b"Exif\0\0" + _exif(orientation)}
    if media_format == "TIFF":
        settings = {"tiffinfo": {0x0112: orientation, 0x010F: "a camera"}}
    data = _saved(_smooth(), media_format, **settings)
    with Image.open(io.BytesIO(data)) as image:
        upright = np.asarray(ImageOps.exif_transpose(image))
    signal = _read_quietly(data)
    np.testing.assert_array_equal(signal.samples, upright)
    again = _read_quietly(media.to_bytes(signal, ".png"))
    np.testing.assert_array_equal(again.samples, upright)
    exif = Image.Exif()
    exif.load(again.metadata.exif or b"")
    assert 0x0112 not in exif
    assert exif[0x010F] == "a camera"


def test_orientation_in_xmp_is_made_upright_too() -> None:
    xmp = b'<rdf:Description tiff:Orientation="6" tiff:Make="x"/>'
    signal = _read_quietly(_saved(_smooth(), "WEBP", xmp=xmp))
    assert signal.metadata.xmp == xmp.replace(b"6", b"1")


def test_exif_that_held_only_the_orientation_disappears() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    assert _read_quietly(_saved(_smooth(), "JPEG", exif=exif)).metadata.exif is None


def _warning_of(data: bytes) -> str:
    """The text of the one warning that reading gives."""
    with pytest.warns(UserWarning, match="^input: ") as caught:
        media.read(data)
    assert len(caught) == 1
    return str(caught[0].message)


def test_all_that_is_dropped_is_said_in_one_warning() -> None:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("Comment", "hello")
    chunks.add_text("Software", "says nothing of the picture")
    chunks.add(b"gAMA", struct.pack(">I", 100000))
    text = _warning_of(_saved(_smooth(), "PNG", pnginfo=chunks))
    assert text == "input: PNG text 'Comment' is dropped; PNG chunk gAMA is dropped"


@pytest.mark.parametrize("media_format", ["PNG", "WEBP", "AVIF", "TIFF", "MPO"])
def test_only_the_first_frame_is_read_and_that_is_said(media_format: str) -> None:
    image = _smooth()
    data = _saved(image, media_format, save_all=True, append_images=[image.rotate(180)])
    assert "only the first of 2" in _warning_of(data)


def test_cmyk_is_read_as_rgb_without_its_profile() -> None:
    data = _saved(_smooth().convert("CMYK"), "JPEG", icc_profile=ICC)
    assert "CMYK is read as RGB" in _warning_of(data)
    with warnings.catch_warnings(action="ignore"):
        signal = media.read(data)
    assert (signal.spec.channels, signal.metadata.icc) == (3, None)


def test_a_jpeg_comment_is_dropped_with_a_warning() -> None:
    assert "comment is dropped" in _warning_of(_saved(_smooth(), "JPEG", comment=b"hello"))


def test_metadata_without_a_place_or_sense_is_dropped_with_one_warning() -> None:
    metadata = Metadata(icc=b"not a profile", exif=b"II*\0junk", xmp=b"\xff", dpi=(72.0, 72.0))
    signal = Signal.image(np.asarray(_smooth()), metadata=metadata)
    with pytest.warns(UserWarning, match="dropped") as caught:
        data = media.to_bytes(signal, ".webp")
    assert [str(warning.message) for warning in caught] == [
        "output .webp: malformed EXIF is dropped; malformed ICC is dropped; "
        "malformed XMP is dropped; DPI has no place in this format"
    ]
    assert _read_quietly(data).metadata == Metadata()


def test_a_resolution_beyond_what_a_stream_holds_is_dropped_with_a_warning() -> None:
    data = _saved(_smooth(), "TIFF", dpi=(4294968.0, 72.0))
    assert "resolution of 4.29497e+06 x 72 dpi is dropped" in _warning_of(data)
    with warnings.catch_warnings(action="ignore"):
        assert media.read(data).metadata.dpi is None
    finest = float(metadata.MAX_DPI)
    kept = _read_quietly(_saved(_smooth(), "TIFF", dpi=(finest, finest)))
    assert kept.metadata.dpi == (finest, finest)
    assert _through_a_stream(kept).metadata.dpi == kept.metadata.dpi


def test_blobs_of_over_16_mebibytes_together_are_dropped_with_a_warning() -> None:
    fits = Metadata(icc=ICC + bytes(9_000_000), xmp=XMP + b" " * 7_000_000)
    kept = _read_quietly(media.to_bytes(Signal.image(_random(3, 3), metadata=fits), ".tiff"))
    assert _through_a_stream(kept).metadata == kept.metadata == fits
    large = replace(fits, xmp=XMP + b" " * 8_000_000)
    data = media.to_bytes(Signal.image(_random(3, 3), metadata=large), ".png")
    assert _warning_of(data) == "input: XMP is dropped: metadata of over 16777216 bytes"
    with warnings.catch_warnings(action="ignore"):
        assert media.read(data).metadata == Metadata(icc=fits.icc)


def _through_a_stream(signal: Signal) -> Stream:
    stream = Stream(
        spec=signal.spec,
        representation_id=1,
        sections={2: b"", 3: b""},
        metadata=signal.metadata,
    )
    return Stream.from_bytes(stream.to_bytes())


def test_exif_too_long_for_jpeg_is_dropped_with_a_warning() -> None:
    signal = Signal.image(
        np.asarray(_smooth()), metadata=Metadata(exif=_exif(None) + bytes(1 << 16))
    )
    with pytest.warns(UserWarning, match="EXIF of over"):
        data = media.to_bytes(signal, ".jpg")
    assert _read_quietly(data).metadata.exif is None


def test_grey_webp_and_opaque_alpha_are_said_to_change() -> None:
    with pytest.warns(UserWarning, match="grey is stored as RGB"):
        media.to_bytes(Signal.image(_random(3, 3)), ".webp")
    with pytest.warns(UserWarning, match="fully opaque alpha is dropped"):
        media.to_bytes(Signal.image(np.full((3, 3, 4), 255, np.uint8)), ".avif")


@pytest.mark.parametrize(
    ("samples", "suffix", "able"),
    [
        (np.zeros((2, 2), np.float32), ".png", ".tiff"),
        (np.zeros((2, 2, 5), np.uint8), ".png", ".tiff"),
        (np.zeros((2, 2), np.uint16), ".jpg", ".png .tiff"),
        (np.zeros((2, 2, 4), np.uint8), ".jpg", ".png .webp .avif .tiff"),
        (np.zeros((2, 2, 2), np.uint8), ".webp", ".png .tiff"),
        (np.zeros((1, 16384, 3), np.uint8), ".webp", ".png .jpeg .avif .tiff"),
    ],
)
def test_a_format_that_cannot_hold_the_samples_names_those_that_can(
    samples: np.ndarray, suffix: str, able: str
) -> None:
    with pytest.raises(ConfigError, match="cannot hold") as caught:
        media.to_bytes(Signal.image(samples), suffix)
    assert str(caught.value).endswith(f"channels; these can: {able}")


def test_an_unknown_suffix_or_the_wrong_kind_is_refused(tmp_path: Path) -> None:
    image = Signal.image(_random(2, 2))
    for name in ("x.gif", "x", "x.inr", "x.mp3"):
        with pytest.raises(ConfigError, match=r"is not one of \.png"):
            media.write(image, tmp_path / name)
    with pytest.raises(ConfigError, match="WAV cannot hold image"):
        media.write(image, tmp_path / "x.wav")
    assert not list(tmp_path.iterdir())


def test_write_refuses_an_existing_file_unless_forced(tmp_path: Path) -> None:
    target = tmp_path / "x.png"
    target.write_bytes(b"old")
    with pytest.raises(ConfigError, match="exists"):
        media.write(Signal.image(_random(2, 2)), target, force=False)
    assert target.read_bytes() == b"old"
    media.write(Signal.image(_random(2, 2)), target)
    assert media.probe(target).spec.grid == (2, 2)


def test_content_decides_before_the_suffix(tmp_path: Path) -> None:
    path = tmp_path / "really_a_png.jpg"
    path.write_bytes(media.to_bytes(Signal.image(_random(2, 3)), ".png"))
    assert media.probe(path).format == "PNG"


def test_pillows_guard_against_bombs_is_a_signal_error(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = media.to_bytes(Signal.image(_random(40, 40, 3)), ".png")
    wide = media.to_bytes(Signal.image(_random(40, 40, 3, dtype=np.uint16)), ".tiff")
    jpeg = media.to_bytes(Signal.image(_random(40, 40, 3)), ".jpg")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    for data in (plain, wide, jpeg):
        with pytest.raises(SignalError, match=r"large|over the limit"):
            media.read(data)
