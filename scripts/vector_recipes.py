"""What the golden streams hold: a signal and a network each. Used by make_vectors.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from vector_latents import latent_signals
from vector_signals import arrays, films, signals, solid
from vector_sounds import heard_signals, sound_signals

from inrcodec import codec
from inrcodec.container import ByteReader, Group
from inrcodec.representations import by_name
from inrcodec.representations.base import Budget, FitGoal, Tune
from inrcodec.signal import Kind, Signal

__all__ = ["Recipe", "recipes"]

ITERATIONS = 150


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One valid stream: its signal, and the network that is fitted to it."""

    name: str
    signal: Signal
    options: Mapping[str, object] = field(default_factory=dict)
    lam: float = 1e-6
    tune: Tune = "mse"

    def encode(self) -> bytes:
        """The stream; the name begins with that of its representation."""
        representation = by_name(self.name.partition("_")[0])
        config = representation.Config(**self.options)
        goal = FitGoal(lam=self.lam, n_bytes=600.0, seed=1, tune=self.tune)
        encode = partial(
            codec.encode,
            representation=representation,
            config=config,
            goal=goal,
            budget=Budget(iterations=ITERATIONS),
        )
        if self.signal.spec.kind is not Kind.VIDEO:
            return encode(self.signal).data
        first = encode(self.signal.cut(0, 2))
        second = encode(self.signal.cut(2, self.signal.spec.grid[0]), base=first.unpacked)
        groups = tuple(Group.read(ByteReader(one.data)) for one in (first, second))
        return replace(codec.frame_of(self.signal, representation), groups=groups).to_bytes()


def recipes() -> Iterator[Recipe]:
    """Each kind of signal in each family, and the corners of both."""
    for name, (signal, options) in latent_signals().items():
        yield Recipe(name=f"latentgrid_{name}", signal=signal, options=options, lam=1e-3)
    for name, (signal, options) in sound_signals().items():
        yield Recipe(name=f"cosine_{name}", signal=signal, options=options, lam=1e-5)
    for name, (signal, options) in heard_signals().items():
        heard = Recipe(name=f"cosine_{name}", signal=signal, options=options, lam=1e-4)
        yield replace(heard, tune="perceptual")
    small: dict[str, dict[str, object]] = {
        "siren": {"width": 8, "depth": 2},
        "hashgrid": {"levels": 4, "finest_resolution": 16},
        "spder": {"width": 8, "depth": 2},
    }
    few, coarse = {"levels": 3, "finest_resolution": 12}, {"levels": 2, "finest_resolution": 7}
    usual = signals()
    for model, options in small.items():
        for name, signal in usual.items():
            yield Recipe(name=f"{model}_{name}", signal=signal, options=options)
    one_pixel = Signal.image(np.array([[200]], np.uint8))
    one_sample = Signal.audio(np.array([0.25], np.float16), 8000)
    hashed = {"levels": 3, "log2_table_size": 5, "features": 2, "growth": 1.5}
    sine = {"width": 4, "depth": 1, "frequencies": 0}
    film, uneven = films()
    wide, array = Signal.image(solid(4, 40)), arrays()["array4"]
    yield Recipe(name="siren_1x1", signal=one_pixel, options=sine)
    for name, values in arrays().items():
        yield Recipe(name=f"siren_{name}", signal=values, options=small["siren"])
    for damping in ("sqrt", "arctan", "log"):
        options = small["spder"] | {"damping": damping, "frequencies": 0}
        yield Recipe(name=f"spder_{damping}", signal=array, options=options)
    yield Recipe(name="hashgrid_one_sample", signal=one_sample, options={"levels": 1})
    yield Recipe(name="hashgrid_hashed", signal=usual["rgb8"], options=hashed)
    yield Recipe(name="hashgrid_video", signal=film, options=coarse)
    yield Recipe(name="siren_video_uneven", signal=uneven, options=small["siren"])
    yield Recipe(name="spder_video", signal=film, options=small["spder"])
    yield Recipe(name="hashgrid_array_mask", signal=arrays()["array_float64_mask"], options=coarse)
    yield Recipe(name="simplexgrid_rgb8", signal=usual["rgb8"], options=few)
    yield Recipe(name="simplexgrid_skewed", signal=usual["rgb8"], options=few | {"skewed": True})
    yield Recipe(name="simplexgrid_mono16", signal=usual["mono16"], options=few)
    yield Recipe(name="simplexgrid_wide", signal=wide, options=few)
    yield Recipe(name="simplexgrid_wide_skewed", signal=wide, options=few | {"skewed": True})
    yield Recipe(name="simplexgrid_video", signal=film, options=coarse)
    yield Recipe(name="simplexgrid_hashed", signal=film, options=hashed)
    yield Recipe(name="simplexgrid_hashed_skewed", signal=film, options=hashed | {"skewed": True})
    four = {"levels": 1, "finest_resolution": 4, "skewed": True}
    yield Recipe(name="simplexgrid_array4", signal=array, options=four)
