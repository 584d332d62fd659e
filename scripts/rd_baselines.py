"""JPEG, MP3 and x264 as `run_rd.py` compares with them: what each makes of a signal at a setting.

JPEG: Pillow, 4:2:0, optimised tables. x264: preset medium at a constant rate factor, 4:2:0 in MP4,
read back to RGB as any film is; counted are the packets and parameter sets, without the container
and without the text in which x264 names itself.

MP3: LAME through PyAV, constant bit rate, quality 2 (`lame -h`), joint stereo; the bytes are those
of all frames, without a tag. LAME multiplies what it codes by 0.95, which alone would stop the SNR
at 26 dB, so it is given the sound divided by that. At low rates a lower sample rate is better:
several are tried, and the row is that of the best SNR. The sound is brought to that rate and back
by Fourier transform, and the delay of encoder and decoder is removed where the correlation with
the sound is largest.
"""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.bitstream import BitStreamFilterContext
from numpy.typing import NDArray
from PIL import Image

from inrcodec import media, metrics
from inrcodec.signal import Metadata, Signal

Floats = NDArray[np.floating]

LAME_GAIN = 0.95
LONGEST_DELAY = 5000  # in samples
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


def encode_mp3(signal: Signal, setting: str) -> Coded:
    """At a constant bit rate, "32 kbps": the best of several sample rates."""
    kbps = float(setting.removesuffix(" kbps"))
    own = signal.spec.sample_rate
    rates = sorted({own, *(rate for rate in MP3_SAMPLE_RATES if rate < own)})
    tries = [encode_mp3_at(signal, kbps, rate) for rate in rates]
    kept = [one for one in tries if _kbps(one, signal) <= (1.0 + MP3_TOLERANCE) * kbps]
    return max(kept or tries, key=lambda one: metrics.snr_db(signal, one.decode()))


def encode_mp3_at(signal: Signal, kbps: float, sample_rate: int) -> Coded:
    """At one sample rate."""
    began = time.monotonic()
    scale, n = metrics.peak_of(signal) / 2.0, len(signal.samples)
    coded = resampled(signal.samples / scale, round(n * sample_rate / signal.spec.sample_rate))
    data = to_mp3(coded / LAME_GAIN, sample_rate, round(1000 * kbps))
    encode_s = time.monotonic() - began
    delay = delay_of(from_mp3(data), coded)

    def decode() -> Signal:
        whole = from_mp3(data)[delay : delay + len(coded)]
        whole = np.pad(whole, ((0, len(coded) - len(whole)), (0, 0)))
        values = resampled(whole, n) * scale
        if not signal.spec.sample_format.is_float:
            values = np.rint(values)
        samples = values.clip(*signal.spec.value_range).astype(signal.samples.dtype)
        return Signal.audio(samples, signal.spec.sample_rate)

    return Coded(n_bytes=len(data), encode_s=encode_s, decode=decode)


def to_mp3(sound: Floats, sample_rate: int, bit_rate: int) -> bytes:
    """The frames of an MP3 of a sound [samples, channels] in [-1, 1]."""
    file, bare = io.BytesIO(), {"write_xing": "0", "id3v2_version": "0"}
    layout = "mono" if sound.shape[1] == 1 else "stereo"
    planes = np.ascontiguousarray(sound.T, np.float32)
    with av.open(file, "w", format="mp3", options=bare) as container:
        options = {"compression_level": "2"}
        stream = container.add_stream("libmp3lame", rate=sample_rate, options=options)
        stream.layout, stream.format, stream.bit_rate = layout, "fltp", bit_rate
        frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=layout)
        frame.sample_rate, frame.pts = sample_rate, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def from_mp3(data: bytes) -> Floats:
    """All that an MP3 decodes to, [samples, channels] in [-1, 1], with what comes before."""
    with av.open(io.BytesIO(data)) as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
    return np.concatenate(frames, axis=1).T


def delay_of(late: Floats, sound: Floats) -> int:
    """By how many samples a sound comes late: where its correlation with the other is largest."""
    n = len(late) + len(sound)
    spectra = [np.fft.rfft(one, n, axis=0) for one in (late, sound)]
    correlation = np.fft.irfft((spectra[0] * np.conj(spectra[1])).sum(axis=1), n)
    return int(np.argmax(correlation[:LONGEST_DELAY]))


def resampled(sound: Floats, n: int) -> Floats:
    """A sound of `n` samples that lasts as long, by the Fourier transform of the whole."""
    if n == len(sound):
        return sound
    spectrum = np.fft.rfft(sound, axis=0)[: n // 2 + 1] * (n / len(sound))
    return np.fft.irfft(spectrum, n, axis=0)


def _kbps(coded: Coded, signal: Signal) -> float:
    return metrics.kbps(coded.n_bytes, signal.spec.seconds)


ENCODERS = {"jpeg": encode_jpeg, "mp3": encode_mp3, "x264": encode_x264}
