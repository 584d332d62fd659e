"""JPEG, x264, MP3, AAC, Opus and Vorbis as `run_rd.py` compares with them, each at a setting.

JPEG: Pillow, 4:2:0, optimised tables. x264: preset medium at a constant rate factor, 4:2:0 in MP4,
read back to RGB as any film is; counted are the packets and parameter sets, without the container
and without the text in which x264 names itself.

Sounds are of whole files. Where the decoded sound comes late is found by its correlation with the
sound, to a part of a sample, and undone; sample rates are changed by Fourier transform.
MP3: LAME through PyAV, constant bit rate, quality 2 (`lame -h`), joint stereo, without a tag. LAME
multiplies what it codes by 0.95, which alone would stop the SNR at 26 dB, so it is given the sound
divided by that. At low rates a lower sample rate is better: several are tried, and the row is that
of the best SNR. AAC: FFmpeg's own, in ADTS; the better of with and without noise substitution and
intensity stereo. Opus: libopus through PyAV, for audio, variable bit rate, in Ogg. Vorbis: that of
libsndfile, in Ogg, with its 3 to 4 kB of code books.
"""

from __future__ import annotations

import io
import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import av
import numpy as np
import soundfile
from av.bitstream import BitStreamFilterContext
from numpy.typing import NDArray
from PIL import Image

from inrcodec import media, metrics
from inrcodec.signal import Metadata, Signal

Floats = NDArray[np.floating]

LAME_GAIN = 0.95
EARLIEST, LONGEST_DELAY = 100, 5000  # in samples
DELAY_PARTS = 16  # of a sample
MP3_SAMPLE_RATES = (16000, 24000, 32000)  # tried beside the sound's own
MP3_TOLERANCE = 0.05  # of the bit rate: LAME raises those that a sample rate does not allow


@dataclass(frozen=True, kw_only=True, slots=True)
class Coded:
    """What a codec made of a signal. `decode` reads its bytes anew."""

    n_bytes: int
    encode_s: float
    decode: Callable[[], Signal]


def encode(codec: str, signal: Signal, setting: str) -> Coded:
    """By the name of a codec and its setting: jpeg q20, mp3 32 kbps, x264 crf30."""
    return ENCODERS[codec](signal, setting)


# --- images --------------------------------------------------------------------------------------


def encode_jpeg(signal: Signal, setting: str) -> Coded:
    """At a quality, "q20"."""
    began, file = time.monotonic(), io.BytesIO()
    quality = int(setting.removeprefix("q"))
    Image.fromarray(signal.samples).save(file, "JPEG", quality=quality, optimize=True)
    data, encode_s = file.getvalue(), time.monotonic() - began

    def decode() -> Signal:
        return Signal.image(np.asarray(Image.open(io.BytesIO(data))))

    return Coded(n_bytes=len(data), encode_s=encode_s, decode=decode)


# --- films ---------------------------------------------------------------------------------------


def encode_x264(signal: Signal, setting: str) -> Coded:
    """At a constant rate factor, "crf30"."""
    crf = int(setting.removeprefix("crf"))
    with tempfile.TemporaryDirectory() as folder:
        path, began = Path(folder) / "film.mp4", time.monotonic()
        with media.create_film(path, signal.spec, Metadata(), codec="x264", crf=crf) as film:
            film.write(signal.samples)
        encode_s, data = time.monotonic() - began, path.read_bytes()
    return Coded(n_bytes=h264_bytes(data), encode_s=encode_s, decode=lambda: media.read(data))


def h264_bytes(data: bytes) -> int:
    """Bytes of the packets and parameter sets in an MP4, without supplemental information."""
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        bare = BitStreamFilterContext("filter_units=remove_types=6", in_stream=stream)
        packets = [kept for packet in container.demux(stream) for kept in bare.filter(packet)]
        parameter_sets = stream.codec_context.extradata or b""
    return len(parameter_sets) + sum(packet.size for packet in packets)


# --- sounds --------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Coder:
    """How FFmpeg writes the sounds of a codec, and at which sample rates; none: at any."""

    name: str
    form: str
    form_options: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    sample_format: str = "fltp"
    gain: float = 1.0
    sample_rates: tuple[int, ...] = ()


LAME = Coder(
    name="libmp3lame",
    form="mp3",
    form_options={"write_xing": "0", "id3v2_version": "0"},
    options={"compression_level": "2"},
    gain=LAME_GAIN,
)
AAC = Coder(name="aac", form="adts")
AAC_WAVE = replace(AAC, options={"aac_pns": "0", "aac_is": "0"})
OPUS = Coder(
    name="libopus",
    form="ogg",
    options={"application": "audio"},
    sample_format="flt",
    sample_rates=(16000, 24000, 48000),
)


def encode_mp3(signal: Signal, setting: str) -> Coded:
    """At a constant bit rate, "32 kbps": the best of several sample rates."""
    kbps = float(setting.removesuffix(" kbps"))
    own = signal.spec.sample_rate
    rates = sorted({own, *(rate for rate in MP3_SAMPLE_RATES if rate < own)})
    tries = [encode_sound(signal, LAME, kbps, rate) for rate in rates]
    kept = [one for one in tries if _kbps(one, signal) <= (1.0 + MP3_TOLERANCE) * kbps]
    return best(kept or tries, signal)


def encode_aac(signal: Signal, setting: str) -> Coded:
    """At a bit rate, "32 kbps": with or without what replaces the waveform, which is better."""
    kbps, own = float(setting.removesuffix(" kbps")), signal.spec.sample_rate
    return best([encode_sound(signal, coder, kbps, own) for coder in (AAC, AAC_WAVE)], signal)


def encode_opus(signal: Signal, setting: str) -> Coded:
    """At a mean bit rate, "32 kbps"."""
    kbps, own = float(setting.removesuffix(" kbps")), signal.spec.sample_rate
    return encode_sound(signal, OPUS, kbps, own if own in OPUS.sample_rates else 48000)


def encode_vorbis(signal: Signal, setting: str) -> Coded:
    """At a quality from 0 to 1, "q0.3"."""
    began, file = time.monotonic(), io.BytesIO()
    scale, rate = metrics.peak_of(signal) / 2.0, signal.spec.sample_rate
    level = 1.0 - float(setting.removeprefix("q"))
    sound = signal.samples / scale
    soundfile.write(file, sound, rate, format="OGG", subtype="VORBIS", compression_level=level)
    data, encode_s = file.getvalue(), time.monotonic() - began

    def decode() -> Signal:
        return like(signal, soundfile.read(io.BytesIO(data), always_2d=True)[0])

    return Coded(n_bytes=len(data), encode_s=encode_s, decode=decode)


def best(tries: Sequence[Coded], signal: Signal) -> Coded:
    """That of the best SNR."""
    return max(tries, key=lambda one: metrics.snr_db(signal, one.decode()))


def encode_sound(signal: Signal, coder: Coder, kbps: float, sample_rate: int) -> Coded:
    """By FFmpeg at one sample rate."""
    began = time.monotonic()
    spec = signal.spec
    sound = signal.samples / (metrics.peak_of(signal) / 2.0)
    coded = resampled(sound, round(len(sound) * sample_rate / spec.sample_rate))
    data = to_file(coded / coder.gain, coder, sample_rate, round(1000 * kbps))
    encode_s = time.monotonic() - began
    decoded, its_rate = from_file(data)
    n = round(len(sound) * its_rate / spec.sample_rate)
    delay = delay_of(decoded, resampled(sound, n))

    def decode() -> Signal:
        return like(signal, advanced(from_file(data)[0], delay, n))

    return Coded(n_bytes=len(data), encode_s=encode_s, decode=decode)


def like(signal: Signal, sound: Floats) -> Signal:
    """A sound in [-1, 1], brought to the sample rate, the length and the numbers of a signal."""
    values = resampled(sound, len(signal.samples)) * (metrics.peak_of(signal) / 2.0)
    if not signal.spec.sample_format.is_float:
        values = np.rint(values)
    samples = values.clip(*signal.spec.value_range).astype(signal.samples.dtype)
    return replace(signal, samples=samples)


def to_file(sound: Floats, coder: Coder, sample_rate: int, bit_rate: int) -> bytes:
    """The file of a sound [samples, channels] in [-1, 1]."""
    file = io.BytesIO()
    layout = "mono" if sound.shape[1] == 1 else "stereo"
    planar = coder.sample_format.endswith("p")
    values = np.ascontiguousarray(sound.T if planar else sound.reshape(1, -1), np.float32)
    with av.open(file, "w", format=coder.form, options=dict(coder.form_options)) as container:
        stream = container.add_stream(coder.name, rate=sample_rate, options=dict(coder.options))
        stream.layout, stream.format, stream.bit_rate = layout, coder.sample_format, bit_rate
        frame = av.AudioFrame.from_ndarray(values, format=coder.sample_format, layout=layout)
        frame.sample_rate, frame.pts = sample_rate, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def from_file(data: bytes) -> tuple[Floats, int]:
    """All that a file decodes to, [samples, channels] in [-1, 1], and its sample rate."""
    with av.open(io.BytesIO(data)) as container:
        frames = list(container.decode(audio=0))
    return np.concatenate([frame.to_ndarray() for frame in frames], axis=1).T, frames[0].sample_rate


def delay_of(late: Floats, sound: Floats) -> float:
    """By how many samples a sound comes late: where its correlation with the other is largest.

    To a 16th of a sample, as codecs that resample are late by parts of one.
    """
    n = max(len(late) + len(sound), EARLIEST + LONGEST_DELAY)
    n += n % 2
    spectra = [np.fft.rfft(one, n, axis=0) for one in (late, sound)]
    cross = (spectra[0] * np.conj(spectra[1])).sum(axis=1)
    correlation = np.fft.irfft(cross, DELAY_PARTS * n)
    earliest = -EARLIEST * DELAY_PARTS
    places = np.arange(earliest, LONGEST_DELAY * DELAY_PARTS)
    return float(places[np.argmax(correlation[places])]) / DELAY_PARTS


def advanced(sound: Floats, delay: float, n: int) -> Floats:
    """`n` samples of a sound from a delay on, which may be a part of a sample; beyond it 0."""
    whole = math.floor(delay)
    if delay != whole:
        padded = np.pad(sound, ((LONGEST_DELAY, LONGEST_DELAY), (0, 0)))
        turns = np.fft.rfftfreq(len(padded)) * (delay - whole)
        spectrum = np.fft.rfft(padded, axis=0) * np.exp(2j * np.pi * turns)[:, None]
        sound = np.fft.irfft(spectrum, len(padded), axis=0)[LONGEST_DELAY:-LONGEST_DELAY]
    sound = sound[whole:] if whole >= 0 else np.pad(sound, ((-whole, 0), (0, 0)))
    return np.pad(sound[:n], ((0, max(n - len(sound), 0)), (0, 0)))


def resampled(sound: Floats, n: int) -> Floats:
    """A sound of `n` samples that lasts as long, by the Fourier transform of the whole."""
    if n == len(sound):
        return sound
    spectrum = np.fft.rfft(sound, axis=0)[: n // 2 + 1] * (n / len(sound))
    return np.fft.irfft(spectrum, n, axis=0)


def _kbps(coded: Coded, signal: Signal) -> float:
    return metrics.kbps(coded.n_bytes, signal.spec.seconds)


ENCODERS = {
    "jpeg": encode_jpeg,
    "x264": encode_x264,
    "mp3": encode_mp3,
    "aac": encode_aac,
    "opus": encode_opus,
    "vorbis": encode_vorbis,
}
