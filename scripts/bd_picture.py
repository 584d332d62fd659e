"""The picture of latent grids beside other codecs on Kodak."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt
from latent_curves import Curve
from matplotlib.axes import Axes
from scipy.interpolate import PchipInterpolator

OURS, PEER = "latentgrid", "Cool-chic 5.0"
LINES = {
    OURS: ("tab:red", "o-"),
    PEER: ("tab:blue", "s-"),
    "vtm": ("black", "--"),
    "elic": ("tab:purple", "-."),
    "hm": ("0.5", "--"),
    "av1": ("tab:green", "--"),
    "avif_measured": ("tab:olive", ":"),
    "jxl_measured": ("tab:cyan", ":"),
    "webp_measured": ("tab:orange", ":"),
    "jpeg_measured": ("tab:brown", ":"),
}
MOST_OF_RATES, MORE_DB = 1.3, 0.5  # how far beyond our points the picture goes
MOST_BYTES = 100.0  # percent more than Cool-chic's, at which the picture ends


def draw(
    picture: Path, here: Mapping[str, Curve], whole: Mapping[str, Curve], *, n_images: int
) -> None:
    """`here`: ours and Cool-chic's mean over `n_images`; `whole`: means over 24, Cool-chic's too.

    The second panel shows bytes beside Cool-chic's mean over the same images.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(14.0, 5.0), layout="constrained")
    others = {name: whole[name] for name in LINES if name in whole and name not in here}
    for name, curve in {**others, **here}.items():
        peer = here[PEER] if name in here else whole[PEER]
        color, style = LINES[name]
        label = f"{name}, {n_images if name in here else 24} images"
        rate, quality = np.array(sorted(curve)).T
        left.plot(rate, quality, style, color=color, label=label, markersize=5)
        change_panel(right, curve, peer, color=color, style=style)
    rate, quality = np.array(sorted(here[OURS])).T
    span = max(quality[-1] - quality[0], 1.0)
    left.set(xlabel="bits per pixel of the whole file", ylabel="PSNR, dB")
    left.set(xlim=(0.0, MOST_OF_RATES * rate[-1]))
    left.set(ylim=(quality[0] - 0.2 * span, quality[-1] + 0.2 * span))
    right.set(xlabel="PSNR, dB", ylabel=f"bytes beside {PEER} on the same images, %")
    right.set(xlim=(quality[0] - MORE_DB, quality[-1] + MORE_DB))
    right.set_ylim(bottom=None, top=min(right.get_ylim()[1], MOST_BYTES))
    for axes in (left, right):
        axes.grid(alpha=0.3)
    left.legend(loc="upper left", fontsize=8)
    figure.suptitle("Kodak: means over images", fontsize=11)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=100)
    plt.close(figure)


def change_panel(axes: Axes, curve: Curve, peer: Curve, *, color: str, style: str) -> None:
    """How many percent more bytes a curve takes at each quality that both have."""
    if len(curve) < 2 or len(peer) < 2:
        return
    (rate, quality), (peer_rate, peer_quality) = (np.array(sorted(c)).T for c in (curve, peer))
    low, high = max(quality[0], peer_quality[0]), min(quality[-1], peer_quality[-1])
    if low >= high or (np.diff(quality) <= 0).any():
        return
    at = np.linspace(low, high, 200)
    logs = PchipInterpolator(quality, np.log(rate))(at)
    logs -= PchipInterpolator(peer_quality, np.log(peer_rate))(at)
    axes.plot(at, 100.0 * np.expm1(logs), style.strip("os"), color=color)
