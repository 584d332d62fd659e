"""Signal: shapes, ranges, the [0, 1] scale, cuts."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from inrcodec.errors import SignalError
from inrcodec.signal import Kind, Labels, Metadata, SampleFormat, Signal, SignalSpec


def _every_value(sample_format: SampleFormat) -> np.ndarray:
    low, high = (int(value) for value in sample_format.nominal_range)
    return np.arange(low, high + 1).astype(sample_format.dtype)


@pytest.mark.parametrize("name", ["U8", "U16", "S16"])
def test_every_integer_survives_the_unit_scale(name: str) -> None:
    sample_format = SampleFormat[name]
    samples = _every_value(sample_format)[:, None]
    spec = Signal.audio(samples, 8000, sample_format=sample_format).spec
    unit = spec.to_unit(samples)
    assert unit.dtype == np.float32
    assert (unit.min(), unit.max()) == (0.0, 1.0)
    np.testing.assert_array_equal(spec.from_unit(unit), samples)


def test_24_bit_integers_survive_the_unit_scale_within_one_step() -> None:
    low, high = -(1 << 23), (1 << 23) - 1
    samples = np.linspace(low, high, 10001).astype(np.int32)[:, None]
    spec = Signal.audio(samples, 8000, sample_format=SampleFormat.S24).spec
    back = spec.from_unit(spec.to_unit(samples)).astype(np.int64)
    assert np.abs(back - samples).max() <= 1
    assert (back.min(), back.max()) == (low, high)


def test_values_outside_the_unit_scale_are_clipped() -> None:
    spec = Signal.image(np.zeros((1, 1), np.uint8)).spec
    assert spec.from_unit(np.array([-1.0, 0.5, 7.0], np.float32)).tolist() == [0, 128, 255]


@pytest.mark.parametrize("name", ["U8", "U16", "S24", "F32"])
def test_conversions_take_little_memory_beside_their_result(name: str) -> None:
    sample_format, n = SampleFormat[name], 4_000_000
    samples = np.zeros((n, 1), sample_format.dtype)
    spec = Signal.audio(samples, 8000, sample_format=sample_format).spec
    tracemalloc.start()
    try:
        unit = spec.to_unit(samples)
        forth = tracemalloc.get_traced_memory()[1] - unit.nbytes
        tracemalloc.reset_peak()
        back = spec.from_unit(unit)
        back_again = tracemalloc.get_traced_memory()[1] - unit.nbytes - back.nbytes
    finally:
        tracemalloc.stop()
    assert max(forth, back_again) < n


def test_the_range_of_a_float_image_is_its_own() -> None:
    samples = np.array([[-2.0, 0.0], [1.0, 6.0]], np.float32)
    spec = Signal.image(samples).spec
    assert spec.value_range == (-2.0, 6.0)
    assert spec.to_unit(samples).tolist() == [[0.0, 0.25], [0.375, 1.0]]
    np.testing.assert_array_equal(spec.from_unit(spec.to_unit(samples)), samples)


def test_a_constant_float_image_maps_to_zero_and_back() -> None:
    samples = np.full((2, 3, 1), 4.5, np.float16)
    spec = Signal.image(samples).spec
    assert not spec.to_unit(samples).any()
    np.testing.assert_array_equal(spec.from_unit(spec.to_unit(samples)), samples)


def test_the_whole_range_of_float32_maps_without_overflow() -> None:
    samples = np.array([[-3.4e38, 0.0, 3.4e38]], np.float32)
    unit = Signal.image(samples).spec.to_unit(samples)
    np.testing.assert_allclose(unit, [[0.0, 0.5, 1.0]])


def test_float_sound_keeps_zero_in_the_middle() -> None:
    quiet = Signal.audio(np.array([0.25, -0.5], np.float32), 8000).spec
    loud = Signal.audio(np.array([0.25, -1.5], np.float32), 8000).spec
    assert quiet.value_range == (-1.0, 1.0)
    assert loud.value_range == (-1.5, 1.5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_sample_that_is_not_finite_is_refused_with_its_place(bad: float) -> None:
    samples = np.zeros((4, 5, 3), np.float32)
    samples[2, 1, 0] = bad
    with pytest.raises(SignalError, match=r"sample \(2, 1, 0\) is -?(nan|inf)"):
        Signal.image(samples)


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (4, 4, 0)])
def test_an_empty_image_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(SignalError, match="empty"):
        Signal.image(np.zeros(shape, np.uint8))


def test_shapes_and_types_that_no_signal_has_are_refused() -> None:
    with pytest.raises(SignalError, match="2 or 3 dimensions, got 4"):
        Signal.image(np.zeros((1, 1, 1, 1), np.uint8))
    with pytest.raises(SignalError, match="1 or 2 dimensions, got 3"):
        Signal.audio(np.zeros((1, 1, 1), np.int16), 8000)
    with pytest.raises(SignalError, match="float64"):
        Signal.image(np.zeros((1, 1), np.float64))
    with pytest.raises(SignalError, match="sample rate 0 Hz"):
        Signal.audio(np.zeros(1, np.int16), 0)


def test_samples_must_agree_with_their_spec() -> None:
    spec = Signal.image(np.zeros((2, 2), np.uint8)).spec
    with pytest.raises(SignalError, match="are not"):
        Signal(samples=np.zeros((2, 3, 1), np.uint8), spec=spec)
    with pytest.raises(SignalError, match="int16 are not U8"):
        Signal(samples=np.zeros((2, 2, 1), np.int16), spec=spec)


def test_a_cut_keeps_rate_and_remembers_its_place() -> None:
    signal = Signal.audio(np.arange(10, dtype=np.int16), 5)
    part = signal.cut(3, 8)
    assert part.samples[:, 0].tolist() == [3, 4, 5, 6, 7]
    assert (part.part, part.spec.seconds) == ((3, 8), 1.0)


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (3, 3), (0, 11)])
def test_a_cut_outside_the_signal_is_refused(start: int, stop: int) -> None:
    with pytest.raises(SignalError, match=f"part {start}:{stop} is not within 0:10"):
        Signal.audio(np.arange(10, dtype=np.int16), 5).cut(start, stop)


def test_axes_have_names_and_spacing() -> None:
    image = Signal.image(np.zeros((2, 3), np.uint8)).spec
    sound = Signal.audio(np.zeros(4, np.int16), 8).spec
    volume = SignalSpec(
        kind=Kind.ARRAY,
        sample_format=SampleFormat.U8,
        grid=(2, 3, 4),
        channels=1,
        value_range=(0.0, 255.0),
    )
    assert [axis.name for axis in image.axes] == ["y", "x"]
    assert (sound.axes[0].unit, sound.axes[0].spacing) == ("s", 0.125)
    assert [axis.name for axis in volume.axes] == ["axis0", "axis1", "axis2"]
    assert volume.n_points == 24


def test_wire_numbers_of_kinds_and_formats_stay() -> None:
    assert [kind.value for kind in Kind] == [0, 1, 2, 3]
    names = "U8 U16 S16 S24 S32 F16 F32 S8 U32 S64 U64 F64"
    assert [sample_format.name for sample_format in SampleFormat] == names.split()
    assert [sample_format.value for sample_format in SampleFormat] == [*range(12)]


# --- arrays --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["int8", "uint8", "int16", "uint32", "int64", "uint64"])
def test_an_array_of_integers_has_their_range_and_keeps_its_ends(name: str) -> None:
    limits = np.iinfo(name)
    for low, high in ((limits.min, limits.max), (3, 12)):
        samples = np.array([[low, high, (low + high) // 2]], name)
        spec = Signal.array(samples).spec
        assert spec.value_range == (float(low), float(high))
        unit = spec.to_unit(samples)
        np.testing.assert_allclose(unit[0], [0, 1, 0.5], atol=0.06)
        back = spec.from_unit(unit)
        assert (back.dtype, back[0, :2].tolist()) == (samples.dtype, [low, high])
        beyond = spec.from_unit(np.array([-9.0, 9.0, np.nan], np.float32))
        assert beyond.tolist() == [low, high, low]


@pytest.mark.parametrize("value", [-7, 0, 3, 2**53])
@pytest.mark.parametrize("name", ["int64", "float64", "float32"])
def test_a_constant_array_comes_back(name: str, value: int) -> None:
    samples = np.full((2, 3), value, name)
    spec = Signal.array(samples).spec
    assert not spec.to_unit(samples).any()
    assert (spec.from_unit(np.full((2, 3), 0.7, np.float32)) == samples).all()


@pytest.mark.parametrize("ends", [(1e-310, 3e-310), (-8e307, 8e307), (1e15, 1e15 + 1)])
def test_any_doubles_survive_the_unit_scale(ends: tuple[float, float]) -> None:
    samples = np.array([ends[0], (ends[0] + ends[1]) / 2, ends[1]])
    spec = Signal.array(samples).spec
    unit = spec.to_unit(samples)
    np.testing.assert_allclose(unit, [0, 0.5, 1])
    np.testing.assert_array_equal(spec.from_unit(unit), samples)


def test_axes_of_an_array_are_grid_axes_unless_the_last_is_channels() -> None:
    samples = np.zeros((2, 3, 4), np.int8)
    plain, split = Signal.array(samples).spec, Signal.array(samples, channels_last=True).spec
    assert (plain.grid, plain.channels) == ((2, 3, 4), 1)
    assert (split.grid, split.channels) == ((2, 3), 4)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((), np.int8), "1 to 4 grid axes, got 0"),
        (np.zeros((1,) * 5), "1 to 4 grid axes, got 5"),
        (np.zeros(3, bool), "integers or floats, not bool"),
        (np.zeros(3, complex), "not complex128"),
        (np.zeros((0, 2)), "empty"),
        (np.full((2, 2), np.nan), "no sample is a number"),
        (np.array([[1.0], [-np.inf]]), r"sample \(1, 0\) is -inf"),
        (np.array([-1.7e308, 1.7e308]), "span more than a float can hold"),
    ],
)
def test_arrays_that_cannot_be_coded_are_refused(samples: np.ndarray, message: str) -> None:
    with pytest.raises(SignalError, match=message):
        Signal.array(samples)


def test_gaps_are_filled_from_around_them_and_only_they() -> None:
    y, x = np.mgrid[:32, :24]
    smooth = (y + x) / 10.0
    samples = smooth.copy()
    samples[5:9, 7:12] = np.nan
    signal = Signal.array(samples)
    assert signal.mask is not None
    filled = signal.filled()
    assert filled.mask is None
    inside = signal.mask[..., 0]
    np.testing.assert_array_equal(filled.samples[~inside, 0], smooth[~inside])
    assert np.abs(filled.samples[..., 0] - smooth).max() < 0.8
    assert Signal.array(smooth).filled().mask is None


def test_a_channel_without_numbers_is_filled_too() -> None:
    samples = np.stack([np.full(7, np.nan), np.arange(7.0)], axis=-1)
    filled = Signal.array(samples, channels_last=True).filled()
    assert np.isfinite(filled.samples).all()


def test_masks_and_labels_belong_to_arrays() -> None:
    image = Signal.image(np.zeros((2, 2), np.float32))
    with pytest.raises(SignalError, match="mask of image"):
        replace(image, mask=np.zeros((2, 2, 1), bool))
    with pytest.raises(SignalError, match="mask of array of S8"):
        replace(Signal.array(np.zeros(2, np.int8)), mask=np.zeros((2, 1), bool))
    with pytest.raises(SignalError, match=r"mask \(2,\) of bool"):
        replace(Signal.array(np.zeros(2)), mask=np.zeros(2, bool))
    with pytest.raises(SignalError, match="labels of 1 axes"):
        replace(image, metadata=Metadata(labels=Labels("", "", ("x",))))
