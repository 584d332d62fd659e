"""Golden streams of sums of cosines: sounds, and sound ones with one fault. For make_vectors.py."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from vector_faults import varints
from vector_latents import Tiled
from vector_signals import signals, waves

from inrcodec.container import ByteReader
from inrcodec.signal import Signal

__all__ = ["heard_signals", "sound_faults", "sound_signals"]

RATE = 8000


def sound_signals() -> dict[str, tuple[Signal, dict[str, object]]]:
    """By the rest of a stream's name: what it holds, and how it is coded."""
    usual, small = signals(), {"frame": 128, "splits": 2}
    clicks = 0.2 * np.sin(np.arange(1200) * 0.7)[:, None]
    clicks[[300, 701]] += 0.7
    three = waves(400, channels=3) * 1.6 - 0.8
    loud = np.rint(clicks * 32000).astype(np.int16)
    parts = {"frame": 128, "segment_seconds": 0.05}
    angles = np.arange(3300)[:, None] * np.array([0.3, 1.9, 2.9])
    apart = np.sin(angles) @ np.array([[0.3, 0.1], [0.05, -0.2], [-0.02, 0.25]])
    wide = np.rint(apart * 20000).astype(np.int16)
    return {
        "mono16": (usual["mono16"], small),
        "stereo24_part": (usual["stereo24_part"], small),
        "clicks": (Signal.audio(loud, RATE), {"frame": 512}),
        "segments": (Signal.audio(loud, RATE), parts),
        "three_float32": (Signal.audio(three.astype(np.float32), 48000), small),
        "mono8": (Signal.audio((128 + loud / 256).astype(np.uint8), RATE), small),
        "one_sample": (Signal.audio(np.array([0.25], np.float16), RATE), {}),
        "turned": (Signal.audio(wide, 800), small),
        "silence": (Signal.audio(np.zeros((300, 2), np.int16), 44100), {}),
    }


def heard_signals() -> dict[str, tuple[Signal, dict[str, object]]]:
    """As `sound_signals`, of those that are tuned for hearing."""
    times = np.arange(2600)[:, None] / 8000
    hiss = np.random.default_rng(5).standard_normal((2600, 2)) * (0.02, 0.01)
    samples = hiss * np.exp2(2.0 * np.sin(9.0 * times)) + 0.2 * np.sin(2000.0 * times) * (
        times > 0.1
    )
    two = Signal.audio(np.rint(samples * 32767).astype(np.int16), 8000)
    return {
        "heard": (two, {"frame": 256, "segment_seconds": 0.2}),
        "heard_24k": (Signal.audio(samples[:, :1].astype(np.float32), 24000), {"splits": 0}),
    }


def sound_faults() -> dict[str, bytes]:
    """Every invalid stream of sums of cosines by its name."""
    one, parts = Tiled.of("cosine_mono16"), Tiled.of("cosine_segments")
    (tile,), tiles = one.tiles, parts.tiles
    pair = Tiled.of("cosine_stereo24_part")
    turned = (bytes([64]) + pair.tiles[0][1:], *pair.tiles[1:])
    at = len(one.model) - 4  # of the step
    bands = Tiled.of("cosine_turned")
    (banded,) = bands.tiles
    heard = Tiled.of("cosine_heard_24k")
    (shaded,), end = heard.tiles, len(heard.model)
    words, n = unsized(shaded)
    none = one.model[:2] + bytes(1) + one.model[at:]
    return {
        "cosine_frame": one.with_model(0, 6),
        "cosine_splits": one.with_model(1, 5),
        "cosine_small_blocks": one.with_model(1, 3),
        "cosine_no_frames": replace(one, model=none).framed(),
        "cosine_of_image": replace(one, head=bytes([0x00, 6]) + varints(8, 8, 1)).framed(),
        "cosine_step": one.with_model(at, 0x01, 0x0D),
        "cosine_model_long": replace(one, model=one.model + b"\0").framed(),
        "cosine_no_tile": one.with_tile(),
        "cosine_tile_missing": parts.with_tile(*tiles[:-1]),
        "cosine_tile_more": one.with_tile(tile, tile),
        "cosine_angle": pair.with_tile(*turned),
        "cosine_angle_of_band": bands.with_tile(banded[:18] + b"\x40" + banded[19:]),
        "cosine_words_short": one.with_tile(tile[:-4]),
        "cosine_words_long": one.with_tile(tile + bytes(4)),
        "cosine_words_odd": one.with_tile(tile + b"\1"),
        "cosine_words_above": one.with_tile(b"\xff" * len(tile)),
        "cosine_hearing_power": heard.with_model(end - 2, 0),
        "cosine_hearing_tilt": heard.with_model(end - 1, 65),
        "cosine_shades_missing": heard.with_tile(shaded[: len(shaded) - len(words) + n]),
        "cosine_shades_long": heard.with_tile(shaded + bytes(4)),
        "cosine_shades_above": heard.with_tile(
            shaded[: len(shaded) - len(words) + n] + b"\xff" * 64
        ),
        "cosine_words_past_end": heard.with_tile(varints(len(words) + 4) + words),
    }


def unsized(tile: bytes) -> tuple[bytes, int]:
    """Of a tile of one channel that has shades: all words, and how many bytes come before those."""
    reader = ByteReader(tile, name="TILE")
    n = reader.varint()
    return reader.take(reader.bytes_left), n
