"""TIFF: every sample type, layout and compression in; what we write is read by others."""

from __future__ import annotations

import io
import logging
from contextlib import ExitStack

import numpy as np
import pytest
import tifffile
from PIL import Image

from inrcodec import media
from inrcodec.errors import ConfigError, SignalError
from inrcodec.media import guard, tiff_segments
from inrcodec.signal import Metadata, Signal

TYPES = ["uint8", "uint16", "int16", "int32", "float16", "float32"]


def _waves(height: int, width: int, channels: int, dtype: str) -> np.ndarray:
    """Smooth samples over most of the type's range, so that predictors have something to do."""
    y, x, c = np.mgrid[:height, :width, :channels]
    wave = (np.sin(x / 9) + np.cos(y / 5 + c)) / 2
    if np.dtype(dtype).kind == "f":
        return wave.astype(dtype)
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    return (low + (wave + 1) / 2 * (float(high) - low) * 0.999).astype(dtype)


def _by_tifffile(samples: np.ndarray, **settings: object) -> bytes:
    sink = io.BytesIO()
    channels = samples.shape[-1]
    settings.setdefault("photometric", "rgb" if channels in (3, 4) else "minisblack")
    if channels == 1:
        samples = samples[:, :, 0]
    else:
        settings.setdefault("planarconfig", "contig")
    tifffile.imwrite(sink, samples, **settings)
    return sink.getvalue()


def _read_quietly(data: bytes) -> Signal:
    signal = media.read(data)
    assert media.probe(data).spec == signal.spec
    return signal


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
def test_every_sample_format_survives_and_tifffile_reads_it(dtype: str, channels: int) -> None:
    samples = _waves(300, 41, channels, dtype)
    data = media.to_bytes(Signal.image(samples), ".tif")
    np.testing.assert_array_equal(_read_quietly(data).samples, samples)
    theirs = tifffile.imread(io.BytesIO(data))
    assert theirs.dtype == dtype
    np.testing.assert_array_equal(theirs.reshape(samples.shape), samples)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_pillow_reads_what_we_write(channels: int) -> None:
    samples = _waves(19, 23, channels, "uint8")
    with Image.open(io.BytesIO(media.to_bytes(Signal.image(samples), ".tiff"))) as image:
        np.testing.assert_array_equal(np.asarray(image).reshape(samples.shape), samples)


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_of_either_byte_order_is_the_frame_of_the_file(order: str) -> None:
    exif = Image.Exif()
    exif.endian = order
    exif[0x010F] = "a camera with a long name"
    exif.get_ifd(0x8825)[1] = "N"
    metadata = Metadata(exif=exif.tobytes()[6:], dpi=(72.5, 300.0))
    samples = _waves(9, 11, 3, "uint16")
    data = media.to_bytes(Signal.image(samples, metadata=metadata), ".tif")
    assert data[:2] == {"<": b"II", ">": b"MM"}[order]
    signal = _read_quietly(data)
    np.testing.assert_array_equal(signal.samples, samples)
    assert signal.metadata.dpi == (72.5, 300.0)
    kept = Image.Exif()
    kept.load(signal.metadata.exif or b"")
    assert kept[0x010F] == "a camera with a long name"
    assert kept.get_ifd(0x8825)[1] == "N"


LAYOUTS = {
    "strips": {},
    "big endian": {"byteorder": ">"},
    "big file": {"bigtiff": True},
    "deflated": {"compression": "zlib", "rowsperstrip": 7},
    "differences": {"compression": "zlib", "predictor": 2},
    "tiles": {"compression": "zlib", "tile": (16, 32)},
    "big endian tiles": {"byteorder": ">", "tile": (32, 16)},
    "planes": {"planarconfig": "separate", "rowsperstrip": 5, "compression": "zlib"},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", TYPES)
def test_every_layout_is_read_by_either_decoder(layout: str, dtype: str) -> None:
    samples = _waves(37, 41, 3, dtype)
    settings = dict(LAYOUTS[layout])
    if np.dtype(dtype).kind == "f":
        settings.pop("predictor", None)
    stored = np.moveaxis(samples, -1, 0) if layout == "planes" else samples
    data = _by_tifffile(stored, photometric="rgb", **settings)
    np.testing.assert_array_equal(_read_quietly(data).samples, samples)
    page = tifffile.TiffFile(io.BytesIO(data)).pages.first
    np.testing.assert_array_equal(tiff_segments.decode(data, page), samples)


@pytest.mark.parametrize(
    ("compression", "predicted"),
    [
        ("packbits", False),
        *(
            (name, yes)
            for name in ("tiff_lzw", "zstd", "tiff_adobe_deflate")
            for yes in (False, True)
        ),
    ],
)
@pytest.mark.parametrize("mode", ["I;16", "I", "F", "RGB", "LA"])
def test_every_compression_of_libtiff_is_read(mode: str, compression: str, predicted: bool) -> None:
    predictor = (3 if mode == "F" else 2) if predicted else 1
    dtype = {"I;16": "uint16", "I": "int32", "F": "float32"}.get(mode, "uint8")
    samples = _waves(37, 41, {"RGB": 3, "LA": 2}.get(mode, 1), dtype)
    sink = io.BytesIO()
    image = Image.fromarray(np.squeeze(samples))
    image.save(sink, "TIFF", compression=compression, tiffinfo={317: predictor})
    np.testing.assert_array_equal(_read_quietly(sink.getvalue()).samples, samples)


@pytest.mark.parametrize("big", [False, True])
def test_descriptive_tags_become_exif(big: bool) -> None:
    settings = {"software": "a scanner", "resolution": (600, 600), "resolutionunit": 2}
    metadata = _read_quietly(
        _by_tifffile(_waves(4, 4, 3, "uint16"), bigtiff=big, **settings)
    ).metadata
    exif = Image.Exif()
    exif.load(metadata.exif or b"")
    assert exif[305] == "a scanner"
    assert not {256, 257, 273, 282} & set(exif)
    assert metadata.dpi == (600.0, 600.0)


def test_white_is_zero_is_turned_round() -> None:
    samples = _waves(5, 6, 1, "uint16")
    data = _by_tifffile(samples, photometric="miniswhite")
    np.testing.assert_array_equal(_read_quietly(data).samples, 65535 - samples)


def test_one_bit_fax_is_grey() -> None:
    bits = np.random.default_rng(0).random((20, 33)) < 0.5
    sink = io.BytesIO()
    Image.fromarray(bits).save(sink, "TIFF", compression="group4")
    samples = _read_quietly(sink.getvalue()).samples
    np.testing.assert_array_equal(samples[:, :, 0], bits * np.uint8(255))


def test_a_palette_becomes_rgb() -> None:
    image = Image.fromarray(_waves(20, 21, 3, "uint8")).quantize(16)
    sink = io.BytesIO()
    image.save(sink, "TIFF")
    np.testing.assert_array_equal(
        _read_quietly(sink.getvalue()).samples, np.asarray(image.convert("RGB"))
    )


def test_64_bit_floats_become_32_bit_with_one_warning() -> None:
    samples = _waves(5, 6, 1, "float32")
    with pytest.warns(UserWarning, match="64-bit floats are read as 32-bit") as caught:
        signal = media.read(_by_tifffile(samples.astype(np.float64)))
    assert len(caught) == 1
    np.testing.assert_array_equal(signal.samples, samples)


@pytest.mark.parametrize("dtype", ["uint32", "complex64"])
def test_a_sample_type_that_no_signal_has_is_refused(dtype: str) -> None:
    with pytest.raises(SignalError, match=f"cannot read input: .*{dtype}"):
        media.read(_by_tifffile(np.ones((4, 4, 1), dtype)))


def test_lab_colours_are_refused() -> None:
    sink = io.BytesIO()
    Image.fromarray(_waves(4, 4, 3, "uint8")).convert("LAB").save(sink, "TIFF")
    with pytest.raises(SignalError, match="colour mode LAB"):
        media.read(sink.getvalue())


def test_nan_is_refused_with_its_place() -> None:
    samples = np.zeros((4, 5, 1), np.float32)
    samples[3, 2] = np.nan
    with pytest.raises(SignalError, match=r"cannot read input: sample \(3, 2, 0\) is nan"):
        media.read(_by_tifffile(samples))


@pytest.mark.parametrize(
    ("tag", "value", "reason"),
    [(284, 44, "planar configuration 44"), (278, 1, "of 9 strips or tiles")],
)
def test_a_layout_that_leaves_samples_open_is_refused(tag: int, value: int, reason: str) -> None:
    settings = {"compression": "zlib", "rowsperstrip": 3, "byteorder": "<"}
    data = bytearray(_by_tifffile(_waves(9, 9, 3, "uint16"), **settings))
    entry = tifffile.TiffFile(io.BytesIO(data)).pages.first.tags[tag].offset
    data[entry + 8 : entry + 10] = value.to_bytes(2, "little")
    with pytest.raises(SignalError, match=reason):
        media.read(bytes(data))


def test_what_tifffile_logs_joins_the_warning_and_not_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = bytearray(_by_tifffile(_waves(5, 6, 1, "uint8"), extratags=[(65000, 3, 4, [1] * 4)]))
    entry = data.find((65000).to_bytes(2, "little"))
    data[entry + 8 : entry + 12] = b"\xff\xff\xff\x7f"
    with (
        caplog.at_level(logging.WARNING),
        pytest.warns(UserWarning, match="damaged TIFF tags are dropped") as caught,
    ):
        media.read(bytes(data))
    assert len(caught) == 1
    assert not caplog.records


def test_notes_that_end_late_let_nothing_through(caplog: pytest.LogCaptureFixture) -> None:
    early: list[str] = []
    late: list[str] = []
    logger = logging.getLogger("tifffile")
    logger.addFilter(guard._TIFFFILE)
    with ExitStack() as one, ExitStack() as other:
        one.enter_context(guard._TIFFFILE.into(early))
        other.enter_context(guard._TIFFFILE.into(late))
        one.close()
        logger.error("of the other")
    assert (early, late, caplog.records) == ([], ["of the other"], [])


def test_what_is_beyond_four_gigabytes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inrcodec.media.tiff_write._LARGEST", 100)
    with pytest.raises(ConfigError, match="TIFF cannot hold"):
        media.to_bytes(Signal.image(_waves(9, 9, 3, "uint8")), ".tif")
