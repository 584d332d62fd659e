"""A network and what it is fitted to, on the CPU, or on a GPU if one is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from inrcodec import kernels
from inrcodec.representations.coordinate.network import Network
from inrcodec.representations.coordinate.points import FitData

__all__ = ["NetworkRun"]

_PART_POINTS = 1 << 13


class NetworkRun:
    """The error of a network with `weights` [n_parameters], which are read anew at each call."""

    def __init__(self, network: Network, data: FitData, weights: NDArray[np.float32]) -> None:
        self._network, self._data, self._weights = network, data, weights
        has_grid = network.has_grid
        is_asked_for = kernels.gpu_is_asked_for(grid=has_grid)
        self._device = kernels.device(grid=has_grid) if is_asked_for else "cpu"

    def descent(self, points: NDArray[np.int64]) -> tuple[float, NDArray[np.float32]]:
        """The mean square error at points [n], by index, and its gradient by the weights."""
        arrays = (self._weights, *self._data.at(points))
        mse, gradient = self._network.descent(*map(self._at_home, arrays))
        return mse, _as_numpy(gradient)

    def error(self, points: NDArray[np.int64]) -> float:
        """The mean square error at any number of points, some at a time."""
        weights, total = self._at_home(self._weights), 0.0
        for at in range(0, len(points), _PART_POINTS):
            coords, targets = self._data.at(points[at : at + _PART_POINTS])
            errors = _as_numpy(self._network.apply(weights, self._at_home(coords))) - targets
            total += float(np.vdot(errors, errors)) / errors.shape[1]
        return total / len(points)

    def _at_home(self, array: NDArray[np.float32]) -> Any:
        """The array as what runs the network likes it best, on a GPU a copy."""
        if self._device == "cpu" and kernels.uses_native():
            return array
        return torch.from_numpy(array).to(self._device)


def _as_numpy(array: Any) -> NDArray[np.float32]:
    plain: NDArray[np.float32] = array if isinstance(array, np.ndarray) else array.cpu().numpy()
    return plain
