"""Native code under AddressSanitizer and UndefinedBehaviorSanitizer, on good and hostile files."""

from __future__ import annotations

import platform
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inrcodec.kernels import (
    AdamStep,
    GridGeometry,
    Quantizer,
    reference,
    reference_quantize,
)

FORWARD, TABLE_GRADIENT, COORDS_GRADIENT = range(3)
ALONG = 3  # added to each: along a direction
GEOMETRY = GridGeometry(2, 4, 2, log2_table_size=6, base_resolution=3, growth=1.71875)
HEADER_BYTES = 15
SHAPE_BYTES = (2 * 2 + 1) * 4 * 4  # scales, resolutions, sizes of GEOMETRY
INTERPOLATIONS = ("linear", "smoothstep", "nearest", "kuhn", "simplex")
REFUSED = 3
INSTRUCTION_SETS = 3 if platform.machine() in ("x86_64", "AMD64") else 1


def call_bytes(
    op: int, geometry: GridGeometry, arrays: list[NDArray[np.float32]], instruction_set: int = 0
) -> bytes:
    """A call in the driver's layout: header, shape of the grid, arrays (coords first)."""
    interpolation, scales, resolutions, sizes = geometry.shape
    fields = (op, 2, instruction_set, geometry.n_dims, geometry.n_features, geometry.n_levels)
    number = INTERPOLATIONS.index(interpolation)
    header = struct.pack("<4s6BIB", b"INRK", *fields, len(arrays[0]), number)
    assert len(header) == HEADER_BYTES
    integers = np.array([*resolutions, *sizes], "<u4").tobytes()
    return header + np.array(scales, "<f4").tobytes() + integers + b"".join(map(bytes, arrays))


def case(geometry: GridGeometry, n_points: int) -> list[NDArray[np.float32]]:
    """Coords, table, gradient; some coords outside [0, 1] and not finite."""
    rng = np.random.default_rng(3)
    coords = rng.random((n_points, geometry.n_dims), dtype=np.float32)
    coords[::7] *= 1e30
    coords[::11] = np.nan
    coords[::13] = -np.inf
    table = rng.standard_normal((geometry.n_entries, geometry.n_features), dtype=np.float32)
    return [coords, table, rng.standard_normal((n_points, geometry.n_outputs), dtype=np.float32)]


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("n_features", [1, 2, 4, 8])
@pytest.mark.parametrize("n_dims", [1, 2, 3, 4])
def test_valid_calls_run_clean_and_right(
    driver: Any, n_dims: int, n_features: int, interpolation: Any
) -> None:
    extents = (4096, 3000, 4096, 1500)[:n_dims]
    geometry = GridGeometry(n_dims, 4, n_features, 8, 3, 1.71875, interpolation, extents)
    coords, table, gradient = case(geometry, 133)
    direction = np.random.default_rng(4).standard_normal(coords.shape, dtype=np.float32)
    calls = {}
    for first, way in ((0, None), (ALONG, direction)):
        last = [] if way is None else [way]
        calls[first + FORWARD] = (
            [coords, table, *last],
            reference.grid_encode(coords, table, geometry, direction=way),
        )
        calls[first + TABLE_GRADIENT] = (
            [coords, gradient, *last],
            reference.grid_encode_table_gradient(gradient, coords, geometry, direction=way),
        )
        calls[first + COORDS_GRADIENT] = (
            [coords, table, gradient, *last],
            reference.grid_encode_coords_gradient(gradient, coords, table, geometry, direction=way),
        )
    result = driver.folder / "result"
    for op, (arrays, expected) in calls.items():
        for instruction_set in range(INSTRUCTION_SETS):
            data = call_bytes(op, geometry, arrays, instruction_set)
            code, message = driver.outcome(data, result)
            if code == REFUSED and "instruction set must exist" in message:
                continue  # this machine lacks it
            assert (code, message) == (0, "")
            got = np.frombuffer(result.read_bytes(), "<f4").reshape(expected.shape)
            np.testing.assert_allclose(got, expected, rtol=0, atol=3e-6 * np.abs(expected).max())


def test_many_points_on_several_threads_run_clean(driver: Any) -> None:
    coords, _, gradient = case(GEOMETRY, 20000)
    data = call_bytes(TABLE_GRADIENT, GEOMETRY, [coords, gradient])
    assert driver.outcome(data) == (0, "")


def test_no_points_run_clean(driver: Any) -> None:
    coords, table, gradient = case(GEOMETRY, 0)
    assert driver.outcome(call_bytes(FORWARD, GEOMETRY, [coords, table])) == (0, "")
    assert driver.outcome(call_bytes(TABLE_GRADIENT, GEOMETRY, [coords, gradient])) == (0, "")


def quantize_bytes(
    op: int, quantizer: Quantizer, arrays: dict[str, Any], instruction_set: int = 0
) -> bytes:
    """A call of the quantizer in the driver's layout."""
    n_tensors, rounding = len(quantizer.sizes), ["free", "noisy", "hard"].index(quantizer.rounding)
    fields = (op, 2, instruction_set, rounding, "base" in arrays, n_tensors)
    data = struct.pack("<4s6B", b"INRQ", *fields) + np.array(quantizer.sizes, "<u4").tobytes()
    data += np.array([*quantizer.rates, *quantizer.steps], "<f4").tobytes()
    data += np.array(quantizer.keys, "<u4").tobytes() + arrays["units"].tobytes()
    data += arrays["base"].tobytes() if "base" in arrays else b""
    if op == 0:
        return data
    return data + b"".join(
        arrays[name].tobytes() for name in ("gradient", "mean", "square", "slopes")
    )


def quantize_case(rounding: Any, *, has_base: bool) -> tuple[Quantizer, dict[str, Any]]:
    """Three tensors, of no, one and several blocks of the kernels, and all arrays of both calls."""
    quantizer = Quantizer((3, 256, 700), (0.5, 1.0, 0.25), (0.125, 0.5, 2.0), rounding, seed=5)
    rng = np.random.default_rng(3)
    arrays: dict[str, Any] = {
        name: rng.standard_normal(quantizer.n_values, dtype=np.float32)
        for name in ("units", "gradient", "mean", "square")
    }
    arrays["square"] **= 2
    arrays["slopes"] = rng.standard_normal((3, 4), dtype=np.float32)
    if has_base:
        arrays["base"] = np.rint(arrays["mean"] * 3)
    return quantizer, arrays


def quantize_results(quantizer: Quantizer, arrays: dict[str, Any]) -> list[NDArray[np.float32]]:
    """What the driver has to write for each op."""
    weights, base = np.empty_like(arrays["units"]), arrays.get("base")
    sums = reference_quantize.quantize_forward(
        arrays["units"], quantizer, base=base, weights=weights
    )
    state = (arrays["units"].copy(), arrays["mean"].copy(), arrays["square"].copy())
    derivatives = reference_quantize.quantize_step(
        arrays["gradient"],
        state,
        quantizer,
        slopes=arrays["slopes"].astype(np.float64),
        adam=AdamStep(0.25, 0.5, 0.75, 1e-15, 2),
        base=base,
    )
    return [np.concatenate([weights, sums.ravel()]), np.concatenate([*state, derivatives.ravel()])]


@pytest.mark.parametrize("has_base", [True, False])
@pytest.mark.parametrize("rounding", ["free", "noisy", "hard"])
def test_valid_calls_of_the_quantizer_run_clean_and_right(
    driver: Any, rounding: str, has_base: bool
) -> None:
    quantizer, arrays = quantize_case(rounding, has_base=has_base)
    result = driver.folder / "result"
    for op, expected in enumerate(quantize_results(quantizer, arrays)):
        for instruction_set in range(INSTRUCTION_SETS):
            data = quantize_bytes(op, quantizer, arrays, instruction_set)
            code, message = driver.outcome(data, result)
            if code == REFUSED and "instruction set must exist" in message:
                continue  # this machine lacks it
            assert (code, message) == (0, "")
            got = np.frombuffer(result.read_bytes(), "<f4")
            np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


def test_values_that_are_not_finite_are_quantized_clean(driver: Any) -> None:
    quantizer, arrays = quantize_case("hard", has_base=True)
    arrays["units"][::7], arrays["units"][::11], arrays["gradient"][::13] = 1e30, np.nan, np.inf
    for op in (0, 1):
        assert driver.outcome(quantize_bytes(op, quantizer, arrays)) == (0, "")


@pytest.mark.parametrize(
    ("at", "patch"),
    [
        (4, b"\x02"),  # op
        (5, b"\x00"),  # threads
        (7, b"\x03"),  # rounding
        (8, b"\x00"),  # has base
        (9, b"\x04"),  # tensors
        (10, struct.pack("<I", 0)),  # sizes
        (10, b"\xff\xff\xff\xff"),
        (22, struct.pack("<f", 0.0)),  # rates
        (34, struct.pack("<f", float("nan"))),  # steps
    ],
)
def test_hostile_calls_of_the_quantizer_are_refused(driver: Any, at: int, patch: bytes) -> None:
    data = quantize_bytes(1, *quantize_case("noisy", has_base=True))
    assert_refused(driver, data[:at] + patch + data[at + len(patch) :])
    assert_refused(driver, data[:-1])


def assert_refused(driver: Any, data: bytes) -> None:
    code, message = driver.outcome(data)
    assert code == REFUSED, message
    assert message.count("\n") == 1
    assert ", got " in message or " must " in message


def test_every_truncation_is_refused(driver: Any) -> None:
    data = call_bytes(FORWARD, GEOMETRY, case(GEOMETRY, 3)[:2])
    lengths = [*range(HEADER_BYTES + SHAPE_BYTES + 5), len(data) - 4, len(data) - 1]
    for length in lengths:
        assert_refused(driver, data[:length])
    assert_refused(driver, data + b"\0")


@pytest.mark.parametrize(
    ("at", "patch"),
    [
        (0, b"INRX"),
        (4, b"\x06"),  # op
        (5, b"\x00"),  # threads
        (6, b"\xff"),  # instruction set
        (7, b"\x00"),  # dims
        (7, b"\x05"),
        (8, b"\x03"),  # features
        (9, b"\x00"),  # levels
        (9, b"\x21"),
        (10, b"\xff\xff\xff\xff"),  # points
        (14, b"\x05"),  # interpolation
        (15, struct.pack("<f", float("nan"))),  # scales
        (15, struct.pack("<f", -1.0)),
        (15, struct.pack("<f", 100.0)),
        (15, struct.pack("<f", 1e30)),
        (47, struct.pack("<I", 0)),  # resolutions
        (47, b"\xff\xff\xff\xff"),
        (79, struct.pack("<I", 0)),  # sizes
        (79, struct.pack("<I", 7)),
        (79, b"\xff\xff\xff\xff"),
        (79, struct.pack("<I", 1 << 24)),
    ],
)
def test_hostile_fields_are_refused(driver: Any, at: int, patch: bytes) -> None:
    data = call_bytes(TABLE_GRADIENT, GEOMETRY, case(GEOMETRY, 3)[::2])
    assert_refused(driver, data[:at] + patch + data[at + len(patch) :])


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_random_changes_run_or_are_refused(driver: Any, interpolation: Any) -> None:
    rng = np.random.default_rng(5)
    geometry = replace(GEOMETRY, interpolation=interpolation)
    for _ in range(100):
        op, is_along = int(rng.integers(3)), bool(rng.integers(2))
        coords, table, gradient = case(geometry, 3)
        arrays = [coords, *([table] if op != TABLE_GRADIENT else [])]
        arrays += [gradient] if op != FORWARD else []
        arrays += [np.ones_like(coords)] if is_along else []
        data = bytearray(call_bytes(op + ALONG * is_along, geometry, arrays))
        for _ in range(int(rng.integers(1, 4))):
            at = int(rng.integers(4, HEADER_BYTES + SHAPE_BYTES))
            data[at] = int(rng.integers(256))
        code, message = driver.outcome(bytes(data))
        assert code in (0, REFUSED), message
