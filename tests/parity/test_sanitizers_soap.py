"""SOAP under AddressSanitizer and UndefinedBehaviorSanitizer, by one thread and by a team."""

from __future__ import annotations

import platform
import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inrcodec.kernels import Soap, reference_soap

REFUSED = 3
INSTRUCTION_SETS = 3 if platform.machine() in ("x86_64", "AMD64") else 1
SOAP = Soap(((9, 7), (5,), (2, 3, 3, 3), (0, 4), (258, 2)), (0.5, 0.0, 0.25, 0.0, 0.0))
Floats = NDArray[np.float32]


def soap_bytes(
    arrays: tuple[Floats, Floats, Floats], count: int, *, team: int = 0, instruction_set: int = 0
) -> bytes:
    """A step in the driver's layout, by one thread, or by a team of so many."""
    fields = (team > 0, max(team, 1), instruction_set, len(SOAP.shapes))
    data = struct.pack("<4s4B", b"INRS", *fields) + bytes(map(len, SOAP.shapes))
    data += np.array([n for shape in SOAP.shapes for n in shape], "<u4").tobytes()
    data += np.array(SOAP.decays, "<f4").tobytes() + struct.pack("<fI", 0.125, count)
    return data + b"".join(array.tobytes() for array in arrays)


def case(count: int) -> tuple[Floats, Floats, Floats]:
    """Parameters, gradient and state before step number `count`."""
    rng = np.random.default_rng(count)
    gradients = rng.standard_normal((count, SOAP.n_values), dtype=np.float32)
    parameters = np.ones(SOAP.n_values, np.float32)
    state = np.zeros(SOAP.n_state, np.float32)
    for done, gradient in enumerate(gradients[:-1], start=1):
        reference_soap.soap_step(parameters, gradient, state, SOAP, rate=0.125, count=done)
    return parameters, gradients[-1], state


@pytest.mark.parametrize("count", [1, 2, 11])
def test_valid_steps_run_clean_and_right(driver: Any, count: int) -> None:
    arrays = case(count)
    parameters, state = arrays[0].copy(), arrays[2].copy()
    reference_soap.soap_step(parameters, arrays[1], state, SOAP, rate=0.125, count=count)
    expected = np.concatenate([[1.0], parameters, state])
    result = driver.folder / "result"
    for instruction_set in range(INSTRUCTION_SETS):
        data = soap_bytes(arrays, count, instruction_set=instruction_set)
        code, message = driver.outcome(data, result)
        if code == REFUSED and "instruction set must exist" in message:
            continue  # this machine lacks it
        assert (code, message) == (0, "")
        got = np.frombuffer(result.read_bytes(), "<f4")
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("team", [1, 2, 5])
@pytest.mark.parametrize("count", [1, 2, 11])
def test_a_team_of_threads_changes_no_bit(driver: Any, count: int, team: int) -> None:
    arrays, result = case(count), driver.folder / "result"
    assert driver.outcome(soap_bytes(arrays, count), result) == (0, "")
    alone = result.read_bytes()
    assert driver.outcome(soap_bytes(arrays, count, team=team), result) == (0, "")
    assert result.read_bytes() == alone


@pytest.mark.parametrize("team", [0, 3])
def test_gradients_that_are_not_finite_run_clean_and_change_nothing(driver: Any, team: int) -> None:
    arrays, result = case(11), driver.folder / "result"
    arrays[1][-1] = np.nan
    assert driver.outcome(soap_bytes(arrays, 11, team=team), result) == (0, "")
    got = np.frombuffer(result.read_bytes(), "<f4")
    np.testing.assert_array_equal(got, np.concatenate([[0.0], arrays[0], arrays[2]]))


@pytest.mark.parametrize("value", [1e30, np.inf, np.nan])
def test_states_that_are_not_finite_run_clean(driver: Any, value: float) -> None:
    arrays = case(11)
    arrays[2][::5] = value
    assert driver.outcome(soap_bytes(arrays, 11)) == (0, "")


@pytest.mark.parametrize(
    ("at", "patch"),
    [
        (4, b"\x02"),  # op
        (5, b"\x00"),  # threads
        (7, b"\x06"),  # tensors
        (8, b"\x00"),  # axes
        (8, b"\xff"),
        (13, struct.pack("<I", 0)),  # lengths
        (13, b"\xff\xff\xff\xff"),
        (13, struct.pack("<I", 1 << 24)),
        (57, struct.pack("<f", -1.0)),  # decays
        (57, struct.pack("<f", float("nan"))),
        (77, struct.pack("<f", float("inf"))),  # rate
        (81, struct.pack("<I", 0)),  # count
    ],
)
def test_hostile_steps_are_refused(driver: Any, at: int, patch: bytes) -> None:
    data = soap_bytes(case(2), 2)
    for hostile in (data[:at] + patch + data[at + len(patch) :], data[:-1]):
        code, message = driver.outcome(hostile)
        assert code == REFUSED, message
        assert message.count("\n") == 1
        assert ", got " in message or " must " in message
