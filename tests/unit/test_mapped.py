"""Samples that lie in a file: arrays as any other, whatever is let go of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inrcodec import mapped


@pytest.fixture(params=["in memory", "in a file"])
def array(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    most = 1 << 20 if request.param == "in memory" else 1000
    monkeypatch.setattr("inrcodec.mapped._MOST_IN_MEMORY", most)
    return mapped.gathered(np.full((100, 2), i, np.int16) for i in range(9))


def test_blocks_become_one_array(array: np.ndarray) -> None:
    np.testing.assert_array_equal(array, np.repeat(np.arange(9), 200).reshape(900, 2))
    assert array.dtype == np.int16


def test_nothing_is_lost_of_what_is_let_go(array: np.ndarray) -> None:
    array[7] = 5
    mapped.let_go(array)
    assert array[7, 1] == 5
    part = array[800:, 1]
    mapped.let_go(part)
    assert (part == 8).all()


def test_runs_are_all_rows_in_order(array: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inrcodec.mapped._RUN", 250)
    parts = list(mapped.runs(array))
    assert [len(part) for part in parts] == [125] * 7 + [25]
    np.testing.assert_array_equal(np.concatenate(parts), array)


def test_arrays_of_others_are_left_alone(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(5000))
    mine = np.load(tmp_path / "a.npy", mmap_mode="c")
    mine[:] = 1.0
    mapped.let_go(mine[2:])
    assert (mine == 1.0).all()


def test_a_file_is_seen_as_bytes(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"0123456789")
    data = mapped.map_file(tmp_path / "f")
    data.let_go()
    assert (data[2:5], len(data), data.rfind(b"9")) == (b"234", 10, 9)
    with data.open() as file:
        assert file.read() == b"0123456789"
