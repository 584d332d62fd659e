"""Draw spectrograms of sounds, of what ours and Opus make of them, and of all errors.

    python scripts/sound_picture.py DATA

DATA is as for `run_rd.py`. Opus is told a rate; `cosine` gets as many bytes as its file has, as it
is by default (mse) and tuned for hearing (perceptual).
A row for each sound: the original, then each decoded and its error, all in dB of full scale; of
several channels the mean is drawn; SNR and log spectral distance (LSD) are over all. Written is
docs/images/sounds.png.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt
import rd_baselines
from demo import LOUDEST_DB, QUIETEST_DB, spectrogram
from matplotlib.axes import Axes
from PIL import Image
from rd_sets import read_sound

from inrcodec import Signal, decode, encode, metrics

SHOWN = (("speech-male", 24.0), ("guitar48_stereo_44100Hz", 32.0))
OURS, TUNES, PEER = "cosine", ("mse", "perceptual"), "Opus"
MOST_KHZ = 16.0
LEVELS, COLOURS = 28, 128  # of a spectrogram and of the file, which is small so
NO_DITHER = Image.Dither.NONE


class Panel(NamedTuple):
    """A spectrogram and what stands above it."""

    title: str
    samples: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with the test data")
    parser.add_argument("--picture", type=Path, default=Path("docs/images/sounds.png"))
    options = parser.parse_args()
    figure, rows = plt.subplots(len(SHOWN), 7, figsize=(19.0, 5.6), layout="constrained")
    for (name, kbps), axes in zip(SHOWN, rows, strict=True):
        sound = read_sound(options.data, name)
        for place, panel in zip(axes, panels(sound, name, kbps), strict=True):
            image = draw(place, panel, sound)
        axes[0].set_ylabel("kHz")
        figure.colorbar(image, ax=list(axes), label="dB of full scale", pad=0.01, fraction=0.02)
    save(figure, options.picture)


def panels(sound: Signal, name: str, kbps: float) -> Iterator[Panel]:
    """The original, then decoded and error of ours and of Opus, with as many bytes."""
    opus = rd_baselines.encode(PEER.lower(), sound, f"{kbps:g} kbps")
    ours = {tune: encode(sound, model=OURS, size=opus.n_bytes, tune=tune) for tune in TUNES}
    yield Panel(f"{name}: original", mean_of(sound))
    coded = [(tune, len(data), decode(data)) for tune, data in ours.items()]
    coded.append((PEER, opus.n_bytes, opus.decode()))
    for codec, n_bytes, decoded in coded:
        rate, snr_db = metrics.kbps(n_bytes, sound.seconds), metrics.snr_db(sound, decoded)
        lsd_db = metrics.log_spectral_distance_db(sound, decoded)
        title = f"{codec}: {rate:.1f} kbps\nSNR {snr_db:.1f} dB, LSD {lsd_db:.1f} dB"
        print(name, title.replace("\n", ", "), flush=True)
        yield Panel(title, mean_of(decoded))
        yield Panel(f"{codec}: error", mean_of(sound) - mean_of(decoded))


def mean_of(sound: Signal) -> np.ndarray:
    """The mean of all channels, in [-1, 1]."""
    return 2.0 * (sound.spec.to_unit(sound.samples).mean(axis=1) - 0.5)


def draw(place: Axes, panel: Panel, sound: Signal) -> Any:
    """One spectrogram."""
    levels = spectrogram(panel.samples - panel.samples.mean())
    edges = (0.0, sound.seconds, 0.0, sound.spec.sample_rate / 2000)
    look = {
        "cmap": plt.get_cmap("magma", LEVELS),
        "vmin": QUIETEST_DB,
        "vmax": LOUDEST_DB,
        "extent": edges,
        "interpolation": "nearest",
    }
    place.set_title(panel.title, fontsize=9)
    place.set_xlabel("seconds")
    image = place.imshow(levels, origin="lower", aspect="auto", **look)
    place.set_ylim(0.0, min(MOST_KHZ, edges[3]))
    return image


def save(figure: Any, picture: Path) -> None:
    """A PNG of few colours."""
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[:, :, :3]
    plt.close(figure)
    few = Image.fromarray(pixels).quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=NO_DITHER)
    few.save(picture, optimize=True)


if __name__ == "__main__":
    main()
