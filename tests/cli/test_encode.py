"""`inrcodec encode`: what is written, what is printed, and with which exit code."""

import json
import os
import re
from dataclasses import fields
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

import inrcodec
from inrcodec import media
from inrcodec.cli._request import KEYS, build_request
from inrcodec.representations import NAMES, by_name
from inrcodec.request import Measure
from inrcodec.signal import Signal


def test_an_image_becomes_a_stream_that_decodes_to_its_size(run, photo, tmp_path):
    outcome = run("encode", photo, "-o", tmp_path / "p.inr", "--iters", 20)
    assert outcome.code == 0
    assert b"photo.png -> " in outcome.stdout
    assert inrcodec.decode(tmp_path / "p.inr").samples.shape == (24, 40, 3)


def test_json_of_an_image_names_its_bytes_and_their_parts(run, photo, tmp_path):
    outcome = run("encode", photo, "-o", tmp_path / "p.inr", "--iters", 20, "--json", "--quiet")
    fields = json.loads(outcome.stdout)
    n_bytes = (tmp_path / "p.inr").stat().st_size
    assert fields["bytes"] == n_bytes == sum(fields["breakdown"].values())
    assert fields["bpp"] == 8 * n_bytes / (24 * 40)
    assert fields["psnr_db"] > 10
    assert fields["iterations"] == 20
    assert fields["seconds"] > 0
    assert fields["model"] == "latentgrid"
    assert "kbps" not in fields


def test_json_of_a_sound_has_its_rate_and_snr(run, sound, tmp_path):
    outcome = run("encode", sound, "-o", tmp_path / "s.inr", "--iters", 20, "--json")
    fields = json.loads(outcome.stdout)
    assert fields["kbps"] == pytest.approx(8 * fields["bytes"] / 0.5 / 1000)
    assert fields["snr_db"] is not None


def test_several_inputs_become_one_stream_each(run, photo, sound, tmp_path):
    outcome = run("encode", photo, sound, "-o", f"{tmp_path}/new/", "--iters", 5, "--json")
    assert outcome.code == 0
    lines = [json.loads(line) for line in outcome.stdout.splitlines()]
    assert [line["input"] for line in lines] == [str(photo), str(sound)]
    assert [line["model"] for line in lines] == ["latentgrid", "cosine"]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["photo.inr", "sound.inr"]


def test_inputs_side_by_side_become_the_same_streams(run, photo, sound, tmp_path):
    inputs = (photo, sound, tmp_path / "missing.png")
    options = ("--iters", 5, "--json")
    alone = run("encode", *inputs, "-o", f"{tmp_path}/alone/", *options, "--jobs", 1)
    together = run("encode", *inputs, "-o", f"{tmp_path}/together/", *options, "--jobs", 3)
    assert alone.code == together.code == 3
    assert "missing.png" in together.stderr
    assert "3 inputs in " in together.stderr
    for name in ("photo.inr", "sound.inr"):
        files = [tmp_path / folder / name for folder in ("alone", "together")]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_a_folder_is_made_for_the_first_stream_only(run, photo, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    folder = tmp_path / "new" / "deep"
    assert run("encode", bad, "-o", f"{folder}/", "--iters", 5).code == 3
    assert list(tmp_path.iterdir()) == [bad]
    assert run("encode", bad, photo, "-o", f"{folder}/", "--iters", 5).code == 3
    assert [path.name for path in folder.iterdir()] == ["photo.inr"]


def test_a_file_name_that_is_no_text_is_shown_escaped(spawn, photo, tmp_path):
    source = os.fsencode(tmp_path) + b"/caf\xe9.png"
    Path(os.fsdecode(source)).write_bytes(photo.read_bytes())
    process = spawn("encode", os.fsdecode(source), "-o", "out/", "--iters", 3)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert b"caf\\udce9.png -> out/caf\\udce9.inr" in stdout


def test_one_bad_input_does_not_stop_the_others(run, photo, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    outcome = run("encode", bad, photo, "-o", f"{tmp_path}/", "--iters", 5)
    assert outcome.code == 3
    assert "bad.png" in outcome.stderr
    assert (tmp_path / "photo.inr").exists()
    assert not (tmp_path / "bad.inr").exists()


def test_a_missed_target_gives_exit_5_and_the_best_file(run, photo, tmp_path):
    outcome = run("encode", photo, "-o", tmp_path / "p.inr", "--psnr", 119, "--iters", 6)
    assert outcome.code == 5
    assert "psnr 119 was not reached" in outcome.stderr
    assert run("verify", tmp_path / "p.inr").code == 0


def test_a_size_is_never_exceeded(run, photo, tmp_path):
    outcome = run("encode", photo, "-o", tmp_path / "p.inr", "--size", "0.6KB", "--iters", 200)
    assert outcome.code in (0, 5)
    if outcome.code == 0:
        assert (tmp_path / "p.inr").stat().st_size <= 600


def test_a_mask_is_an_image_of_the_same_size(run, photo, sound, tmp_path):
    for name, size in (("mask.png", (24, 40)), ("other.png", (24, 41))):
        media.write(Signal.image(np.full(size, 200, np.uint8)), tmp_path / name)
    arguments = ("encode", photo, "-o", tmp_path / "p.inr", "--iters", 3, "--roi")
    assert run(*arguments, tmp_path / "mask.png").code == 0
    assert run("verify", tmp_path / "p.inr").code == 0
    outcome = run(*arguments, tmp_path / "other.png", "-f")
    assert outcome.code == 3
    assert "photo.png: roi of 41 x 24 pixels for an image of 40 x 24" in outcome.stderr
    assert run(*arguments, "missing.png", "-f").code == 3
    outcome = run(*arguments, tmp_path / "mask.png", "-f", "--model", "siren")
    assert outcome.code == 2
    assert "roi is for latentgrid, not for siren" in outcome.stderr


def test_the_same_seed_and_iterations_repeat_a_file(run, photo, tmp_path):
    for name in ("a", "b", "c"):
        seed = 2 if name == "c" else 1
        run("encode", photo, "-o", tmp_path / f"{name}.inr", "--iters", 10, "--seed", seed)
    first, second, other = ((tmp_path / f"{name}.inr").read_bytes() for name in "abc")
    assert first == second != other


def test_a_part_of_a_sound_remembers_where_it_was(run, sound, tmp_path):
    stream = tmp_path / "s.inr"
    outcome = run("encode", sound, "-o", stream, "--iters", 20, "--seconds", "0.1:0.3")
    assert outcome.code == 0
    described = json.loads(run("info", stream, "--json").stdout)
    assert described["part"] == [800, 2400]
    assert json.loads(run("eval", sound, stream, "--json").stdout)["bytes"] > 0


def test_pipes_carry_the_stream_and_stderr_the_json(run, photo):
    outcome = run("encode", "-", "-o", "-", "--iters", 5, "--json", stdin=photo.read_bytes())
    assert inrcodec.decode(outcome.stdout).samples.shape == (24, 40, 3)
    assert json.loads(outcome.stderr)["input"] == "-"


def test_quiet_prints_nothing_and_does_not_silence_json(run, photo, tmp_path):
    arguments = ("encode", photo, "-o", tmp_path / "p.inr", "--iters", 5, "--quiet", "-f")
    assert run(*arguments).stdout == b""
    assert run(*arguments, "--json").stdout.startswith(b"{")


def test_force_overwrites(run, photo, tmp_path):
    stream = tmp_path / "p.inr"
    stream.write_bytes(b"old")
    assert run("encode", photo, "-o", stream, "--iters", 5, "--force").code == 0
    assert stream.read_bytes() != b"old"


def test_a_config_file_gives_what_the_command_line_does_not(run, photo, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text(
        'model = "siren"\niters = 7\nlambda = 0.001\nno_verify = true\n'
        "[options]\ndepth = 2\n[siren]\nwidth = 6\n[hashgrid]\nlevels = 2\n"
    )
    outcome = run(
        "encode", photo, "-o", tmp_path / "p.inr", "--config", config, "--iters", 9, "--json"
    )
    fields = json.loads(outcome.stdout)
    assert (fields["model"], fields["iterations"]) == ("siren", 9)


def test_a_target_on_the_command_line_replaces_that_of_the_config_file(run, photo, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text('size = "600B"\niters = 3\n')
    outcome = run("encode", photo, "-o", tmp_path / "p.inr", "--config", config, "-q", 20)
    assert outcome.code == 0  # a quality is always reached


@pytest.mark.parametrize(
    ("kind", "model", "field", "values"),
    [("photo", "latentgrid", "levels", (1, 4)), ("sound", "cosine", "frame", (128, 16384))],
)
def test_the_table_of_what_auto_stands_for_applies_and_others_are_passed_over(
    run, request, tmp_path, kind, model, field, values
):
    config, sizes = tmp_path / "c.toml", {}
    for value in values:
        config.write_text(f"iters = 3\n[siren]\nwidth = 6\n[{model}]\n{field} = {value}\n")
        stream = tmp_path / f"{value}.inr"
        source = request.getfixturevalue(kind)
        assert run("encode", source, "-o", stream, "--config", config).code == 0
        described = json.loads(run("info", stream, "--json").stdout)
        assert described["model"] == model
        sizes[value] = described["n_parameters"]
    assert sizes[values[0]] < sizes[values[1]]


def test_one_file_serves_inputs_of_several_kinds_and_their_models_tables_win(run, photo, tmp_path):
    config, line = tmp_path / "c.toml", tmp_path / "line.npy"
    np.save(line, np.arange(30.0))
    config.write_text("iters = 3\n[options]\nlevels = 3\n[hashgrid]\nlevels = 0\n")
    outcome = run("encode", photo, line, "-o", f"{tmp_path}/", "--config", config)
    assert outcome.code == 2
    assert "line.npy" in outcome.stderr
    assert "levels 0 is not" in outcome.stderr
    assert (tmp_path / "photo.inr").exists()


def test_a_preset_on_the_command_line_replaces_iterations_of_the_config_file(tmp_path):
    config = tmp_path / "c.toml"
    config.write_text("iters = 3\ntime = 9\n")
    request = build_request(str(config), {"preset": "fast", "no_verify": None}, {})
    assert (request.preset, request.iterations, request.seconds) == ("fast", None, 9.0)
    assert request.verify


def test_every_key_and_every_field_of_a_config_is_documented():
    text = (Path(__file__).parents[2] / "docs" / "config.md").read_text(encoding="utf-8")
    settings = text.partition("## Tables")[0]
    assert [key for key in (*KEYS, *get_args(Measure)) if f"`{key}`" not in settings] == []
    for name in NAMES:
        rows = text.partition(f"### `[{name}]`")[2].partition("###")[0]
        documented = dict(re.findall(r"^\| `(\w+)` \|[^|]*\| *([\w.]*) *\|", rows, re.MULTILINE))
        defaults = {field.name: field.default for field in fields(by_name(name).Config)}
        assert documented == {k: "" if v is None else json.dumps(v) for k, v in defaults.items()}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "colour = 1",
            "'colour' is not one of model, preset, time, iters, seed, tune, group",
        ),
        ("iterations = 3", "'iterations' is not one of"),
        ("iters = 'many'", "iters 'many' has the wrong type"),
        ("no_verify = 1", "no_verify 1 has the wrong type"),
        ("seed = true", "seed True has the wrong type"),
        (f"time = 1{'0' * 400}", "time 1000"),
        (f"iters = 1{'0' * 5000}", "is not TOML"),
        ("iters = 3\npreset = 'fast'", "contradict"),
        ("quality = 'high'", "quality 'high' is not a number"),
        ("quality = 5\nbpp = 1", "quality and bpp contradict"),
        ("options = 3", "'options' is a table"),
        ("siren = 3", "'siren' is a table"),
        ("[options]\nwidht = 3", "latentgrid does not take all of widht"),
        ("[latentgrid]\nwidth = 3", "latentgrid does not take all of width"),
        ("model = 'siren'\n[siren]\ntile = 64", "siren does not take all of tile"),
        ("model = ", "is not TOML"),
    ],
)
def test_a_wrong_config_file_is_one_line_and_exit_2(run, photo, tmp_path, text, message):
    config = tmp_path / "c.toml"
    config.write_text(text)
    outcome = run("encode", photo, "-o", tmp_path / "p.inr", "--config", config)
    assert outcome.code == 2
    assert message in outcome.stderr
    assert outcome.stderr.count("\n") == 1
