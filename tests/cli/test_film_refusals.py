"""Films that cannot be read, options that do not fit, work that is broken off: no half files."""

import io
import resource
import signal
import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import inrcodec
from inrcodec import media
from inrcodec.signal import Signal

av = pytest.importorskip("av")

QUICK = ("--model", "siren", "--iters", 5, "--quiet")


def assert_refused(outcome, code: int, *says: str) -> None:
    assert outcome.code == code, outcome.stderr
    assert outcome.stdout == b""
    assert outcome.stderr.startswith("inrcodec: ")
    assert outcome.stderr.count("\n") == 1
    assert all(text in outcome.stderr for text in says), outcome.stderr


@pytest.fixture
def bad(tmp_path, film, moving) -> Path:
    """A folder of films that cannot be encoded."""
    folder = tmp_path / "bad"
    for name in ("sizes", "gap"):
        (folder / name).mkdir(parents=True)
    picture = moving(1)[0]
    media.write(Signal.image(picture), folder / "sizes" / "1.png")
    media.write(Signal.image(picture[1:]), folder / "sizes" / "2.png")
    for number in (1, 2, 4):
        media.write(Signal.image(picture), folder / "gap" / f"{number}.png")
    whole = media.to_bytes(media.read(film), ".mp4")
    (folder / "cut.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    (folder / "still.mp4").write_bytes(without_time(whole))
    (folder / "none.y4m").write_bytes(b"YUV4MPEG2 W4 H2 F25:1 Cmono\n")
    (folder / "cut.y4m").write_bytes(b"YUV4MPEG2 W4 H2 F25:1 Cmono\nFRAME\n12345678FRAME\n1234567")
    for name in ("sound.mp4", "sound.m4a"):
        (folder / name).write_bytes(only_sound())
    return folder


def without_time(mp4: bytes) -> bytes:
    """An MP4 file whose frames follow one another after no time."""
    data = bytearray(mp4)
    place = data.index(b"stts") + 8
    assert struct.unpack_from(">I", data, place) == (1,)
    struct.pack_into(">I", data, place + 8, 0)
    return bytes(data)


def only_sound() -> bytes:
    sink = io.BytesIO()
    with av.open(sink, "w", format="mp4") as file:
        stream = file.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp")
        frame.sample_rate = 44100
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return sink.getvalue()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sizes/%d.png", "frame 1 is 16 x 11 pixels"),
        ("gap/%d.png", "image 3 of 4 is missing"),
        ("missing/%d.png", "no such image"),
        ("gap", "is a folder"),
        ("cut.mp4", "ends early"),
        ("still.mp4", "frame 1 is not shown after the one before it"),
        ("none.y4m", "no frames"),
        ("cut.y4m", "ends early"),
        ("sound.mp4", "no video"),
        ("sound.m4a", "no video"),
    ],
)
def test_an_input_that_is_no_film_gives_exit_3(run, bad, tmp_path, name, message):
    outcome = run("encode", bad / name, "-o", tmp_path / "x.inr", *QUICK)
    assert_refused(outcome, 3, name, message)
    assert list(tmp_path.iterdir()) == [bad]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--frames", "5:5"), "frames '5:5' end before they start"),
        (("--frames", "0:999"), "frames 0:999 are not within 0:5"),
        (("--frames", "1"), "frames '1' is not a:b"),
        (("--seconds", "0:1"), "--seconds is for sound, not for film"),
        (("--rate", "25"), "rate 25 is for images"),
        (("--group", "0"), "group of 0 frames is not in [1, 1024]"),
        (("--group", "two"), "--group 'two' is not a whole number"),
        (("--variable", "x"), "is for arrays, not for"),
        (("--channels-last",), "is for arrays, not for"),
    ],
)
def test_wrong_options_of_a_films_encode_give_exit_2(run, film, tmp_path, arguments, message):
    outcome = run("encode", film, "-o", tmp_path / "x.inr", "--quiet", *arguments)
    assert_refused(outcome, 2, message)
    assert list(tmp_path.iterdir()) == []


def test_options_of_films_are_refused_for_others(run, photo, sound, photo_stream, tmp_path):
    for source in (photo, sound):
        for option in (("--frames", "0:1"), ("--rate", "25")):
            outcome = run("encode", source, "-o", tmp_path / "x.inr", *option)
            assert_refused(outcome, 2, "film", str(source))
    outcome = run("decode", photo_stream, "-o", tmp_path / "x.png", "--codec", "x264")
    assert_refused(outcome, 2, "--codec is for film, not for image")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("x.png", (), "PNG cannot hold video"),
        ("x.wav", (), "WAV cannot hold video"),
        ("x.webm", (), "'.webm' is not one of"),
        ("x.mkv", ("--format", "png"), "PNG cannot hold video"),
        ("x.mkv", ("--codec", "nope"), "codec 'nope' is not one of ffv1, x264"),
        ("x.y4m", ("--codec", "x264"), "Y4M has no codec"),
        ("f/%d.png", ("--codec", "ffv1"), "a sequence of images has no codec"),
        ("f/%d.wav", (), "WAV is not a format of images"),
        ("no/f/%d.png", (), "/no does not exist"),
        ("no/x.mkv", (), "/no does not exist"),
        ("x.mkv", ("--frames", "5:5"), "frames '5:5' end before they start"),
        ("x.mkv", ("--frames", "0:6"), "frames 0:6 are not within 0:5"),
        ("x.mkv", ("--seconds", "0:1"), "seconds is for audio"),
        ("x.mkv", ("--rate", "0"), "rate 0 is not in"),
        ("x.mkv", ("--scale", "1e6"), "samples are over"),
        ("x.mkv", ("--region", "0,0,17,1"), "not within 16 x 12"),
    ],
)
def test_what_a_film_cannot_give_is_one_line_and_exit_2(
    run, film_stream, tmp_path, name, arguments, message
):
    outcome = run("decode", film_stream, "-o", tmp_path / name, *arguments)
    assert_refused(outcome, 2, message)
    assert list(tmp_path.iterdir()) == []


def test_a_film_is_not_written_to_standard_output(run, film_stream):
    for format_ in ((), ("--format", "y4m")):
        outcome = run("decode", film_stream, "-o", "-", *format_)
        assert_refused(outcome, 2, "not written to standard output")


def test_images_that_are_there_are_kept_unless_forced(run, film_stream, tmp_path):
    output = tmp_path / "%d.png"
    (tmp_path / "3.png").write_bytes(b"precious")
    assert_refused(run("decode", film_stream, "-o", output), 2, "3.png exists", "-f")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"precious"]
    assert run("decode", film_stream, "-o", output, "-f", "--frames", "1:4").code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.png", "2.png", "3.png"]
    outcome = run("decode", film_stream, "-o", output, "-f", "--frames", "0:2")
    assert_refused(outcome, 2, "3.png exists and is of another film")


@pytest.mark.parametrize("kind", ["size", "image", "length"])
def test_eval_refuses_another_film(run, photo, film_stream, tmp_path, kind, moving):
    reference = photo
    if kind != "image":
        reference = tmp_path / "other.mkv"
        other = moving(5, height=11) if kind == "size" else moving(4)
        media.write(Signal.video(other, Fraction(1, 25)), reference)
    assert_refused(run("eval", reference, film_stream), 2, "the reference is")


# --- broken off ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["full.mkv", "full.mp4", "full.y4m", "full/%d.tiff"])
def test_a_full_disk_gives_exit_1_and_leaves_no_film(spawn, film_stream, tmp_path, name):
    """A limit on the size of files stands in for the disk: the same error from the same call."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))

    process = spawn("decode", film_stream, "-o", name, "--quiet", preexec_fn=limit)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1, stderr
    assert (stderr.count(b"\n"), b"file too large" in stderr) == (1, True), stderr
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_a_film_of_the_groups_so_far(run, spawn, tmp_path, moving):
    source = tmp_path / "long.y4m"
    media.write(Signal.video(moving(2000, 8, 8), Fraction(1, 25)), source)
    process = spawn("encode", source, "-o", "long.inr", "--group", 1, "--iters", 50)
    for _ in range(2):  # the second line comes seconds after the first, and many groups
        assert process.stderr.readline().startswith(b"long.y4m: ")
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"interrupted; long.inr holds the best so far" in stderr
    decoded = inrcodec.decode(tmp_path / "long.inr")
    n_frames = decoded.spec.grid[0]
    assert 2 <= n_frames < 2000
    assert decoded.part == (0, n_frames)
    assert run("eval", source, tmp_path / "long.inr").code == 0
