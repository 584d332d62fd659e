"""Films on the command line: there and back, parts, sizes, rates, measures, refusals."""

import contextlib
import io
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import inrcodec
from inrcodec import media, metrics
from inrcodec.cli import main
from inrcodec.container import Stream
from inrcodec.signal import Kind, Signal

av = pytest.importorskip("av")

BUNNY = Path(__file__).parents[2] / "data" / "samples" / "bunny.mp4"
FRAMES = 5
QUICK = ("--model", "siren", "--iters", 5, "--quiet")


def rate_of(path: object) -> Fraction | None:
    with media.open_film(str(path)) as film:
        return None if film.spec.time_base is None else 1 / film.spec.time_base


@pytest.fixture(scope="module")
def bunny(tmp_path_factory) -> tuple[Path, dict]:
    """Frames 2 to 7 of the sample film as a stream, and the JSON of its encode."""
    stream, said = tmp_path_factory.mktemp("bunny") / "b.inr", io.StringIO()
    options = ["--frames", "2:8", "--iters", "30", "--group", "4", "--quiet", "--json"]
    with contextlib.redirect_stdout(said), pytest.raises(SystemExit) as caught:
        main(["encode", str(BUNNY), "-o", str(stream), *options])
    assert not caught.value.code
    return stream, json.loads(said.getvalue())


# --- there and back ------------------------------------------------------------------------------


def test_json_of_an_encode_tells_the_bytes_of_the_groups(bunny):
    stream, fields = bunny
    assert fields["bytes"] == stream.stat().st_size == sum(fields["breakdown"].values())
    assert fields["bpp"] == pytest.approx(8 * fields["bytes"] / (6 * 180 * 320))
    assert fields["kbps"] == pytest.approx(8 * fields["bytes"] / 0.24 / 1000)
    assert (fields["frames"], fields["iterations"], fields["reached"]) == (6, 60, True)
    assert "group" in fields["breakdown"]
    assert [group.n_frames for group in Stream.from_bytes(stream.read_bytes()).groups] == [3, 3]


def test_matroska_holds_exactly_what_the_library_decodes(run, bunny, tmp_path):
    outcome = run("decode", bunny[0], "-o", tmp_path / "b.mkv", "--json")
    fields = json.loads(outcome.stdout)
    assert (fields["kind"], fields["grid"], fields["channels"]) == ("video", [6, 180, 320], 3)
    assert fields["bytes"] == (tmp_path / "b.mkv").stat().st_size
    expected, written = inrcodec.decode(bunny[0]), media.read(tmp_path / "b.mkv")
    np.testing.assert_array_equal(written.samples, expected.samples)
    assert written.spec == expected.spec


def test_mp4_and_y4m_hold_nearly_that(run, bunny, tmp_path):
    expected = inrcodec.decode(bunny[0])
    for name, codec in (("b.mp4", ("--codec", "x264")), ("b.y4m", ())):
        assert run("decode", bunny[0], "-o", tmp_path / name, *codec).code == 0
        written = media.read(tmp_path / name)
        assert written.spec == expected.spec
        assert metrics.film_psnr_db(expected, written) > 30.0


def test_eval_measures_the_part_of_the_film_that_was_coded(run, bunny):
    fields = json.loads(run("eval", BUNNY, bunny[0], "--json").stdout)
    names = ("bytes", "bpp", "psnr_db", "kbps", "frames")
    assert [fields[name] for name in names] == [bunny[1][name] for name in names]
    part = media.read(BUNNY).cut(2, 8)
    decoded = inrcodec.decode(bunny[0])
    assert fields["psnr_db"] == pytest.approx(metrics.film_psnr_db(part, decoded))


def test_info_and_verify_know_films(run, bunny):
    fields = json.loads(run("info", bunny[0], "--json").stdout)
    assert (fields["kind"], fields["grid"], fields["part"]) == ("video", [6, 180, 320], [2, 8])
    assert (fields["time_base"], fields["evenly_spaced"], fields["groups"]) == ("1/25", True, 2)
    assert fields["axes"][0] == {"name": "time", "unit": "s", "spacing": 0.04}
    assert fields["duration_seconds"] == pytest.approx(0.24)
    assert fields["colour"]["matrix"] == 1
    assert b"groups           2" in run("info", bunny[0]).stdout
    assert run("verify", bunny[0]).stdout == f"{bunny[0]}: ok\n".encode()


def test_verify_computes_the_groups_one_by_one(run, film_stream, tmp_path):
    data = bytearray(film_stream.read_bytes())
    stream = Stream.from_bytes(bytes(data))
    last = stream.groups[-1]
    damaged = last._replace(sections={**last.sections, 3: last.sections[3][:-4]})
    bad = tmp_path / "bad.inr"
    bad.write_bytes(Stream(**{**vars(stream), "groups": (*stream.groups[:-1], damaged)}).to_bytes())
    outcome = run("verify", bad, film_stream)
    assert (outcome.code, outcome.stderr.count("\n")) == (4, 1)
    assert "do not end with" in outcome.stderr


# --- images and pipes ----------------------------------------------------------------------------


def test_numbered_images_become_a_film_and_come_back(run, film, tmp_path):
    (tmp_path / "in").mkdir()
    media.write(media.read(film), tmp_path / "in" / "%03d.png")
    stream = tmp_path / "s.inr"
    source = tmp_path / "in" / "%03d.png"
    outcome = run("encode", source, "-o", stream, "--rate", 50, "--json", *QUICK)
    assert json.loads(outcome.stdout)["frames"] == FRAMES
    assert json.loads(run("info", stream, "--json").stdout)["time_base"] == "1/50"
    outcome = run("decode", stream, "-o", tmp_path / "new" / "%04d.png", "--json")
    assert json.loads(outcome.stdout)["bytes"] is None
    assert outcome.stderr.count("\n") == 1  # images have no rate
    names = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert names == [f"{number:04}.png" for number in range(1, FRAMES + 1)]
    back = media.read(tmp_path / "new" / "%04d.png")
    np.testing.assert_array_equal(back.samples, inrcodec.decode(stream).samples)
    assert run("eval", source, stream).code == 0


def test_a_format_is_believed_of_images_too(run, film_stream, tmp_path):
    output = tmp_path / "f" / "%d.img"
    assert run("decode", film_stream, "-o", output, "--format", "tiff").code == 0
    assert (tmp_path / "f" / "1.img").read_bytes()[:4] in (b"II*\0", b"MM\0*")
    assert run("decode", film_stream, "-o", tmp_path / "x.bin", "--format", "mkv").code == 0
    assert media.read(tmp_path / "x.bin").spec.kind is Kind.VIDEO


def test_images_get_the_name_of_their_folder(run, film, tmp_path):
    (tmp_path / "walk").mkdir()
    media.write(media.read(film), tmp_path / "walk" / "%d.png")
    assert run("encode", tmp_path / "walk" / "%d.png", "-o", f"{tmp_path}/", *QUICK).code == 0
    assert (tmp_path / "walk.inr").exists()


def test_y4m_is_an_input(run, tmp_path, moving):
    source, stream = tmp_path / "f.y4m", tmp_path / "f.inr"
    media.write(Signal.video(moving(FRAMES), Fraction(1001, 30000)), source)
    fields = json.loads(run("encode", source, "-o", stream, "--json", *QUICK).stdout)
    assert fields["kbps"] == pytest.approx(8 * fields["bytes"] * 30000 / 1001 / FRAMES / 1000)
    assert json.loads(run("info", stream, "--json").stdout)["time_base"] == "1001/30000"


def test_films_go_through_pipes(run, film, tmp_path):
    outcome = run("encode", "-", "-o", "-", *QUICK, stdin=film.read_bytes())
    assert inrcodec.decode(outcome.stdout).samples.shape == (5, 12, 16, 3)
    assert run("verify", "-", stdin=outcome.stdout).code == 0
    decoded = run("decode", "-", "-o", tmp_path / "f.mkv", stdin=outcome.stdout)
    assert decoded.code == 0
    (tmp_path / "f.inr").write_bytes(outcome.stdout)
    measured = run("eval", "-", tmp_path / "f.inr", "--json", stdin=film.read_bytes())
    assert json.loads(measured.stdout)["frames"] == FRAMES


def test_times_of_an_uneven_film_come_back(run, tmp_path, moving):
    times = np.array([0, 40, 80, 200, 240])
    source, stream = tmp_path / "u.mkv", tmp_path / "u.inr"
    media.write(Signal.video(moving(FRAMES), Fraction(1, 1000), times=times), source)
    fields = json.loads(run("encode", source, "-o", stream, "--json", *QUICK).stdout)
    assert fields["kbps"] == pytest.approx(8 * fields["bytes"] / 0.3 / 1000)
    assert json.loads(run("info", stream, "--json").stdout)["evenly_spaced"] is False
    run("decode", stream, "-o", tmp_path / "all.mkv")
    np.testing.assert_array_equal(media.read(tmp_path / "all.mkv").times, times)
    run("decode", stream, "-o", tmp_path / "part.mkv", "--frames", "2:")
    np.testing.assert_array_equal(media.read(tmp_path / "part.mkv").times, [0, 120, 160])


# --- parts, sizes and rates ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "grid", "options"),
    [
        (("--frames", "1:4"), [3, 12, 16], {"frames": (1, 4)}),
        (("--frames", "3:"), [2, 12, 16], {"frames": (3, None)}),
        (("--scale", 0.5), [5, 6, 8], {"scale": 0.5}),
        (("--scale", 2, "--frames", ":1"), [1, 24, 32], {"scale": 2.0, "frames": (0, 1)}),
        (("--region", "2,3,8,6"), [5, 6, 8], {"region": (2, 3, 8, 6)}),
        (("--rate", 60), [12, 12, 16], {"rate": 60}),
        (("--rate", "25/2", "--frames", "1:"), [2, 12, 16], {"rate": 12.5, "frames": (1, None)}),
    ],
)
def test_what_is_asked_for_is_what_the_library_reads(
    run, film_stream, tmp_path, arguments, grid, options
):
    output = tmp_path / "v.mkv"
    outcome = run("decode", film_stream, "-o", output, "--json", *arguments)
    assert json.loads(outcome.stdout)["grid"] == grid
    expected, written = inrcodec.open(film_stream).read(**options), media.read(output)
    np.testing.assert_array_equal(written.samples, expected.samples)
    assert rate_of(output) == options.get("rate", 25)
