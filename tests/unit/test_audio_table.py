"""What the table of sounds works out: curves that rise, the best codec, shares of bits."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
for extra in ("av", "matplotlib", "soundfile"):
    pytest.importorskip(extra)
sys.path.insert(0, str(ROOT / "scripts"))
try:
    import audio_table
    import cuts_table
    import rd_sets
    from audio_table import Point
finally:
    sys.path.remove(str(ROOT / "scripts"))

OURS = [Point(8.0, 20.0), Point(32.0, 40.0)]
OPUS = [Point(32.0, 20.0), Point(64.0, 30.0)]
MP3 = [Point(64.0, 20.0), Point(64.0 * math.sqrt(2.0), 30.0)]


def test_points_that_others_beat_are_left_out() -> None:
    points = [Point(9.0, 5.0), Point(8.0, 4.0), Point(10.0, 4.5), Point(12.0, 6.0)]
    assert audio_table.rising(points) == [Point(8.0, 4.0), Point(9.0, 5.0), Point(12.0, 6.0)]


def test_rates_lie_on_lines_over_the_logarithm() -> None:
    assert audio_table.kbps_at(OURS, 30.0) == pytest.approx(16.0)
    assert audio_table.kbps_at(OURS, 19.9) is None
    assert audio_table.kbps_at([], 20.0) is None


def test_the_best_codec_is_the_one_with_the_fewest_bits() -> None:
    curves = {"cosine": OURS, "opus": OPUS, "mp3": MP3}
    assert audio_table.best_at(curves, 20.0) == (pytest.approx(32.0), "opus")
    assert audio_table.best_at(curves, 20.0, 16.0) is None
    assert audio_table.best_at({"cosine": OURS}, 20.0) is None


def test_shares_are_of_the_best_codec_where_both_are() -> None:
    share = audio_table.share_of_bits({"cosine": OURS, "opus": OPUS})
    assert share is not None
    assert share[0] == pytest.approx(0.25)
    assert share[1] == pytest.approx(0.25)
    assert audio_table.share_of_bits({"cosine": OURS, "opus": OPUS}, "mp3") is None
    assert audio_table.change(0.25) == "-75 %"


def test_the_table_has_a_line_for_each_clip_and_the_means() -> None:
    clips = {"a": {"cosine": OURS, "opus": OPUS}, "b": {"cosine": OURS, "opus": MP3}}
    lines = list(audio_table.table(clips, clips))
    assert lines[2].split(" | ")[1:4] == ["8.0", "32.0 (opus)", "-75 %"]
    assert lines[2].split(" | ")[6] == "-75 %"  # in the band
    assert lines[4].split(" | ")[1:3] == ["8.0", "45.3"]


def row(file: str, model: str, kbps: float, pesq: float | str) -> dict[str, str]:
    numbers = {"kbps": str(kbps), "pesq_wb": str(pesq), "estoi": "", "lsd_db": "3.0"}
    return {"file": file, "model": model, **numbers}


def test_sounds_for_ears_stand_beside_codecs() -> None:
    rows = [
        row("a", "cosine", 7.9, 2.0),
        row("a", "cosine", 32.0, 4.0),
        row("a", "opus", 12.0, 1.0),
        row("a", "opus", 48.0, 3.0),
        row("b", "cosine", 8.0, 3.0),
        row("b", "cosine", 32.0, 3.0),
        row("c", "mp3", 16.0, ""),
    ]
    lines = list(audio_table.ears_tables(rows))
    assert lines[2].split(" | ") == ["| a", "mse", "2.02", "2.60", "3.01", "3.59 |"]
    assert lines[3].split(" | ") == ["| a", "Opus", "", "1.00", "1.42", "2.00 |"]
    assert [line.split(" | ")[:3] for line in lines[5:7]] == [
        ["| mean", "mse", "2.51"],
        ["| mean", "Opus", ""],  # not of both sounds
    ]
    assert not [line for line in lines if line.startswith("| c")]  # of MP3, the means alone
    assert list(audio_table.ears_tables([])) == []


def test_the_set_of_sounds_names_its_speech() -> None:
    chosen = rd_sets.SETS["audio"]
    assert chosen.speech is not None
    assert set(chosen.speech) < set(chosen.files)


# --- cuts ----------------------------------------------------------------------------------------


def cut_row(clip: str, model: str, kbps: float, snr_db: float) -> dict[str, str]:
    values = {"kbps": kbps, "snr_db": snr_db, "psnr_db": snr_db + 20.0, "encode_s": 2.0}
    return {"file": clip, "model": model, **{name: str(value) for name, value in values.items()}}


CUTS = [
    cut_row(cuts_table.THEIR_CLIP, "cosine", 7.9, 20.0),
    cut_row(cuts_table.THEIR_CLIP, "cosine", 31.6, 40.0),
    cut_row(cuts_table.THEIR_CLIP, "mp3", 16.0, 10.0),
    cut_row("1688-142285-0000", "cosine", 4.0, 20.0),
]


def test_rates_that_a_codec_does_not_reach_are_left_out() -> None:
    lines = list(cuts_table.rate_table(CUTS))
    assert lines[0].startswith("| SNR in dB at 8, 16, 32 kbps | recombiner-example | 1688")
    assert lines[2] == "| cosine | 20.2, 30.2, 40.0 | -, -, - | 2.0 |"
    assert lines[3] == "| mp3 | -, 10.0, - | -, -, - | 2.0 |"


def test_published_points_stand_beside_ours_at_their_psnr() -> None:
    fields = {"set": "cuts", "codec": "RECOMBINER", "kbps": "15.8", "psnr_db": "40.0"}
    other = {"set": "sounds", "codec": "COIN++", "kbps": "15.8", "psnr_db": "40.0"}
    image = {"set": "images", "codec": "COIN++", "kbps": "", "psnr_db": "30.0"}
    lines = list(cuts_table.published_table(CUTS, [fields, other, image]))
    assert lines[2] == "| RECOMBINER | 15.8 | 40.00 | 7.90 | - | - | - | - | -50 % |"
    assert lines[3] == "| COIN++ | 15.8 | 40.00 | - | - | - | - | - |  |"
    assert len(lines) == 5


def test_the_mean_of_rates_is_geometric() -> None:
    curves = {("a", "x"): [Point(4.0, 20.0)], ("b", "x"): [Point(16.0, 20.0)]}
    assert cuts_table.mean_kbps(curves, ("a", "b"), "x", 20.0) == pytest.approx(8.0)
    assert cuts_table.mean_kbps(curves, ("a", "c"), "x", 20.0) is None
