"""What every representation can do: fit, pack, unpack, render, cost. Knows no particular one.

A representation is a function of coordinates (or can be evaluated like one) with numbers that were
fitted to one signal. `codec.py` sees representations through this page only.
"""

from __future__ import annotations

import importlib
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from inrcodec.container import DecodeLimits
from inrcodec.errors import ConfigError, MissingExtraError
from inrcodec.signal import Signal, SignalSpec

__all__ = [
    "ERROR_AT_ONE_BIT",
    "ERROR_POWER",
    "Budget",
    "Cost",
    "FitGoal",
    "Piece",
    "Representation",
    "Step",
    "Tune",
    "Watch",
    "Window",
    "import_fit",
]


@dataclass(frozen=True, slots=True)
class Window:
    """`count` samples on one axis, of which the first is number `start` of `size` that span it.

    Sample i lies at (start + i + 0.5) / size of the axis. A size other than the coded one resamples
    it; a run of frames seen from within its group of a film may begin, and end, between samples.
    """

    size: float
    start: float
    count: int

    @staticmethod
    def whole(size: int) -> Window:
        """Every sample of an axis."""
        return Window(size, 0, size)

    @staticmethod
    def span(size: int, start: int, stop: int) -> Window:
        """The samples start <= i < stop of `size`."""
        return Window(size, start, stop - start)

    def finer(self, factor: int) -> Window:
        """The same stretch in `factor` times as many samples."""
        return Window(self.size * factor, self.start * factor, self.count * factor)

    def __len__(self) -> int:
        return self.count


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """How long a fit may run: until `iterations` are done, `deadline` has come, or it is cancelled.

    `deadline` is a value of time.monotonic(). `cancel` may be set from another thread or a signal
    handler.
    """

    iterations: int | None = None
    deadline: float | None = None
    cancel: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        if self.iterations is None and self.deadline is None:
            raise ConfigError("a budget needs iterations or seconds")
        if self.iterations is not None and self.iterations < 1:
            raise ConfigError(f"iterations {self.iterations} is not at least 1")

    @property
    def cancelled(self) -> bool:
        """Whether to stop now, with the best state so far."""
        return self.cancel.is_set()

    @property
    def seconds_left(self) -> float:
        """Seconds until the deadline; infinite without one, never negative."""
        return float("inf") if self.deadline is None else max(0.0, self.deadline - time.monotonic())


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """What a fit reports from time to time; `n_bytes` is NaN while it cannot be told."""

    iteration: int
    fraction: float
    psnr_db: float
    n_bytes: float
    seconds_left: float


Watch = Callable[[Step], None]


ERROR_AT_ONE_BIT, ERROR_POWER = 0.03, 0.65
"""Of the variance: measured on photographs with grids of features."""

Tune = Literal["mse", "ms-ssim"]
"""What a fit makes small."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FitGoal:
    """What a fit is to minimise: J = MSE + lam * bits per grid point, MSE on the [0, 1] scale.

    With `hold` "bytes" or "mse", lam is only where the fit begins: it then moves until the coded
    bytes, or the MSE, come to `held`. `n_bytes` is about how large the file should become: families
    size themselves by it. `weights` [*grid], 1 in the mean: what the squared errors of each point
    count in the MSE; None: all the same. With `tune` "ms-ssim", what stands for the MSE is
    1 - MS-SSIM in a unit that makes files about as large.
    """

    lam: float
    n_bytes: float
    seed: int = 0
    hold: Literal["lam", "bytes", "mse"] = "lam"
    held: float = 0.0
    weights: NDArray[np.float32] | None = field(default=None, compare=False)
    tune: Tune = "mse"


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What decoding costs and how many numbers are stored."""

    macs_per_point: float
    n_parameters: int


class Representation(ABC):
    """A fitted function of coordinates. One subclass per family, in the table beside this.

    `continuous`: whether it has values between its samples. `honours`: what its fit follows of that
    which a goal may ask for beside the usual; "roi" is weights, another a `tune`.
    """

    name: ClassVar[str]
    Config: ClassVar[type]
    sized_by_goal: ClassVar[bool] = True
    """Whether a fit has as many numbers as its goal's bytes call for."""
    holds_exactly: ClassVar[bool] = False
    """Whether a fit comes to what it is to hold, so that one that did need not be followed."""
    continuous: ClassVar[bool] = True
    honours: ClassVar[frozenset[str]] = frozenset()

    spec: SignalSpec

    @classmethod
    @abstractmethod
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
        """Fit to a signal. `start` is an earlier fit of the same signal to go on from.

        `base` is the function of the frames before these: the fit has its shape, and is to be
        stored as its difference to it. Ends early, with the best state so far, when the budget is
        cancelled.
        """

    @classmethod
    def expected_lam(
        cls, *, bits_per_point: float, mse: float | None, variance: float, n_points: int
    ) -> float:
        """The price of a bit at which a fit may come to so many bits, or to an error if given.

        Only where a search begins. `mse` and `variance`, of a signal around its means, on the
        [0, 1] scale. By default: the slope of mse = ERROR_AT_ONE_BIT variance bits^-ERROR_POWER.
        """
        slope = ERROR_POWER * ERROR_AT_ONE_BIT * bits_per_point ** (-1.0 - ERROR_POWER)
        return float(max(variance, 1e-9) * slope)

    @abstractmethod
    def pack(self) -> dict[int, bytes]:
        """Section id -> payload, in the order of the file: what `unpack` needs."""

    @classmethod
    @abstractmethod
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
        """The inverse of `pack`, exact to the last symbol. Raises BitstreamError only.

        `base`: as it was given to the fit. `salvage`: tiles that are damaged are no error, where a
        representation has tiles. `starts`: where the sections begin in the file, for messages.
        """

    @abstractmethod
    def render(self, windows: tuple[Window, ...]) -> NDArray[np.float32]:
        """Values [*lengths of the windows, channels] on the [0, 1] scale; one window per axis."""

    def pieces(self, windows: tuple[Window, ...]) -> Iterator[Piece]:
        """This function and what it is to render: all of it."""
        yield Piece(self, windows, slice(None))

    @abstractmethod
    def cost(self) -> Cost:
        """Multiplications per point to decode, and the count of stored numbers."""

    def sample(self, coords: NDArray[np.floating]) -> NDArray[np.float32]:
        """Values [n, channels] at coords [n, axes] in [0, 1], on the [0, 1] scale."""
        raise ConfigError(f"{self.name} cannot be evaluated between its samples")

    @property
    def n_tiles(self) -> int:
        """Parts that are coded apart; 1 where there are no tiles."""
        return 1

    def tile_name(self, number: int) -> str:
        """What such a part is called beside others: its number."""
        return str(number)

    def damaged_in(self, windows: tuple[Window, ...]) -> tuple[int, ...]:
        """The numbers of the tiles that windows touch and that cannot be decoded."""
        return ()

    @property
    @abstractmethod
    def symbols(self) -> tuple[NDArray[np.int64], ...]:
        """The coded integers, for checks that they survive a round trip exactly."""

    def runs(self) -> Iterator[NDArray[np.int64]]:
        """As `symbols`, one after another; a representation may hold no more than one at once."""
        yield from self.symbols

    @property
    @abstractmethod
    def lam(self) -> float | None:
        """The price of a bit at which its last fit ended, as in FitGoal; None after `unpack`."""

    @property
    @abstractmethod
    def iterations(self) -> int:
        """Iterations that its last fit took; 0 after `unpack`."""


def import_fit(module: str) -> Any:
    """A module that fits, and with it torch, whose idle threads are told to sleep.

    By default they spin, and a fit on a machine with other work to do slows down tenfold. Raises
    MissingExtraError.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read once, when torch is loaded
    try:
        return importlib.import_module(module)
    except ImportError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError("encoding", extra="fit") from None


class Piece(NamedTuple):
    """A function, the windows in which to render it, and where on the first axis these lie."""

    function: Representation
    windows: tuple[Window, ...]
    where: slice
