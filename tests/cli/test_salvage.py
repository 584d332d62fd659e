"""`inrcodec decode --salvage`, and what is decoded of a stream of tiles one of which is damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import inrcodec
from inrcodec import media
from inrcodec.container import SectionId, Stream, tile_key
from inrcodec.container.sections import read_sections
from inrcodec.signal import Signal

N_TILES = 9  # that begin at rows 0, 47, 94 and columns 0, 50, 100, and go on for 8 more


@pytest.fixture(scope="session")
def tiled(tmp_path_factory) -> Path:
    """A picture of 150 x 140 pixels in nine tiles."""
    y, x = np.mgrid[:140, :150]
    planes = [127 + 100 * np.sin(x / 9), 127 + 100 * np.cos(y / 5), x + y / 2]
    picture = Signal.image(np.stack(planes, axis=2).astype(np.uint8))
    options = {"tile": 64, "macs": 500}
    path = tmp_path_factory.mktemp("tiled") / "tiled.inr"
    path.write_bytes(inrcodec.encode(picture, model="latentgrid", iterations=4, options=options))
    return path


def tile_sections(data: bytes):
    return [section for section in read_sections(data) if section.key == SectionId.TILE]


def with_wrong_checksums(data: bytes, *numbers: int) -> bytes:
    """The stream with a byte in the middle of some tiles flipped."""
    damaged = bytearray(data)
    for number in numbers:
        section = tile_sections(data)[number]
        damaged[section.start + len(section.payload) // 2] ^= 0xFF
    return bytes(damaged)


def damaged_inside(data: bytes, number: int) -> bytes:
    """The stream with a tile that is cut short, all checksums right."""
    stream = Stream.from_bytes(data)
    key = tile_key(number)
    sections = {**stream.sections, key: stream.sections[key][:9]}
    return Stream(**{**vars(stream), "sections": sections}).to_bytes()


@pytest.fixture
def damage(tiled, tmp_path):
    """Writes a damaged copy of the stream."""

    def write(change, *arguments) -> Path:
        path = tmp_path / "damaged.inr"
        path.write_bytes(change(tiled.read_bytes(), *arguments))
        return path

    return write


def pixels_of(path: Path) -> np.ndarray:
    return media.read(path).samples


def test_the_stream_has_tiles(tiled):
    assert len(tile_sections(tiled.read_bytes())) == inrcodec.open(tiled).n_tiles == N_TILES


def test_damaged_tiles_come_out_grey_and_all_else_as_it_was(run, tiled, damage, tmp_path):
    stream = damage(with_wrong_checksums, 0, 5)
    outcome = run("decode", stream, "-o", tmp_path / "p.png", "--salvage")
    assert outcome.code == 4
    assert outcome.stderr == f"inrcodec: {stream}: tiles 0, 5 of 9 are damaged and grey\n"
    pixels, whole = pixels_of(tmp_path / "p.png"), inrcodec.decode(tiled).samples
    assert (pixels[:47, :50] == 128).all()
    assert (pixels[55:94, 108:] == 128).all()
    np.testing.assert_array_equal(pixels[55:94, :100], whole[55:94, :100])
    np.testing.assert_array_equal(pixels[102:], whole[102:])
    np.testing.assert_array_equal(pixels, inrcodec.decode(stream, salvage=True).samples)


def test_a_tile_with_a_right_checksum_may_be_damaged(run, damage, tmp_path):
    stream = damage(damaged_inside, 4)
    outcome = run("decode", stream, "-o", tmp_path / "p.png", "--salvage")
    assert outcome.code == 4
    assert "tile 4 of 9 is damaged and grey" in outcome.stderr
    assert (pixels_of(tmp_path / "p.png")[55:94, 58:100] == 128).all()


def test_a_file_that_ends_early_is_grey_from_there_on(run, tiled, tmp_path):
    data = tiled.read_bytes()
    (tmp_path / "cut.inr").write_bytes(data[: tile_sections(data)[6].start + 20])
    outcome = run("decode", tmp_path / "cut.inr", "-o", tmp_path / "p.png", "--salvage")
    assert outcome.code == 4
    assert "tiles 6, 7, 8 of 9 are damaged and grey" in outcome.stderr
    whole = inrcodec.decode(tiled).samples
    np.testing.assert_array_equal(pixels_of(tmp_path / "p.png")[:94], whole[:94])


def test_a_file_that_ends_after_its_tiles_has_no_grey_but_is_no_valid_stream(run, tiled, tmp_path):
    (tmp_path / "long.inr").write_bytes(tiled.read_bytes() + b"more")
    outcome = run("decode", tmp_path / "long.inr", "-o", tmp_path / "p.png", "--salvage")
    assert outcome.code == 4
    assert "stream has 4 bytes left" in outcome.stderr
    assert "grey" not in outcome.stderr
    np.testing.assert_array_equal(pixels_of(tmp_path / "p.png"), inrcodec.decode(tiled).samples)


def test_salvage_of_a_sound_stream_is_a_decode(run, tiled, tmp_path):
    outcome = run("decode", tiled, "-o", tmp_path / "p.png", "--salvage")
    assert (outcome.code, outcome.stderr) == (0, "")
    np.testing.assert_array_equal(pixels_of(tmp_path / "p.png"), inrcodec.decode(tiled).samples)


def test_a_damaged_segment_of_a_sound_is_silent(run, tmp_path):
    samples = (9000 * np.sin(np.arange(4 * 8192) / 5.0)).astype(np.int16)
    options = {"segment_seconds": 1.024, "frame": 512}
    data = inrcodec.encode(Signal.audio(samples, 8000), model="cosine", options=options)
    (tmp_path / "bad.inr").write_bytes(with_wrong_checksums(data, 2))
    outcome = run("decode", tmp_path / "bad.inr", "-o", tmp_path / "s.wav", "--salvage")
    assert outcome.code == 4
    assert "segment 2 (2.05 to 3.07 s) of 4 is damaged and silent" in outcome.stderr
    decoded, whole = pixels_of(tmp_path / "s.wav"), inrcodec.decode(data).samples
    inside = decoded[2 * 8192 + 512 : 3 * 8192 - 512]
    assert not inside.any()
    np.testing.assert_array_equal(decoded[: 2 * 8192 - 512], whole[: 2 * 8192 - 512])


@pytest.mark.parametrize("name", [SectionId.HEAD, SectionId.MODEL])
def test_a_stream_without_its_beginning_is_refused(run, tiled, tmp_path, name):
    data = bytearray(tiled.read_bytes())
    section = next(one for one in read_sections(bytes(data)) if one.key == name)
    data[section.start] ^= 0xFF
    (tmp_path / "bad.inr").write_bytes(data)
    outcome = run("decode", tmp_path / "bad.inr", "-o", tmp_path / "p.png", "--salvage")
    assert outcome.code == 4
    assert f"checksum of section {int(name)} is wrong" in outcome.stderr
    assert not (tmp_path / "p.png").exists()


@pytest.mark.parametrize("arguments", [(), ("--salvage",)])
def test_other_streams_are_refused_as_ever(run, photo_stream, sound_stream, tmp_path, arguments):
    for path in (photo_stream, sound_stream):
        (tmp_path / "bad.inr").write_bytes(path.read_bytes()[:-9])
        outcome = run("decode", tmp_path / "bad.inr", "-o", tmp_path / "p.tiff", *arguments)
        assert outcome.code == 4
        assert outcome.stderr.count("\n") == 1
        assert not (tmp_path / "p.tiff").exists()


def test_salvage_leaves_a_sound_film_as_it_is(run, film_stream, tmp_path):
    assert run("decode", film_stream, "-o", tmp_path / "f.mkv", "--salvage").code == 0


def test_without_salvage_a_damaged_tile_is_named_and_nothing_written(run, tiled, damage, tmp_path):
    end = tile_sections(damaged_inside(tiled.read_bytes(), 5))[5].start + 9
    for change, message in (
        (with_wrong_checksums, "checksum of tile 5 is wrong (at byte"),
        (damaged_inside, f"tile 5 is damaged: it needs 1 more bytes, has 0 (at byte {end})"),
    ):
        outcome = run("decode", damage(change, 5), "-o", tmp_path / "p.png")
        assert outcome.code == 4
        assert message in outcome.stderr
        assert outcome.stderr.count("\n") == 1
        assert not (tmp_path / "p.png").exists()


def test_a_reader_tells_which_tiles_are_damaged(tiled, damage):
    reader = inrcodec.open(damage(with_wrong_checksums, 2, 3), salvage=True)
    assert reader.damaged() == (2, 3)
    assert "checksum of tile 2" in (reader.flaw or "")
    assert inrcodec.open(tiled, salvage=True).damaged() == ()
    assert inrcodec.open(tiled, salvage=True).flaw is None


# --- parts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("region", ["0,0,150,140", "3,7,20,30", "45,40,20,30", "149,139,1,1"])
def test_a_region_is_that_part_of_the_whole(run, tiled, tmp_path, region):
    assert run("decode", tiled, "-o", tmp_path / "p.png", "--region", region).code == 0
    x, y, width, height = map(int, region.split(","))
    part = inrcodec.decode(tiled).samples[y : y + height, x : x + width]
    np.testing.assert_array_equal(pixels_of(tmp_path / "p.png"), part)


def test_a_region_needs_the_tiles_that_it_touches_only(run, tiled, damage, tmp_path):
    stream, output = damage(damaged_inside, 8), tmp_path / "p.png"
    assert run("decode", stream, "-o", output, "--region", "0,0,100,140").code == 0
    whole = inrcodec.decode(tiled).samples
    np.testing.assert_array_equal(pixels_of(output), whole[:, :100])
    np.testing.assert_array_equal(inrcodec.open(stream)[3:50:7, ::-2], whole[3:50:7, ::-2])
    assert run("decode", stream, "-f", "-o", output, "--region", "0,0,101,140").code == 4
    with pytest.raises(inrcodec.CorruptError, match="tile 8"):
        inrcodec.open(stream)[-1, -1]


def test_a_region_is_salvaged_with_what_it_shows(run, tiled, damage, tmp_path):
    stream, output = damage(with_wrong_checksums, 8), tmp_path / "p.png"
    arguments = ("decode", stream, "-o", output, "--salvage", "-f", "--region")
    beside = run(*arguments, "0,0,100,140")
    assert beside.code == 4
    assert "checksum of tile 8 is wrong" in beside.stderr
    np.testing.assert_array_equal(pixels_of(output), inrcodec.decode(tiled).samples[:, :100])
    assert "tile 8 of 9 is damaged and grey" in run(*arguments, "100,100,50,40").stderr


@pytest.mark.parametrize("scale", ["2", "0.5", "1.01"])
def test_a_picture_of_tiles_has_one_size_only(run, tiled, tmp_path, scale):
    outcome = run("decode", tiled, "-o", tmp_path / "p.png", "--scale", scale)
    assert outcome.code == 2
    assert f"scale {scale} of latentgrid, which has one size only: 1" in outcome.stderr
    assert outcome.stderr.count("\n") == 1
    assert not (tmp_path / "p.png").exists()
    assert run("decode", tiled, "-o", tmp_path / "p.png", "--scale", 1).code == 0


def test_a_picture_of_tiles_has_nothing_between_its_samples(tiled):
    with pytest.raises(inrcodec.ConfigError, match="latentgrid cannot be evaluated between"):
        inrcodec.open(tiled).sample([[0.25, 0.5]])
