"""CoordinateRepresentation: what all coordinate networks share, around the formula of each.

A family states its `Config`, its `Network` and the `Recipe` of its fit, and how large a network a
goal calls for; everything else is here.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from inrcodec import kernels
from inrcodec.container import DecodeLimits
from inrcodec.errors import ConfigError, SignalError
from inrcodec.representations.base import (
    Budget,
    Cost,
    FitGoal,
    Representation,
    Watch,
    Window,
    import_fit,
)
from inrcodec.representations.coordinate.coords import axis_coords, point_coords
from inrcodec.representations.coordinate.network import Network
from inrcodec.representations.coordinate.pack import Packed
from inrcodec.representations.coordinate.points import FitData, SampleTargets
from inrcodec.representations.coordinate.recipe import Recipe
from inrcodec.representations.output import OutputScale, blocks_of
from inrcodec.signal import Signal, SignalSpec

if TYPE_CHECKING:
    from inrcodec.representations.coordinate.fit import Fitted

__all__ = ["CoordinateRepresentation"]

_PART_POINTS = 1 << 14


@dataclass(frozen=True, slots=True)
class CoordinateRepresentation(Representation):
    """A network of coordinates, fitted to a signal and stored as integers."""

    network_family: ClassVar[type[Network]]
    recipe: ClassVar[Recipe]

    spec: SignalSpec
    packed: Packed
    fitted: Fitted | None = None

    @classmethod
    @abstractmethod
    def network_for(cls, config: object, spec: SignalSpec, goal: FitGoal) -> Network:
        """The network that a goal calls for; fields that `config` states are obeyed."""

    @classmethod
    def fit(
        cls,
        signal: Signal,
        config: object,
        goal: FitGoal,
        budget: Budget,
        *,
        start: Self | None = None,
        base: Self | None = None,
        watch: Watch | None = None,
    ) -> Self:
        """Fit to a signal; `start` and `base` keep their network.

        Raises ConfigError, SignalError.
        """
        fit = import_fit("inrcodec.representations.coordinate.fit")
        spec = signal.spec
        if len(spec.grid) > 4:
            raise SignalError(f"{cls.name} takes 1 to 4 axes, got {len(spec.grid)}")
        if not isinstance(config, cls.Config):
            raise ConfigError(f"{cls.name} takes a {cls.Config.__name__}, got {config!r}")
        given, before = start or base, None if base is None else base.packed.alone()
        network = cls.network_for(config, spec, goal) if given is None else given.packed.network
        _check_within_limits(network, spec)
        output = OutputScale.of_blocks(blocks_of(signal)) if given is None else given.packed.output
        targets = SampleTargets(signal, output)
        data = FitData(grid=spec.grid, targets=targets, mse_scale=output.factor**2)
        earlier = None if start is None else start.fitted
        fitted = fit.fit_network(
            network,
            data,
            goal,
            budget,
            recipe=cls.recipe,
            start=earlier,
            base=None if before is None else before.as_base(),
            watch=watch,
        )
        packed = Packed(network, output, fitted.step_indices, fitted.symbols, before)
        return cls(spec, packed, fitted)

    def pack(self) -> dict[int, bytes]:
        """MODEL and SYMBOLS."""
        return self.packed.to_sections()

    @classmethod
    def unpack(
        cls,
        sections: Mapping[int, bytes],
        spec: SignalSpec,
        limits: DecodeLimits,
        *,
        base: Self | None = None,
        salvage: bool = False,
        starts: Mapping[int, int] | None = None,
    ) -> Self:
        """The inverse of `pack`. Raises BitstreamError."""
        before = None if base is None else base.packed.alone()
        packed = Packed.from_sections(sections, cls.network_family, spec, limits, base=before)
        return cls(spec, packed)

    def render(self, windows: tuple[Window, ...]) -> NDArray[np.float32]:
        """Values [*grid, channels] on the [0, 1] scale, evaluated in parts on all cores."""
        axes = tuple(axis_coords(window) for window in windows)
        shape = tuple(len(axis) for axis in axes)
        samples = np.empty((int(np.prod(shape)), self.spec.channels), dtype=np.float32)
        values = self._values()

        def fill(begin: int) -> None:
            end = min(begin + _PART_POINTS, len(samples))
            samples[begin:end] = self._evaluate(values, point_coords(axes, np.arange(begin, end)))

        with ThreadPoolExecutor(kernels.threads()) as pool:
            list(pool.map(fill, range(0, len(samples), _PART_POINTS)))
        return samples.reshape(*shape, self.spec.channels)

    def sample(self, coords: NDArray[np.floating]) -> NDArray[np.float32]:
        """Values [n, channels] at coords [n, axes] in [0, 1], on the [0, 1] scale."""
        if coords.ndim != 2 or coords.shape[1] != len(self.spec.grid):
            raise ConfigError(f"coords {coords.shape} are not [n, {len(self.spec.grid)}]")
        points = np.ascontiguousarray(coords, dtype=np.float32)
        return self._evaluate(self._values(), points)

    def _values(self) -> NDArray[np.float32]:
        """Those of all tensors, as the network takes them."""
        return np.concatenate([tensor.reshape(-1) for tensor in self.packed.tensors()])

    def _evaluate(
        self, values: NDArray[np.float32], points: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Samples at points; a stream may hold weights whose sums pass the range of float32."""
        with np.errstate(over="ignore", invalid="ignore"):
            outputs = self.packed.network.apply(values, points)
            return self.packed.output.to_values(outputs)

    def cost(self) -> Cost:
        """Multiplications per point to decode, and the count of stored numbers."""
        network = self.packed.network
        return Cost(macs_per_point=network.macs_per_point(), n_parameters=network.n_parameters)

    @property
    def lam(self) -> float | None:
        """The price of a bit at which its fit ended; None after `unpack`."""
        return None if self.fitted is None else self.fitted.lam

    @property
    def iterations(self) -> int:
        """Iterations that its fit took; 0 after `unpack`."""
        return 0 if self.fitted is None else self.fitted.iterations

    @property
    def symbols(self) -> tuple[NDArray[np.int64], ...]:
        """The coded integers, tensor by tensor."""
        return self.packed.symbols


def _check_within_limits(network: Network, spec: SignalSpec) -> None:
    """Raise ConfigError if a decoder with the default limits would refuse the network."""
    limits, macs = DecodeLimits(), network.macs_per_point() * spec.n_points
    if network.n_parameters > limits.max_parameters:
        raise ConfigError(
            f"{network.n_parameters} parameters are over a decoder's {limits.max_parameters}"
        )
    if macs > limits.max_macs:
        raise ConfigError(
            f"{macs:.3g} multiplications are over a decoder's {float(limits.max_macs):.3g}"
        )
