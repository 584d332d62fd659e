"""`inrcodec info`, `eval` and `verify`: what they say of a stream."""

import json

import numpy as np
import pytest

import inrcodec
from inrcodec import media, metrics
from inrcodec.signal import Metadata, Signal


def test_info_counts_every_byte_once(run, photo_stream):
    fields = json.loads(run("info", photo_stream, "--json").stdout)
    assert sum(fields["breakdown"].values()) == fields["bytes"] == photo_stream.stat().st_size
    assert (fields["kind"], fields["grid"], fields["channels"]) == ("image", [24, 40], 3)
    assert fields["model"] == "siren"
    assert fields["n_parameters"] > 0
    assert fields["macs_per_point"] > 0
    assert fields["metadata"] == {}
    assert fields["axes"] == [
        {"name": name, "unit": "sample", "spacing": 1.0} for name in ("y", "x")
    ]


def test_info_names_the_axis_of_a_sound_in_seconds(run, sound_stream):
    fields = json.loads(run("info", sound_stream, "--json").stdout)
    assert fields["axes"] == [{"name": "time", "unit": "s", "spacing": 1 / 8000}]


def test_info_names_the_metadata(run, tmp_path):
    metadata = Metadata(icc=b"profile", dpi=(300.0, 150.0))
    image = Signal.image(np.zeros((4, 4), np.uint8), metadata=metadata)
    stream = tmp_path / "m.inr"
    stream.write_bytes(inrcodec.encode(image, iterations=1))
    fields = json.loads(run("info", stream, "--json").stdout)
    assert fields["metadata"] == {"icc": "7 bytes", "dpi": "300 x 150"}
    assert b"icc 7 bytes" in run("info", stream).stdout


def test_eval_of_an_image_measures_what_the_library_measures(run, photo, photo_stream):
    fields = json.loads(run("eval", photo, photo_stream, "--json").stdout)
    reference, decoded = media.read(photo), inrcodec.decode(photo_stream)
    assert fields["psnr_db"] == metrics.psnr_db(reference, decoded)
    assert fields["bpp"] == 8 * photo_stream.stat().st_size / 960
    assert fields["ms_ssim"] is None  # below 161 pixels


def test_eval_of_a_sound_has_its_measures(run, sound, sound_stream):
    fields = json.loads(run("eval", sound, sound_stream, "--json").stdout)
    assert {"bytes", "bpp", "psnr_db", "snr_db", "si_sdr_db", "kbps"} <= fields.keys()


def test_eval_of_equal_signals_has_a_psnr_of_null(run, photo_stream, tmp_path):
    run("decode", photo_stream, "-o", tmp_path / "same.png")
    fields = json.loads(run("eval", tmp_path / "same.png", photo_stream, "--json").stdout)
    assert fields["psnr_db"] is None


@pytest.mark.parametrize("kind", ["sound", "size", "depth"])
def test_eval_refuses_a_reference_of_something_else(run, sound, photo_stream, tmp_path, kind):
    reference = tmp_path / "other.png"
    if kind == "sound":
        reference = sound
    else:
        dtype, width = (np.uint8, 41) if kind == "size" else (np.uint16, 40)
        media.write(Signal.image(np.zeros((24, width, 3), dtype)), reference)
    outcome = run("eval", reference, photo_stream)
    assert outcome.code == 2
    assert "the reference is" in outcome.stderr


def test_verify_says_ok_for_each_sound_stream(run, photo_stream, sound_stream):
    outcome = run("verify", photo_stream, sound_stream)
    assert outcome.code == 0
    assert outcome.stdout.decode().splitlines() == [f"{photo_stream}: ok", f"{sound_stream}: ok"]


def test_verify_finds_a_changed_byte_and_goes_on(run, photo_stream, tmp_path):
    data = bytearray(photo_stream.read_bytes())
    data[-6] ^= 1
    bad = tmp_path / "bad.inr"
    bad.write_bytes(data)
    outcome = run("verify", bad, photo_stream, "--json")
    assert outcome.code == 4
    first, second = (json.loads(line) for line in outcome.stdout.splitlines())
    assert (first["ok"], second["ok"]) == (False, True)
    assert "checksum" in first["error"]
    assert "bad.inr" in outcome.stderr


def test_doctor_reports_versions_and_the_backend(run):
    fields = json.loads(run("doctor", "--json").stdout)
    assert fields["packages"]["numpy"] == np.__version__
    assert fields["backend"] in {"native", "torch"}
    assert b"backend: " in run("doctor").stdout
