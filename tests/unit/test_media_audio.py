"""Sound in and out: every sample format, channels, rates, tags; WAV without the extra 'audio'."""

from __future__ import annotations

import io
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from inrcodec import media
from inrcodec.errors import ConfigError, MissingExtraError, SignalError
from inrcodec.signal import Kind, SampleFormat, Signal

soundfile = pytest.importorskip("soundfile")

SAMPLES = Path(__file__).parents[2] / "data" / "samples"


def _noise(frames: int, channels: int, sample_format: SampleFormat) -> np.ndarray:
    """Random samples that reach both ends of the range."""
    rng = np.random.default_rng(frames)
    if sample_format.is_float:
        return (rng.random((frames, channels)) * 2 - 1).astype(sample_format.dtype)
    low, high = (int(value) for value in sample_format.nominal_range)
    samples = rng.integers(low, high + 1, (frames, channels))
    samples[0, 0], samples[-1, -1] = low, high
    return samples.astype(sample_format.dtype)


def _by_soundfile(samples: np.ndarray, media_format: str, subtype: str, rate: int = 8000) -> bytes:
    sink = io.BytesIO()
    soundfile.write(sink, samples, rate, format=media_format, subtype=subtype)
    return sink.getvalue()


def _read_quietly(data: bytes) -> Signal:
    signal = media.read(data)
    assert media.probe(data).spec == signal.spec
    return signal


def test_the_sample_sound_reads_and_probes_without_a_warning() -> None:
    path = SAMPLES / "speech-male.wav"
    signal, info = media.read(path), media.probe(path)
    assert (info.kind, info.format, info.spec) == (Kind.AUDIO, "WAV", signal.spec)
    assert (signal.spec.grid, signal.spec.channels, signal.spec.sample_rate) == (
        (248320,),
        1,
        44100,
    )
    expected, _ = soundfile.read(path, dtype="int16", always_2d=True)
    np.testing.assert_array_equal(signal.samples, expected)


@pytest.mark.parametrize("name", ["U8", "S16", "S24", "S32", "F32"])
@pytest.mark.parametrize(
    ("frames", "channels", "rate"), [(1, 1, 1), (2, 6, 44100), (999, 12, 192001)]
)
def test_wav_is_lossless(name: str, frames: int, channels: int, rate: int) -> None:
    samples = _noise(frames, channels, SampleFormat[name])
    written = Signal.audio(samples, rate, sample_format=SampleFormat[name])
    signal = _read_quietly(media.to_bytes(written, ".wav"))
    assert (signal.spec.sample_format.name, signal.spec.sample_rate) == (name, rate)
    np.testing.assert_array_equal(signal.samples, samples)


@pytest.mark.parametrize("name", ["U8", "S16", "S24"])
@pytest.mark.parametrize(
    ("frames", "channels", "rate"), [(1, 1, 1), (2, 8, 96000), (999, 2, 44100)]
)
def test_flac_is_lossless(name: str, frames: int, channels: int, rate: int) -> None:
    samples = _noise(frames, channels, SampleFormat[name])
    written = Signal.audio(samples, rate, sample_format=SampleFormat[name])
    signal = _read_quietly(media.to_bytes(written, ".flac"))
    assert (signal.spec.sample_format.name, signal.spec.sample_rate) == (name, rate)
    np.testing.assert_array_equal(signal.samples, samples)


def test_half_floats_are_written_as_floats() -> None:
    samples = _noise(10, 1, SampleFormat.F16)
    signal = _read_quietly(media.to_bytes(Signal.audio(samples, 8000), ".wav"))
    np.testing.assert_array_equal(signal.samples, samples.astype(np.float32))


def test_wav_is_written_without_soundfile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    signal = Signal.audio(_noise(9, 2, SampleFormat.S16), 8000)
    expected = media.to_bytes(signal, ".wav")
    monkeypatch.setitem(sys.modules, "soundfile", None)
    media.write(signal, tmp_path / "x.wav")
    assert (tmp_path / "x.wav").read_bytes() == expected
    for work in (lambda: media.to_bytes(signal, ".flac"), lambda: media.read(tmp_path / "x.wav")):
        with pytest.raises(MissingExtraError, match=r"pip install 'inrcodec\[audio\]'"):
            work()


@pytest.mark.parametrize(
    ("name", "channels", "tag"),
    [("S16", 2, 1), ("S16", 3, 0xFFFE), ("S24", 1, 0xFFFE), ("U8", 1, 1)],
)
def test_wav_is_extensible_where_the_format_asks(name: str, channels: int, tag: int) -> None:
    samples = _noise(3, channels, SampleFormat[name])
    data = media.to_bytes(Signal.audio(samples, 8000, sample_format=SampleFormat[name]), ".wav")
    assert struct.unpack_from("<H", data, 20) == (tag,)
    assert struct.unpack_from("<I", data, 4) == (len(data) - 8,)
    assert len(data) % 2 == 0


@pytest.mark.parametrize(
    ("name", "channels", "rate", "suffix", "reason"),
    [
        ("F32", 1, 8000, ".flac", "F32 samples"),
        ("S32", 1, 8000, ".flac", "S32 samples"),
        ("S16", 9, 8000, ".flac", "9 channels"),
        ("S16", 1, 655351, ".flac", "655351 Hz"),
        ("S16", 1, 65537, ".flac", "65537 Hz"),
        ("U16", 1, 8000, ".wav", "U16 samples"),
        ("S32", 30000, 8000, ".wav", "30000 channels"),
        ("S16", 4, 1 << 30, ".wav", "1073741824 Hz"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(
    name: str, channels: int, rate: int, suffix: str, reason: str
) -> None:
    samples = np.zeros((2, channels), SampleFormat[name].dtype)
    signal = Signal.audio(samples, rate, sample_format=SampleFormat[name])
    with pytest.raises(ConfigError, match=f"cannot hold .*{reason}"):
        media.to_bytes(signal, suffix)


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
@pytest.mark.parametrize("name", ["U8", "S16", "S24"])
def test_a_sound_is_written_in_blocks(suffix: str, name: str, tmp_path: Path) -> None:
    sample_format = SampleFormat[name]
    samples = _noise(1001, 1, sample_format)
    signal = Signal.audio(samples, 8000, sample_format=sample_format)
    path = tmp_path / f"x{suffix}"
    n_bytes = media.write_sound(path, signal.spec, np.split(samples, [1, 1, 700]))
    assert path.read_bytes() == media.to_bytes(signal, suffix)
    assert path.stat().st_size == n_bytes


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_a_sound_whose_blocks_end_in_an_error_is_not_written(suffix: str, tmp_path: Path) -> None:
    def blocks() -> Iterator[np.ndarray]:
        yield np.zeros((5, 1), np.int16)
        raise SignalError("no more")

    spec = Signal.audio(np.zeros(9, np.int16), 8000).spec
    with pytest.raises(SignalError, match="no more"):
        media.write_sound(tmp_path / f"x{suffix}", spec, blocks())
    assert not list(tmp_path.iterdir())


def test_a_sound_has_no_image_suffix() -> None:
    with pytest.raises(ConfigError, match="PNG cannot hold audio"):
        media.to_bytes(Signal.audio(np.zeros(3, np.int16), 8000), ".png")


@pytest.mark.parametrize(
    ("media_format", "subtype", "rate"),
    [("OGG", "VORBIS", 22050), ("OGG", "OPUS", 48000), ("MP3", "MPEG_LAYER_III", 32000)],
)
def test_lossy_sound_is_16_bit_unless_that_clips(
    media_format: str, subtype: str, rate: int
) -> None:
    wave = np.sin(np.arange(9000) / 7)
    quiet = _read_quietly(_by_soundfile(wave / 2, media_format, subtype, rate))
    loud = _read_quietly(_by_soundfile(np.sign(wave), media_format, subtype, rate))
    assert quiet.spec.sample_format is SampleFormat.S16
    assert quiet.spec.grid == (9000,)
    assert np.abs(quiet.samples[:, 0] / 32768 - wave / 2)[1000:8000].max() < 0.05
    assert loud.spec.sample_format is SampleFormat.F32
    assert loud.spec.value_range[1] > 1.0


@pytest.mark.parametrize("subtype", ["ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM"])
def test_companded_wav_is_16_bit(subtype: str) -> None:
    wave = np.sin(np.arange(2000) / 7) / 2
    signal = _read_quietly(_by_soundfile(wave, "WAV", subtype))
    assert signal.spec.sample_format is SampleFormat.S16
    assert np.abs(signal.samples[:2000, 0] / 32768 - wave)[200:].max() < 0.05


def _warning_of(data: bytes) -> str:
    with pytest.warns(UserWarning, match="^input: ") as caught:
        media.read(data)
    assert len(caught) == 1
    return str(caught[0].message)


def test_64_bit_floats_become_32_bit_with_one_warning() -> None:
    data = _by_soundfile(np.linspace(-1, 1, 9), "WAV", "DOUBLE")
    assert _warning_of(data) == "input: 64-bit floats are read as 32-bit"


@pytest.mark.parametrize("media_format", ["WAV", "FLAC", "OGG"])
def test_tags_are_dropped_with_one_warning(media_format: str) -> None:
    sink = io.BytesIO()
    with soundfile.SoundFile(sink, "w", 8000, 1, format=media_format) as file:
        file.title, file.artist, file.software = "a title", "an artist", "not of interest"
        file.write(np.zeros(100))
    assert _warning_of(sink.getvalue()) == "input: tag title is dropped; tag artist is dropped"


def _wav_with(chunk: bytes, samples: np.ndarray) -> bytes:
    data = media.to_bytes(Signal.audio(samples, 8000), ".wav")
    return data[:12] + chunk + data[12:]


def test_chunks_of_odd_length_are_passed_over_and_named() -> None:
    samples = _noise(5, 1, SampleFormat.S16)
    data = _wav_with(b"iXML" + struct.pack("<I", 3) + b"abc\0", samples)
    assert _warning_of(data) == "input: WAV chunk iXML is dropped"
    junk = _wav_with(b"JUNK" + struct.pack("<I", 3) + b"abc\0", samples)
    np.testing.assert_array_equal(_read_quietly(junk).samples, samples)


def test_an_unusual_speaker_layout_is_named() -> None:
    data = bytearray(media.to_bytes(Signal.audio(np.zeros((4, 6), np.int16), 8000), ".wav"))
    data[40:44] = struct.pack("<I", 0x60F)
    assert _warning_of(bytes(data)) == "input: speaker layout 0x60f is dropped"


def test_a_wav_from_a_pipe_has_no_length_and_is_whole() -> None:
    samples = _noise(50, 1, SampleFormat.S16)
    data = bytearray(media.to_bytes(Signal.audio(samples, 8000), ".wav"))
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    np.testing.assert_array_equal(media.read(bytes(data)).samples, samples)


def test_a_flac_from_a_pipe_has_no_length_and_is_whole() -> None:
    samples = _noise(10001, 2, SampleFormat.S16)
    data = bytearray(_by_soundfile(samples, "FLAC", "PCM_16"))
    data[21] &= 0xF0  # the 36 bits of STREAMINFO that count the samples
    data[22:26] = bytes(4)
    np.testing.assert_array_equal(_read_quietly(bytes(data)).samples, samples)


def test_id3_before_the_sound_is_passed_over(tmp_path: Path) -> None:
    wave = np.sin(np.arange(9000) / 7) / 2
    tag = b"ID3\x04\0\0" + bytes([0, 0, 0, 20]) + bytes(20)
    mp3 = _by_soundfile(wave, "MP3", "MPEG_LAYER_III", 32000)
    assert media.probe(mp3).format == "MP3"
    assert media.probe(tag + mp3).format == "MP3"
    flac = _by_soundfile(wave, "FLAC", "PCM_16")
    assert media.probe(tag + flac).format == "FLAC"


def test_nan_is_refused_with_its_place() -> None:
    samples = np.zeros((9, 2), np.float32)
    samples[7, 1] = np.nan
    data = _by_soundfile(samples, "WAV", "FLOAT")
    with pytest.raises(SignalError, match=r"cannot read input: sample \(7, 1\) is nan"):
        media.read(data)


def test_a_sound_without_samples_is_refused() -> None:
    with pytest.raises(SignalError, match="cannot read input: no samples"):
        media.read(_by_soundfile(np.zeros(0), "WAV", "PCM_16"))


def test_a_sound_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inrcodec.media.audio.MAX_SOUND_SAMPLES", 100)
    with pytest.raises(SignalError, match="over 100 samples"):
        media.read(_by_soundfile(np.zeros(101), "FLAC", "PCM_16"))
