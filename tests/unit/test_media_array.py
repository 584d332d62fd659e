"""NPY, NPZ and netCDF: what comes in and goes out, and what is refused."""

from __future__ import annotations

import io
import sys
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from inrcodec import media
from inrcodec.errors import ConfigError, MissingExtraError, SignalError
from inrcodec.signal import Kind, Labels, Metadata, SampleFormat, Signal

TYPES = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", ">i2", ">u8", ">f4"]


def npy(samples: np.ndarray) -> bytes:
    sink = io.BytesIO()
    np.save(sink, samples)
    return sink.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    sink = io.BytesIO()
    np.savez_compressed(sink, **arrays)
    return sink.getvalue()


def header(text: str) -> bytes:
    """A NPY file without samples."""
    padded = text.ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded


# --- what comes in -------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("name", TYPES)
def test_every_type_and_order_comes_in_and_goes_out(name: str, order: str) -> None:
    samples = np.arange(24).reshape(2, 3, 4).astype(name, order=order)
    signal = media.read(npy(samples))
    assert (signal.spec.kind, signal.spec.grid, signal.spec.channels) == (Kind.ARRAY, (2, 3, 4), 1)
    assert signal.spec.value_range == (0.0, 23.0)
    assert signal.samples.dtype == np.dtype(name).newbyteorder("=")
    np.testing.assert_array_equal(signal.samples[..., 0], samples)
    signal.samples[0, 0, 0] = 1  # ours to write to
    for suffix in (".npy", ".npz"):
        written = np.load(io.BytesIO(media.to_bytes(media.read(npy(samples)), suffix)))
        back = written if suffix == ".npy" else written["arr_0"]
        assert back.dtype == signal.samples.dtype
        np.testing.assert_array_equal(back, samples)


def test_channels_last_goes_out_as_it_came_in() -> None:
    samples = np.arange(24, dtype=np.int8).reshape(2, 3, 4)
    signal = media.read(npy(samples), channels_last=True)
    assert (signal.spec.grid, signal.spec.channels) == ((2, 3), 4)
    np.testing.assert_array_equal(np.load(io.BytesIO(media.to_bytes(signal, ".npy"))), samples)


def test_truth_values_become_bytes_and_that_is_said() -> None:
    with pytest.warns(UserWarning, match="truth values are read as 8-bit integers"):
        signal = media.read(npy(np.array([True, False])))
    assert (signal.spec.sample_format, signal.spec.value_range) == (SampleFormat.U8, (0.0, 1.0))


def test_gaps_are_masked() -> None:
    signal = media.read(npy(np.array([[1.0, np.nan], [3.0, 2.0]])))
    assert signal.mask is not None
    assert signal.mask[..., 0].tolist() == [[False, True], [False, False]]
    assert signal.spec.value_range == (1.0, 3.0)


def test_probe_says_what_read_gives(tmp_path: Path) -> None:
    path = tmp_path / "x.dat"
    path.write_bytes(npz(a=np.arange(3), b=np.arange(4.0)))
    info = media.probe(path, variable="b")
    assert (info.format, info.spec) == ("NPZ", media.read(path, variable="b").spec)


# --- several arrays ------------------------------------------------------------------------------


def test_one_array_of_several_is_chosen_by_name_and_keeps_it() -> None:
    data = npz(a=np.arange(3), b=np.arange(4.0))
    with pytest.raises(SignalError, match="several arrays; choose a variable of a, b"):
        media.read(data)
    with pytest.raises(ConfigError, match="variable 'c' is not one of a, b"):
        media.read(data, variable="c")
    signal = media.read(data, variable="b")
    assert signal.metadata.labels == Labels("b", "", ("",))
    assert np.load(io.BytesIO(media.to_bytes(signal, ".npz"))).files == ["b"]


def test_the_only_array_needs_no_choice_and_numpys_own_name_is_none() -> None:
    sink = io.BytesIO()
    np.savez(sink, np.arange(5))
    assert media.read(sink.getvalue()).metadata.labels is None


def test_options_of_arrays_are_refused_for_others(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    media.write(Signal.image(np.zeros((3, 3), np.uint8)), path)
    for work in (media.read, media.probe):
        with pytest.raises(ConfigError, match="channels_last is for arrays, not for PNG"):
            work(path, channels_last=True)
        with pytest.raises(ConfigError, match="variable 'x' is for arrays, not for PNG"):
            work(path, variable="x")
    with pytest.raises(ConfigError, match="an NPY file has no names"):
        media.read(npy(np.arange(3)), variable="x")


# --- what goes out -------------------------------------------------------------------------------


def test_labels_that_a_file_cannot_hold_are_named() -> None:
    metadata = Metadata(labels=Labels("../t", "K", ("x",)))
    signal = Signal.array(np.arange(3), metadata=metadata)
    with pytest.warns(UserWarning, match="unit dropped; names of axes dropped; name dropped"):
        media.to_bytes(signal, ".npy")
    with pytest.warns(UserWarning, match="unit dropped; names of axes dropped$"):
        data = media.to_bytes(signal, ".npz")
    assert np.load(io.BytesIO(data)).files == ["_t"]


def test_other_formats_are_refused_and_equal_arrays_give_equal_bytes() -> None:
    signal = Signal.array(np.zeros((4, 4), np.uint8))
    with pytest.raises(ConfigError, match="PNG cannot hold array"):
        media.to_bytes(signal, ".png")
    with pytest.raises(ConfigError, match=r"'\.nc' is not one of"):
        media.to_bytes(signal, ".nc")
    with pytest.raises(ConfigError, match="NPY cannot hold image"):
        media.to_bytes(Signal.image(np.zeros((4, 4), np.uint8)), ".npy")
    assert media.to_bytes(signal, ".npz") == media.to_bytes(signal, ".npz")


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.array([1, None]), r"holds objects \(dtype object\)"),
        (np.array([1j]), "holds complex numbers"),
        (np.array(["a"]), "holds strings"),
        (np.zeros(2, "M8[s]"), "holds dates"),
        (np.zeros(2, "m8[s]"), "holds durations"),
        (np.zeros(2, [("a", int)]), "holds structures"),
        (np.array(3.0), "1 to 4 grid axes, got 0"),
        (np.zeros((1, 1, 1, 1, 1)), "1 to 4 grid axes, got 5"),
        (np.zeros((3, 0)), r"empty signal: shape \(3, 0\)"),
        (np.full(3, np.nan), "no sample is a number"),
        (np.array([[0.0, np.nan], [np.inf, 0.0]]), r"sample \(1, 0\) is inf"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(samples: np.ndarray, message: str) -> None:
    for data in (npy(samples), npz(x=samples)):
        with pytest.raises(SignalError, match=f"^cannot read input: .*{message}") as caught:
            media.read(data)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(3,), (4, 1), (4, 65), (2, 2, 2, 2, 2, 3)])
def test_a_last_axis_that_cannot_be_channels_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(SignalError, match=r"axis of 2 to 64 channels|grid axes, got 5"):
        media.read(npy(np.zeros(shape)), channels_last=True)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ("(1000000, 1000000)", "1000000000000 samples is over"),
        ("(1000,)", "array of 8000 bytes ends after 0"),
        ("(-3,)", "is over|negative"),
        ("(0, 10000000000000000000000)", "Maximum|empty"),
    ],
)
def test_a_header_that_claims_too_much_is_refused(shape: str, message: str) -> None:
    data = header(f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}")
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as file:
        file.writestr("x.npy", data)
    for claimed in (data, sink.getvalue()):
        with pytest.raises(SignalError, match=message):
            media.read(claimed)


def test_an_archive_that_inflates_beyond_its_header_is_cut_off_and_that_is_said() -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("x.npy", npy(np.arange(3)) + bytes(1 << 24))
    with pytest.warns(UserWarning, match="what follows the array is dropped"):
        assert media.read(sink.getvalue()).samples.ravel().tolist() == [0, 1, 2]


def test_other_archives_are_not_media() -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as file:
        file.writestr("x.txt", "no array")
    for data in (sink.getvalue(), npz()):
        with pytest.raises(SignalError, match="not a media file"):
            media.read(data)


# --- netCDF --------------------------------------------------------------------------------------


def netcdf(tmp_path: Path, engine: str, **more: object) -> bytes:
    """Temperatures in tenths, one of them missing, and a second variable if there are `more`."""
    for package in ("scipy", "h5netcdf", "h5py"):
        pytest.importorskip(package)
    xarray = pytest.importorskip("xarray")
    values = np.where(np.arange(24) == 4, np.nan, np.arange(24) / 10).reshape(2, 3, 4)
    variables = {"t": (("time", "y", "x"), values, {"units": "K"}), **more}
    coords = {"time": ("time", np.arange(2), {"units": "hours since 2000-01-01"})}
    path = tmp_path / "x.nc"
    packed = {"dtype": "i2", "scale_factor": 0.1, "_FillValue": -99}
    dataset = xarray.Dataset(variables, coords)
    dataset.to_netcdf(path, engine=engine, encoding={"t": packed})
    return path.read_bytes()


engines = pytest.mark.parametrize("engine", ["scipy", "h5netcdf"])


@engines
def test_netcdf_is_scaled_masked_and_labelled(tmp_path: Path, engine: str) -> None:
    signal = media.read(netcdf(tmp_path, engine))
    assert signal.metadata.labels == Labels("t", "K", ("time", "y", "x"))
    assert signal.mask is not None
    assert np.flatnonzero(signal.mask).tolist() == [4]
    expected = np.arange(24) / 10
    expected[4] = np.nan
    np.testing.assert_allclose(signal.samples.ravel(), expected)
    split = media.read(netcdf(tmp_path, engine), channels_last=True)
    assert split.metadata.labels == Labels("t", "K", ("time", "y"))


@engines
def test_a_netcdf_variable_is_chosen_and_times_stay_numbers(tmp_path: Path, engine: str) -> None:
    data = netcdf(tmp_path, engine, u=(("x",), np.arange(4, dtype=np.int32)))
    with pytest.raises(SignalError, match=r"choose a variable of [tu], [tu]"):
        media.read(data)
    assert media.read(data, variable="u").spec.sample_format is SampleFormat.S32
    assert media.read(data, variable="time").samples.ravel().tolist() == [0, 1]


def test_a_netcdf_file_that_claims_too_much_takes_no_memory_for_it() -> None:
    h5py = pytest.importorskip("h5py")
    pytest.importorskip("h5netcdf")
    pytest.importorskip("xarray")
    sink, size = io.BytesIO(), (1 << 28) + 1
    with h5py.File(sink, "w") as file:
        axis = file.create_dataset("x", shape=size, dtype="f8", chunks=1 << 16)
        axis.make_scale("x")
        file.create_dataset("t", shape=size, dtype="f8", chunks=1 << 16).dims[0].attach_scale(axis)
    tracemalloc.start()
    try:
        for name in (None, "x"):
            with pytest.raises(SignalError, match="array of 268435457 samples is over 268435456"):
                media.read(sink.getvalue(), variable=name)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1 << 24


@pytest.mark.parametrize("data", [b"CDF\x01" + bytes(40), b"\x89HDF\r\n\x1a\n" + bytes(40)])
def test_netcdf_without_its_packages_names_the_extra(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "xarray", None)  # an import of it fails
    with pytest.raises(MissingExtraError, match=r"netCDF needs the extra 'arrays'"):
        media.read(data)


def test_netcdf_of_64_bit_data_is_refused() -> None:
    pytest.importorskip("xarray")
    pytest.importorskip("scipy")
    with pytest.raises(SignalError, match="CDF-5"):
        media.read(b"CDF\x05" + bytes(40))


# --- hostile bytes -------------------------------------------------------------------------------


def outcome(data: bytes) -> bool:
    """Whether it is read; only SignalError of one line, and warnings, may come."""
    message = ""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="^input: ")
        try:
            media.read(data)
        except SignalError as error:
            message = str(error)
    assert "\n" not in message
    return not message


@pytest.mark.parametrize("name", ["npy", "npz", "scipy", "h5netcdf"])
def test_cuts_and_changed_bytes_give_an_error_or_an_array(
    tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    samples = np.arange(60, dtype=np.int16).reshape(3, 20)
    whole = {"npy": npy, "npz": lambda x: npz(x=x)}.get(name, lambda _: netcdf(tmp_path, name))
    data = whole(samples)
    assert outcome(data)
    cuts = range(1, len(data) - 1, max(1, len(data) // 40))
    read = [cut for cut in cuts if outcome(data[:cut])]
    assert read == [] or name in ("scipy", "h5netcdf")  # these may lie before the last bytes
    rng = np.random.default_rng(1)
    for _ in range(150 if name in ("npy", "npz") else 40):
        changed = bytearray(data)
        for place in rng.integers(0, min(len(data), 500), 2):
            changed[place] = rng.choice([0, 1, 127, 255, rng.integers(256)])
        outcome(bytes(changed))
    assert capfd.readouterr().err == ""
