"""Bad input: one line on stderr that names it, the documented exit code, nothing left behind."""

import resource
import warnings
from pathlib import Path

import numpy as np
import pytest
import tifffile

PHOTO = Path(__file__).parents[2] / "data" / "samples" / "kodim23.png"


@pytest.fixture
def bad(tmp_path, photo):
    """A folder of inputs that cannot be encoded."""
    folder = tmp_path / "bad"
    folder.mkdir()
    (folder / "text.png").write_bytes(b"no picture")
    (folder / "empty.png").write_bytes(b"")
    (folder / "cut.png").write_bytes(photo.read_bytes()[:200])
    (folder / "folder.png").mkdir()
    samples = np.zeros((8, 8), np.float32)
    samples[2, 3] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tifffile.imwrite(folder / "nan.tiff", samples)
    return folder


def assert_refused(outcome, code, *names):
    assert outcome.code == code
    assert outcome.stdout == b""
    assert outcome.stderr.count("\n") == 1
    assert outcome.stderr.startswith("inrcodec: ")
    assert all(name in outcome.stderr for name in names), outcome.stderr


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("text.png", "not a media file"),
        ("empty.png", "empty"),
        ("cut.png", "cut.png"),
        ("nan.tiff", "sample (2, 3, 0) is nan"),
        ("missing.png", "No such file"),
        ("folder.png", "is a folder"),
    ],
)
def test_an_input_that_is_no_signal_gives_exit_3(run, bad, tmp_path, name, message):
    outcome = run("encode", bad / name, "-o", tmp_path / "x.inr", "--quiet")
    assert_refused(outcome, 3, name, message)
    assert list(tmp_path.iterdir()) == [bad]


def test_a_reference_that_is_missing_is_named_and_not_the_stream(run, photo_stream):
    outcome = run("eval", "missing.png", photo_stream)
    assert_refused(outcome, 3, "cannot read missing.png")
    assert photo_stream.name not in outcome.stderr


@pytest.mark.parametrize("command", ["encode", "eval"])
def test_an_empty_standard_input_gives_exit_3(run, photo_stream, command):
    arguments = ("-o", "-") if command == "encode" else (photo_stream,)
    assert_refused(run(command, "-", *arguments), 3, "empty")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "ends after 0 bytes"),
        (b"\x89PNG\r\n\x1a\n", "not an inrcodec stream"),
        (b"\x89INR\x07", "version 7"),
    ],
)
@pytest.mark.parametrize("command", ["decode", "info", "verify", "eval"])
def test_what_is_no_stream_gives_exit_4(run, photo, tmp_path, command, data, message):
    stream = tmp_path / "bad.inr"
    stream.write_bytes(data)
    before = (photo,) if command == "eval" else ()
    after = ("-o", tmp_path / "x.png") if command == "decode" else ()
    assert_refused(run(command, *before, stream, *after), 4, message, "bad.inr")
    assert list(tmp_path.iterdir()) == [stream]


@pytest.mark.parametrize("command", ["decode", "info", "verify"])
def test_a_missing_stream_gives_exit_3(run, tmp_path, command):
    after = ("-o", tmp_path / "x.png") if command == "decode" else ()
    assert_refused(run(command, tmp_path / "missing.inr", *after), 3, "missing.inr")


@pytest.mark.parametrize("command", ["encode", "decode"])
def test_an_existing_output_is_refused_before_any_work(run, tmp_path, command):
    output = tmp_path / "there.png"
    output.write_bytes(b"precious")
    outcome = run(command, tmp_path / "not even read", "-o", output)
    assert_refused(outcome, 2, "there.png exists", "-f")
    assert output.read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "warp"), "model 'warp' is not one of auto, siren"),
        (("--preset", "best"), "preset 'best' is not one of fast, medium, slow"),
        (("--bpp", "1", "--psnr", "30"), "bpp and psnr contradict"),
        (("-q", "10", "--lambda", "1", "--snr", "3"), "quality and lambda and snr contradict"),
        (("--quality", "101"), "quality 101 is not in [0, 100]"),
        (("--quality", "good"), "--quality 'good' is not a number"),
        (("--psnr", "nan"), "psnr nan is not in"),
        (("--size", "80QB"), "size '80QB'"),
        (("--size", "1"), "size 1 is not in"),
        (("--iters", "0"), "iterations 0 is not in"),
        (("--iters", "1.5"), "--iters '1.5' is not a whole number"),
        (("--time", "-1"), "time -1"),
        (("--seed", "x"), "--seed 'x'"),
        (("--kbps", "8"), "kbps"),
        (("--seconds", "0:1"), "--seconds is for sound"),
        (("--seconds", "1"), "seconds '1' is not a:b"),
        (("--frames", "0:9"), "--frames is for film, not for image"),
        (("--tune", "perceptual"), "perceptual is for cosine, not for latentgrid"),
        (("--tune", "ms-ssim", "--model", "siren"), "ms-ssim is for latentgrid, not for siren"),
        (("--tune", "ms-ssim", "--roi", str(PHOTO)), "roi and tune ms-ssim contradict each other"),
        (("--jobs", "0"), "jobs 0 is not in [1, 32]"),
        (("--device", "tpu"), "device tpu is not one of auto, cpu, cuda"),
        (("--backend", "fpga"), "backend fpga is not one of"),
        (("--backend", "tcnn", "--device", "cpu"), "backend tcnn "),
        (("--config", "missing.toml"), "cannot read config missing.toml"),
    ],
)
def test_wrong_options_of_encode_give_exit_2(run, photo, tmp_path, arguments, message):
    outcome = run("encode", photo, "-o", tmp_path / "x.inr", *arguments)
    assert_refused(outcome, 2, message)
    assert list(tmp_path.iterdir()) == []


def test_outputs_that_cannot_be_are_named(run, photo, tmp_path):
    other = tmp_path / "photo.png"
    other.write_bytes(photo.read_bytes())
    assert_refused(run("encode", photo, "-o", tmp_path / "no" / "x.inr"), 2, "/no does not exist")
    assert_refused(run("encode", photo, other, "-o", tmp_path / "x.inr"), 2, "2 inputs", "x.inr")
    assert_refused(
        run("encode", photo, other, "-o", f"{tmp_path}/"), 2, "several inputs", "photo.inr"
    )
    assert_refused(run("encode", "-", "-o", f"{tmp_path}/"), 2, "standard input has no name")
    assert_refused(run("encode", photo, "-o", f"{other}/"), 2, "photo.png")
    assert_refused(run("encode", photo, "-o", f"{other}/in/"), 2, "photo.png")


@pytest.mark.parametrize(("name", "message"), [("x.gif", "'.gif'"), ("x", "no suffix")])
def test_an_unknown_suffix_gives_exit_2(run, photo_stream, tmp_path, name, message):
    outcome = run("decode", photo_stream, "-o", tmp_path / name)
    assert_refused(outcome, 2, message)


def test_an_unknown_option_gives_exit_2_and_no_traceback(run, photo):
    outcome = run("encode", photo, "-o", "x.inr", "--effort", "9")
    assert outcome.code == 2
    assert "--effort" in outcome.stderr
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize("command", ["encode", "decode"])
def test_a_full_disk_gives_exit_1_and_leaves_no_file(spawn, photo, photo_stream, tmp_path, command):
    """A limit on the size of files stands in for the disk: the same error from the same call."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    source = photo if command == "encode" else photo_stream
    effort = ("--iters", 2) if command == "encode" else ()
    process = spawn(command, source, "-o", "full.png", *effort, "--quiet", preexec_fn=limit)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert stderr == b"inrcodec: full.png: file too large\n"
    assert list(tmp_path.iterdir()) == []


def test_a_device_that_is_full_gives_exit_1_and_stays_a_device(run, photo):
    device = Path("/dev/full")
    if not device.exists():
        pytest.skip("no /dev/full")
    assert_refused(run("encode", photo, "-o", device, "--iters", 3, "--quiet"), 1, "no space left")
    assert device.is_char_device()


def test_a_reader_that_goes_away_is_no_traceback(spawn, photo_stream):
    process = spawn("info", photo_stream)
    process.stdout.close()
    process.stdin.close()
    stderr = process.stderr.read()
    assert process.wait() == 1
    assert stderr == b""
