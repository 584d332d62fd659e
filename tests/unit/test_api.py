"""The public functions: what they take, what they give, what they refuse."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import inrcodec
from inrcodec.api import choose_target
from inrcodec.request import Target

GRADIENT = np.linspace(0, 255, 12 * 17 * 3).reshape(12, 17, 3).astype(np.uint8)


@pytest.fixture(scope="module")
def stream():
    return inrcodec.encode(GRADIENT, model="siren", iterations=20)


def test_every_public_name_is_there_and_listed():
    assert inrcodec.__all__ == sorted(inrcodec.__all__) == dir(inrcodec)
    for name in inrcodec.__all__:
        assert getattr(inrcodec, name) is not None
    assert inrcodec.errors.CorruptError is inrcodec.CorruptError


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'encoder'"):
        inrcodec.encoder  # noqa: B018


def test_modules_that_are_public_need_no_import_of_their_own():
    package = str(Path(inrcodec.__file__).parents[1])
    code = f"import sys; sys.path.insert(0, {package!r}); import inrcodec"
    check = "print(inrcodec.errors.LimitError.exit_code, list(inrcodec.presets.PRESETS)[0])"
    command = [sys.executable, "-c", f"{code}; {check}"]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"4 fast\n"


def test_import_loads_neither_torch_nor_pillow_nor_numpy():
    package = str(Path(inrcodec.__file__).parents[1])
    code = f"import sys; sys.path.insert(0, {package!r}); import inrcodec"
    check = "print({'torch', 'PIL', 'numpy'} & sys.modules.keys())"
    command = [sys.executable, "-c", f"{code}; {check}"]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"set()\n"


def test_decoding_loads_no_torch(stream, tmp_path):
    (tmp_path / "x.inr").write_bytes(stream)
    package = str(Path(inrcodec.__file__).parents[1])
    code = f"import sys; sys.path.insert(0, {package!r}); import inrcodec"
    check = "print(inrcodec.decode('x.inr').samples.shape, 'torch' in sys.modules)"
    command = [sys.executable, "-c", f"{code}; {check}"]
    result = subprocess.run(command, capture_output=True, check=True, cwd=tmp_path)
    assert result.stdout == b"(12, 17, 3) False\n"


def test_an_array_is_an_image_or_with_a_rate_a_sound(stream):
    assert inrcodec.decode(stream).spec.kind is inrcodec.Kind.IMAGE
    tone = (9000 * np.sin(np.arange(500) / 9)).astype(np.int16)
    sound = inrcodec.decode(inrcodec.encode(tone, sample_rate=8000, iterations=5))
    assert sound.spec.kind is inrcodec.Kind.AUDIO
    assert (sound.spec.sample_rate, sound.samples.shape) == (8000, (500, 1))


def test_a_path_the_bytes_of_a_file_and_a_signal_are_the_same_source(tmp_path):
    signal = inrcodec.Signal.image(GRADIENT)
    path = tmp_path / "g.png"
    inrcodec.write(signal, path)
    streams = {
        inrcodec.encode(source, iterations=3)
        for source in (path, str(path), path.read_bytes(), signal)
    }
    assert len(streams) == 1


def test_decode_and_open_take_bytes_and_paths(stream, tmp_path):
    path = tmp_path / "x.inr"
    path.write_bytes(stream)
    expected = inrcodec.decode(stream).samples
    np.testing.assert_array_equal(inrcodec.decode(path).samples, expected)
    np.testing.assert_array_equal(inrcodec.open(str(path))[...], expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"quality": 3, "psnr": 30}, "quality and psnr contradict"),
        ({"lam": -1}, "lambda -1"),
        ({"model": "warp"}, "model 'warp'"),
        ({"preset": "best"}, "preset 'best'"),
        ({"kbps": 8}, "kbps"),
        ({"options": {"widht": 3}}, "widht"),
    ],
)
def test_wrong_options_are_config_errors(arguments, message):
    with pytest.raises(inrcodec.ConfigError, match=message):
        inrcodec.encode(GRADIENT, **arguments)


def test_a_rate_for_what_has_its_own_is_refused(tmp_path):
    with pytest.raises(inrcodec.ConfigError, match="sample_rate 8000 is for arrays"):
        inrcodec.encode(inrcodec.Signal.image(GRADIENT), sample_rate=8000)


def test_limits_hold_for_decode_and_open(stream):
    limits = inrcodec.DecodeLimits(max_samples=100)
    for function in (inrcodec.decode, inrcodec.open):
        with pytest.raises(inrcodec.LimitError, match="612 samples"):
            function(stream, limits=limits)


def test_a_missing_file_is_a_signal_error():
    with pytest.raises(inrcodec.SignalError, match=r"missing\.inr"):
        inrcodec.open("missing.inr")


def test_no_target_is_the_default_one():
    assert choose_target({"bpp": None, "size": None}) == Target()
    assert choose_target({"bpp": 0.5, "size": None}) == Target("bpp", 0.5)


def test_presets_have_names_and_iterations():
    names = list(inrcodec.presets.PRESETS)
    iterations = [preset.iterations for preset in inrcodec.presets.PRESETS.values()]
    assert names == ["fast", "medium", "slow"]
    assert iterations == sorted(iterations)
