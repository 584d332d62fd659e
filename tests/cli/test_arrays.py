"""Arrays on the command line: there and back, options, measures, refusals."""

import io
import json

import numpy as np
import pytest

QUICK = ("--model", "siren", "--iters", 20, "--json", "-f")


@pytest.fixture
def volume(tmp_path):
    """An archive of an array with gaps, of one with three channels last, and of objects."""
    values = np.sin(np.arange(240) / 30).reshape(4, 5, 12)
    gaps = values.copy()
    gaps[1, 2] = np.nan
    path = tmp_path / "volume.npz"
    np.savez(path, gaps=gaps, colours=(values.reshape(8, 10, 3) * 99).astype(np.int16))
    return path


def encoded(run, source, tmp_path, *options):
    stream = tmp_path / "x.inr"
    outcome = run("encode", source, "-o", stream, *QUICK, *options)
    assert outcome.code == 0, outcome.stderr
    return stream, json.loads(outcome.stdout)


def test_an_array_goes_there_and_back_with_its_gaps(run, volume, tmp_path):
    stream, fields = encoded(run, volume, tmp_path, "--variable", "gaps")
    output = tmp_path / "x.npz"
    assert run("decode", stream, "-o", output).code == 0
    with np.load(volume) as before, np.load(output) as after:
        assert after.files == ["gaps"]
        assert (after["gaps"].dtype, after["gaps"].shape) == (np.float64, (4, 5, 12))
        np.testing.assert_array_equal(np.isnan(after["gaps"]), np.isnan(before["gaps"]))
    outcome = run("eval", volume, stream, "--variable", "gaps", "--json")
    measured = json.loads(outcome.stdout)
    names = {"bytes", "bpp", "psnr_db", "snr_db", "max_abs_error"}
    assert {name: measured[name] for name in names} == {name: fields[name] for name in names}
    assert measured.keys() - names == {"reference", "input", "decode_seconds"}
    assert measured["bpp"] == pytest.approx(8 * measured["bytes"] / 240)


def test_channels_last_comes_back_as_it_was(run, volume, tmp_path):
    options = ("--variable", "colours", "--channels-last")
    stream, fields = encoded(run, volume, tmp_path, *options)
    assert fields["bpp"] == pytest.approx(8 * fields["bytes"] / 80)
    outcome = run("decode", stream, "-o", "-")
    decoded = np.load(io.BytesIO(outcome.stdout))
    assert (decoded.dtype, decoded.shape) == (np.int16, (8, 10, 3))
    assert run("eval", volume, stream, *options).code == 0
    assert run("eval", volume, stream, "--variable", "colours").code == 2
    named = tmp_path / "x.bin"
    assert run("decode", stream, "-o", named, "--format", "npy").code == 0
    np.testing.assert_array_equal(np.load(named), decoded)


def test_info_shows_labels_type_range_and_share_of_gaps(run, volume, tmp_path):
    stream, _ = encoded(run, volume, tmp_path, "--variable", "gaps")
    fields = json.loads(run("info", stream, "--json").stdout)
    assert fields["kind"] == "array"
    assert (fields["sample_format"], fields["grid"]) == ("f64", [4, 5, 12])
    assert fields["labels"] == {"name": "gaps", "units": "", "axes": ["", "", ""]}
    assert fields["masked_share"] == pytest.approx(12 / 240)
    assert sum(fields["breakdown"].values()) == fields["bytes"]
    assert "name gaps" in run("info", stream).stdout.decode()


def test_an_array_is_refused_as_an_image(run, volume, tmp_path):
    stream, _ = encoded(run, volume, tmp_path, "--variable", "gaps")
    outcome = run("decode", stream, "-o", tmp_path / "x.png")
    assert (outcome.code, outcome.stderr.count("\n")) == (2, 1)
    assert "PNG cannot hold array" in outcome.stderr
    assert not (tmp_path / "x.png").exists()


@pytest.mark.parametrize("option", [("--channels-last",), ("--variable", "x")])
@pytest.mark.parametrize("command", ["encode", "eval"])
def test_options_of_arrays_are_refused_for_others(
    run, photo, sound, photo_stream, tmp_path, command, option
):
    for source in (photo, sound):
        after = ("-o", tmp_path / "x.inr") if command == "encode" else (photo_stream,)
        outcome = run(command, source, *after, *option)
        assert (outcome.code, outcome.stderr.count("\n")) == (2, 1)
        assert "is for arrays, not for" in outcome.stderr


def test_a_choice_that_is_missing_names_the_arrays(run, volume, tmp_path):
    outcome = run("encode", volume, "-o", tmp_path / "x.inr")
    assert (outcome.code, outcome.stderr.count("\n")) == (3, 1)
    assert "choose a variable of gaps, colours" in outcome.stderr


def test_objects_are_refused_and_never_unpickled(run, tmp_path):
    np.savez(tmp_path / "x.npz", data=np.array([1, None]))
    outcome = run("encode", tmp_path / "x.npz", "-o", tmp_path / "x.inr")
    assert (outcome.code, outcome.stderr.count("\n")) == (3, 1)
    assert "holds objects" in outcome.stderr
    assert not (tmp_path / "x.inr").exists()


def test_seconds_are_refused_for_arrays(run, volume, tmp_path):
    outcome = run(
        "encode", volume, "--variable", "gaps", "--seconds", "0:1", "-o", tmp_path / "x.inr"
    )
    assert outcome.code == 2
    assert "--seconds is for sound, not for array" in outcome.stderr
