"""What an encode is asked for: a model, a target in users' terms, a budget; checked, not obeyed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from inrcodec import presets
from inrcodec.errors import ConfigError, SignalError
from inrcodec.representations import NAMES, by_name
from inrcodec.representations.base import Representation, Tune
from inrcodec.representations.latentgrid.config import MAX_CHANNELS
from inrcodec.signal import Kind, SignalSpec

__all__ = ["EncodeRequest", "Measure", "Target", "clamped"]

Measure = Literal["quality", "lambda", "size", "bpp", "psnr", "kbps", "snr"]

_RANGES: dict[str, tuple[float, float]] = {
    "quality": (0.0, 100.0),
    "lambda": (1e-12, 1e3),
    "size": (64.0, 2.0**30),
    "bpp": (1e-4, 256.0),
    "psnr": (1.0, 120.0),
    "kbps": (0.01, 1e5),
    "snr": (0.1, 120.0),
}
_PRESET = "medium"
_LEAST_WEIGHT = 1.0 / 16.0  # of an error where a mask is black


@dataclass(frozen=True, slots=True)
class Target:
    """What the file is to reach: one measure and its value.

    quality 0 to 100; lambda in mean square error per bit per point; size in bytes; bpp in bits per
    point; psnr and snr in dB; kbps in 1000 bits per second. Raises ConfigError off range.
    """

    measure: Measure = "quality"
    value: float = 75.0

    def __post_init__(self) -> None:
        if self.measure not in get_args(Measure):
            raise ConfigError(f"target '{self.measure}' is not one of {get_args(Measure)}")
        low, high = _RANGES[self.measure]
        if not low <= self.value <= high:
            raise ConfigError(f"{self.measure} {self.value:g} is not in [{low:g}, {high:g}]")


def clamped(measure: Measure, value: float) -> float:
    """The value, moved into the range of a measure."""
    low, high = _RANGES[measure]
    return min(max(value, low), high)


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodeRequest:
    """Everything that decides a file beside the signal.

    `seconds`: wall time of the whole command; `iterations`: of all fits together, by number or by
    `preset`; whichever is spent first ends the work. Neither: the preset "medium". Of a film the
    iterations are those of each group of `group_frames` frames (None: chosen by their size).
    `options`: fields of the model's Config; `tables`: those of one model, by its name, that win
    over them. `tune`: what is made small. `roi` [*grid]: where errors matter, from 0 to 1. Raises
    ConfigError for iterations beside a preset, and for a `roi` beside a `tune` other than "mse".
    """

    model: str = "auto"
    target: Target = field(default_factory=Target)
    preset: str | None = None
    seconds: float | None = None
    iterations: int | None = None
    seed: int = 0
    group_frames: int | None = None
    verify: bool = True
    options: Mapping[str, object] = field(default_factory=dict)
    tables: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    roi: NDArray[np.float32] | None = field(default=None, compare=False)
    tune: Tune = "mse"

    def __post_init__(self) -> None:
        if self.tune not in get_args(Tune):
            raise ConfigError(f"tune '{self.tune}' is not one of {', '.join(get_args(Tune))}")
        if self.roi is not None and self.tune != "mse":
            raise ConfigError(f"roi and tune {self.tune} contradict each other")
        if self.preset is not None:
            presets.by_name(self.preset)
            if self.iterations is not None:
                raise ConfigError(
                    f"preset {self.preset} and iterations {self.iterations} contradict each other"
                )
        if self.model != "auto":
            by_name(self.model)
        if self.seconds is not None and not 0.0 < self.seconds < 1e7:
            raise ConfigError(f"time {self.seconds:g} s is not in (0, 1e7)")
        if self.iterations is not None and not 1 <= self.iterations <= 10**9:
            raise ConfigError(f"iterations {self.iterations} is not in [1, 1e9]")
        if self.group_frames is not None and not 1 <= self.group_frames <= 1024:
            raise ConfigError(f"group of {self.group_frames} frames is not in [1, 1024]")
        if not 0 <= self.seed < 1 << 63:
            raise ConfigError(f"seed {self.seed} is not in [0, 2^63 - 1]")

    @property
    def iteration_limit(self) -> int | None:
        """Iterations of all fits together; None if time alone ends the work."""
        if self.iterations is not None:
            return self.iterations
        if self.preset is None and self.seconds is not None:
            return None
        return presets.by_name(self.preset or _PRESET).iterations

    def representation(self, spec: SignalSpec) -> type[Representation]:
        """The representation that `model` stands for, of a signal of this kind.

        Raises ConfigError for one that cannot honour all that is asked for.
        """
        representation = by_name(_auto(spec) if self.model == "auto" else self.model)
        for wish in self._wishes - representation.honours:
            others = [name for name in NAMES if wish in by_name(name).honours]
            raise ConfigError(f"{wish} is for {', '.join(others)}, not for {representation.name}")
        return representation

    @property
    def _wishes(self) -> frozenset[str]:
        """What not every representation can honour."""
        regions = set() if self.roi is None else {"roi"}
        return frozenset(regions | ({self.tune} - {"mse"}))

    def weights(self, spec: SignalSpec) -> NDArray[np.float32] | None:
        """What the errors of each point [*grid] count: 1/16 and 15/16 of `roi`, made 1 in the mean.

        Raises SignalError for a `roi` of another size.
        """
        if self.roi is None:
            return None
        if self.roi.shape != spec.grid:
            sizes = (" x ".join(map(str, reversed(s))) for s in (self.roi.shape, spec.grid))
            raise SignalError("roi of {} pixels for an image of {}".format(*sizes))
        weights = _LEAST_WEIGHT + (1.0 - _LEAST_WEIGHT) * self.roi
        weights *= np.float32(1.0 / weights.mean(dtype=np.float64))
        return weights

    def config(self, spec: SignalSpec) -> object:
        """The representation's Config with the options. Raises ConfigError for unknown ones."""
        representation = self.representation(spec)
        options = {**self.options, **self.tables.get(representation.name, {})}
        try:
            return representation.Config(**options)
        except TypeError:
            raise ConfigError(
                f"{representation.name} does not take all of {', '.join(options)}"
            ) from None


def _auto(spec: SignalSpec) -> str:
    """The model that makes the smallest files of such a signal."""
    if spec.kind is Kind.AUDIO:
        return "cosine"
    is_picture = spec.kind is Kind.IMAGE and spec.channels <= MAX_CHANNELS
    return "latentgrid" if is_picture else "hashgrid"
