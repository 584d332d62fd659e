"""`inrcodec decode`: whole signals, parts of them, other sizes and rates."""

import io
import json

import numpy as np
import pytest
from PIL import Image

import inrcodec
from inrcodec import media


def test_a_stream_becomes_the_file_that_the_library_decodes(run, photo_stream, tmp_path):
    outcome = run("decode", photo_stream, "-o", tmp_path / "p.png")
    assert outcome.code == 0
    expected = inrcodec.decode(photo_stream).samples
    np.testing.assert_array_equal(media.read(tmp_path / "p.png").samples, expected)


def test_a_region_of_a_scaled_image_is_that_part_of_all_of_it(run, photo_stream, tmp_path):
    run("decode", photo_stream, "-o", tmp_path / "all.png", "--scale", 2)
    arguments = ("--scale", 2, "--region", "10,6,20,8")
    fields = json.loads(
        run("decode", photo_stream, "-o", tmp_path / "part.png", *arguments, "--json").stdout
    )
    whole = media.read(tmp_path / "all.png").samples
    assert whole.shape == (48, 80, 3)
    assert fields["grid"] == [8, 20]
    part = media.read(tmp_path / "part.png").samples
    np.testing.assert_array_equal(part, whole[6:14, 10:30])


def test_a_sound_is_evaluated_at_another_rate(run, sound_stream, tmp_path):
    run("decode", sound_stream, "-o", tmp_path / "s.wav", "--rate", 16000, "--seconds", "0.1:0.2")
    signal = media.read(tmp_path / "s.wav")
    assert signal.spec.sample_rate == 16000
    assert signal.spec.grid == (1600,)


def test_standard_output_is_png_or_wav_unless_a_format_is_given(run, photo_stream, sound_stream):
    assert run("decode", photo_stream, "-o", "-").stdout.startswith(b"\x89PNG")
    assert run("decode", sound_stream, "-o", "-").stdout.startswith(b"RIFF")
    tiff = run("decode", photo_stream, "-o", "-", "--format", "tiff").stdout
    assert Image.open(io.BytesIO(tiff)).size == (40, 24)


def test_a_stream_comes_through_a_pipe(run, photo_stream, tmp_path):
    outcome = run("decode", "-", "-o", tmp_path / "p.png", stdin=photo_stream.read_bytes())
    assert outcome.code == 0
    assert (tmp_path / "p.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--region", "0,0,41,1"), "region 0,0,41,1 is not within 40 x 24"),
        (("--region", "0,0,0,1"), "region '0,0,0,1' is not x,y,w,h"),
        (("--scale", "0"), "scale 0.0 is not above 0"),
        (("--scale", "nan"), "scale nan is not above 0"),
        (("--scale", "big"), "--scale 'big' is not a number"),
        (("--scale", "1e5"), "samples are over"),
        (("--scale", "1e308"), "scale 1e+308 makes an axis of over 4294967295 samples"),
        (("--region", f"{'1' * 5000},0,1,1"), "is not x,y,w,h"),
        (("--rate", "8000"), "rate is for audio"),
        (("--seconds", "0:1"), "seconds is for audio"),
        (("--frames", "0:1"), "frames is for video"),
        (("--format", "gif"), "'.gif' is not one of"),
        (("--format", "wav"), "WAV cannot hold image"),
    ],
)
def test_what_a_stream_cannot_give_is_one_line_and_exit_2(
    run, photo_stream, tmp_path, arguments, message
):
    outcome = run("decode", photo_stream, "-o", tmp_path / "p.png", *arguments)
    assert outcome.code == 2
    assert message in outcome.stderr
    assert outcome.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("span", ["0.2:0.9", "0.6:", "3:1", "0.1", "a:b", "9" * 400 + ":"])
def test_seconds_outside_the_sound_are_refused(run, sound_stream, tmp_path, span):
    outcome = run("decode", sound_stream, "-o", tmp_path / "s.wav", "--seconds", span)
    assert outcome.code == 2
    assert outcome.stderr.count("\n") == 1
