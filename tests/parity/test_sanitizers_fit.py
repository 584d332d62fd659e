"""Fits of latent grids under AddressSanitizer and UndefinedBehaviorSanitizer; hostile files too."""

from __future__ import annotations

import platform
import struct
from typing import Any

import numpy as np
import pytest

from inrcodec.kernels import LatentShape
from inrcodec.kernels.native import native_shape
from inrcodec.kernels.pyramid import FEATURE_LEVELS

REFUSED = 3
INSTRUCTION_SETS = 3 if platform.machine() in ("x86_64", "AMD64") else 1


def assert_refused(driver: Any, data: bytes) -> None:
    code, message = driver.outcome(data)
    assert code == REFUSED, message
    assert message.count("\n") == 1
    assert ", got " in message or " must " in message


def fit_bytes(op: int, shape: LatentShape, instruction_set: int = 0, noise: float = 1.0) -> bytes:
    """A call on latent grids in the driver's layout, with numbers at random."""
    grids, neighbours, widths = native_shape(shape)
    fields = (op, 2, instruction_set, len(shape.grids), len(shape.neighbours), *widths)
    data = struct.pack("<4s9B", b"INRF", *fields) + np.array(grids, "<u4").tobytes()
    data += np.array(neighbours, "i1").tobytes()
    n_cost = sum(w.size for w in shape.weights[: 7 + 2 * FEATURE_LEVELS])
    n_pixels = shape.channels * shape.height * shape.width
    sizes = {0: [n_cost], 1: [shape.n_weights - n_cost], 3: [shape.n_latents]}
    sizes[2] = [*sizes[1], n_pixels]
    rng = np.random.default_rng(op)
    arrays = [rng.standard_normal(n, dtype=np.float32) for n in (shape.n_latents, *sizes[op])]
    arrays[0] *= np.float32(noise)
    return data + b"".join(array.tobytes() for array in arrays)


@pytest.mark.parametrize("op", range(4))
@pytest.mark.parametrize("extent", [(1, 1), (1, 9), (7, 1), (23, 300)], ids=str)
def test_valid_calls_on_latents_run_clean(driver: Any, extent: Any, op: int) -> None:
    shape = LatentShape(*extent, 3, 2, 5, 1)
    result = driver.folder / "result"
    for instruction_set in range(INSTRUCTION_SETS):
        code, message = driver.outcome(fit_bytes(op, shape, instruction_set), result)
        if code == REFUSED and "instruction set must exist" in message:
            continue  # this machine lacks it
        assert (code, message) == (0, "")
        assert np.isfinite(np.frombuffer(result.read_bytes(), "<f4")).all()


@pytest.mark.parametrize("noise", [1e30, np.inf, np.nan])
@pytest.mark.parametrize("op", range(4))
def test_latents_that_are_not_finite_run_clean(driver: Any, op: int, noise: float) -> None:
    data = fit_bytes(op, LatentShape(20, 33, 4, 0, 6, 2), noise=noise)
    assert driver.outcome(data) == (0, "")


@pytest.mark.parametrize(
    ("at", "patch"),
    [
        (4, b"\x04"),  # op
        (5, b"\x00"),  # threads
        (7, b"\x00"),  # grids
        (7, b"\x21"),
        (8, b"\x00"),  # neighbours
        (8, b"\x21"),
        (9, b"\x00"),  # widths
        (10, b"\xff"),
        (11, b"\x05"),
        (12, b"\x11"),
        (13, struct.pack("<I", 0)),  # grids
        (13, struct.pack("<I", 3)),
        (21, struct.pack("<I", 2)),
        (25, struct.pack("<I", 1)),
        (13 + 5 * 16, b"\xff\xff\xff\xff"),
        (13 + 6 * 16, b"\x00\x00"),  # neighbours
        (13 + 6 * 16, b"\xfc\x00"),
        (13 + 6 * 16, b"\x00\xfb"),
    ],
)
def test_hostile_calls_on_latents_are_refused(driver: Any, at: int, patch: bytes) -> None:
    shape = LatentShape(20, 33, 3, 1, 5, 1)
    assert len(shape.grids) == 6
    data = fit_bytes(2, shape)
    assert_refused(driver, data[:at] + patch + data[at + len(patch) :])
    assert_refused(driver, data[:-1])
