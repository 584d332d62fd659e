"""Measure rate and distortion: one row per file, model and target, appended when it is done.

    python scripts/run_rd.py DATA --set images --rows data/rd/images.csv
    python scripts/run_rd.py DATA --set kodak --iterations 2000 --rows data/rd/kodak.csv

DATA is a folder with kodak/kodimNN.png, photo/NAME.png, audio/NAME.wav and video/bigbuckbunny.mp4;
`rd_sets.py` says which of them, and the rates; `rd_models.py` the names of models. A row that
exists is skipped, so a run can be broken off and taken up again; the rows of the first rate come
first, after those of the baselines. Bytes are the length of the file; quality is that of the
decoded file. Films count the mean PSNR of their frames, sounds their PSNR with a peak of 2, as
papers on such functions do, and their SNR. `rd_baselines.py` says how other codecs are measured.

The sets kodak, photos and cuts have a budget of iterations, and of seconds too if that is given.
Kodak and photos are asked for lambdas; with --crop they are cut to the middle of each image. Their
rows have more columns: `j` is MSE + lambda x bpp, of samples in [0, 1]; `network_bytes` are those
of the tiles that are no words of latents, which are `latent_bytes`. Rows of the sets audio, ears
and cuts have SI-SDR too, and ESTOI and PESQ of speech (the extra speech), those of audio and ears
the SNR in a band and the log spectral distance. Cuts are the first three seconds of sounds;
audio/recombiner-example.wav is examples/ground_truth.wav of GitHub cambridge-mlg/RECOMBINER.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import rd_baselines
from latent_bytes import LatentBytes
from rd_models import MODELS, TUNES
from rd_rows import CutRow, Job, LambdaRow, Row, SoundRow, SpectralRow, job_of
from rd_sets import SETS, Set, centre
from rows import Origin, append, now, read_rows, use_threads

from inrcodec import codec, kernels, metrics
from inrcodec.errors import InrcodecError
from inrcodec.film import FramesOfSignal, encode_film
from inrcodec.rate import encode_to_target
from inrcodec.request import EncodeRequest, Target
from inrcodec.signal import Kind, Signal


class Coded(NamedTuple):
    """A file that was made, and how it is read; `data` are its bytes if it is one of ours."""

    n_bytes: int
    encode_s: float
    decode: Callable[[], Signal]
    iterations: int
    reached: bool
    data: bytes = b""


def main() -> int:
    """Measure what is missing. 1 if something could not be measured."""
    options = parse_arguments()
    use_threads(options.threads)
    names = {options.data: "DATA", options.rows: f"data/rd/{options.rows.name}"}
    origin = Origin.here({**names, options.keep: "FOLDER"})
    chosen, failed = SETS[options.set], False
    done = {job_of(row) for row in read_rows(options.rows)}
    signals: dict[str, Signal] = {}
    for job in jobs(chosen, options):
        if job in done:
            continue
        if job.file not in signals:
            signals[job.file] = centre(chosen.read(options.data, job.file), job.crop)
        try:
            row, data = measure(signals[job.file], job, chosen, origin)
        except InrcodecError as error:
            print(f"{job.file} {job.model} {job.target}: {error}", file=sys.stderr, flush=True)
            failed = True
            continue
        append(options.rows, row)
        if options.keep and data:
            options.keep.mkdir(parents=True, exist_ok=True)
            name = f"{job.file}-{job.model}-{job.target.replace(' ', '-')}.inr"
            (options.keep / name).write_bytes(data)
        rate = f"{row.bpp:.4f} bpp" if row.kbps is None else f"{row.kbps:.2f} kbps"
        quality = row.psnr_db if row.snr_db is None else row.snr_db
        print(f"{job.file} {job.model} {job.target}: {rate} {quality:.2f} dB", flush=True)
    return int(failed)


def parse_arguments() -> argparse.Namespace:
    """The command line; what is left out is as the set says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with the test data")
    parser.add_argument("--set", choices=SETS, required=True)
    parser.add_argument("--rows", type=Path, required=True, help="CSV to append to")
    parser.add_argument("--files", nargs="+", help="names, with or without suffix")
    parser.add_argument("--models", nargs="+", choices=[*MODELS, *rd_baselines.ENCODERS])
    parser.add_argument("--rates", nargs="+", type=float, help="bpp, of sounds kbps; or lambdas")
    parser.add_argument("--seconds", type=float, help="for each encode")
    parser.add_argument("--iterations", type=int, help="of each encode; for lambdas")
    parser.add_argument("--crop", type=int, default=0, metavar="SIDE", help="for lambdas")
    parser.add_argument("--threads", type=int, help="of an encode")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="for the files that are made")
    options = parser.parse_args()
    chosen = SETS[options.set]
    options.files = [Path(name).stem for name in options.files or chosen.files]
    options.models = options.models or [*chosen.baselines, *chosen.models]
    options.rates = options.rates or chosen.rates
    options.seconds = chosen.seconds if options.seconds is None else options.seconds
    strange = {name for name in options.models if name not in MODELS} - {*chosen.baselines}
    if strange:
        parser.error(f"{', '.join(strange)} is not for {options.set}")
    if options.iterations and not chosen.iterations:
        parser.error(f"--iterations is not for {options.set}")
    if options.crop and chosen.measure != "lambda":
        parser.error(f"--crop is not for {options.set}")
    if options.iterations is None:
        options.iterations = chosen.iterations
    return options


def jobs(chosen: Set, options: argparse.Namespace) -> Iterator[Job]:
    """The rows in their order: all that the baselines give, then rate by rate."""
    for baseline, settings in chosen.baselines.items():
        for file in options.files if baseline in options.models else ():
            yield from (Job(file, baseline, one, 0.0) for one in settings)
    models = [model for model in options.models if model in MODELS]
    budgets = options.seconds, options.iterations or 0, options.crop
    for rate in options.rates:
        target = f"{rate:g} {chosen.measure}"
        for file in options.files:
            yield from (Job(file, model, target, *budgets) for model in models)


def measure(signal: Signal, job: Job, chosen: Set, origin: Origin) -> tuple[Row, bytes]:
    """Encode, decode, compare. The row, and the file if it is one of ours."""
    coded = encode(signal, job)
    decode_s = []
    for _ in range(chosen.decodes):
        began = time.monotonic()
        decoded = coded.decode()
        decode_s.append(time.monotonic() - began)
    kind, spec = signal.spec.kind, signal.spec
    psnr_db = metrics.film_psnr_db if kind is Kind.VIDEO else metrics.psnr_db
    of_sound = kind is Kind.AUDIO and spec.seconds is not None
    row = Row(
        file=job.file,
        model=job.model,
        target=job.target,
        n_bytes=coded.n_bytes,
        bpp=None if of_sound else round(metrics.bpp(coded.n_bytes, spec), 5),
        kbps=round(metrics.kbps(coded.n_bytes, spec.seconds), 4) if of_sound else None,
        psnr_db=round(psnr_db(signal, decoded), 4),
        snr_db=round(metrics.snr_db(signal, decoded), 4) if of_sound else None,
        encode_s=round(coded.encode_s, 3),
        decode_s=round(statistics.median(decode_s), 4),
        iterations=coded.iterations,
        budget_s=job.budget_s,
        threads=kernels.threads(),
        reached=coded.reached,
        commit=origin.commit,
        machine=origin.machine,
        date=now(),
        command=origin.command,
    )
    if chosen.measure == "lambda":
        row = at_lambda(row, job, coded.data, metrics.mse(signal, decoded, unit=255.0))
    if chosen.speech is not None:
        row = of_speech(row, signal, decoded, is_speech=job.file in chosen.speech)
        if chosen.spectra:
            row = SpectralRow(
                **asdict(row),
                band_snr_db=round(metrics.band_snr_db(signal, decoded), 4),
                lsd_db=round(metrics.log_spectral_distance_db(signal, decoded), 3),
            )
        elif chosen.iterations:
            row = CutRow(**asdict(row), budget_iterations=job.budget_iterations)
    return row, coded.data


def of_speech(row: Row, signal: Signal, decoded: Signal, *, is_speech: bool) -> SoundRow:
    """The same row with other measures of sounds."""
    return SoundRow(
        **asdict(row),
        seconds=round(signal.spec.seconds or 0.0, 4),
        si_sdr_db=round(metrics.si_sdr_db(signal, decoded), 4),
        estoi=round(metrics.estoi(signal, decoded), 4) if is_speech else None,
        pesq_wb=round(metrics.pesq_wb(signal, decoded), 3) if is_speech else None,
    )


def at_lambda(row: Row, job: Job, data: bytes, mse: float) -> LambdaRow:
    """The same row with what is known of a latent grid that was fitted at a lambda."""
    of, counts = codec.unpack(data)[1], LatentBytes.of(data)
    return LambdaRow(
        **asdict(row),
        crop=job.crop,
        budget_iterations=job.budget_iterations,
        j=round(mse + float(job.target.split()[0]) * 8.0 * row.n_bytes / of.spec.n_points, 9),
        network_bytes=counts.networks,
        latent_bytes=counts.latents,
        macs_per_point=round(of.cost().macs_per_point, 1),
    )


def encode(signal: Signal, job: Job) -> Coded:
    """By a model to its target, or by a baseline at its setting."""
    if job.model not in MODELS:
        made = rd_baselines.encode(job.model, signal, job.target)
        return Coded(made.n_bytes, made.encode_s, made.decode, 0, True)
    model, fields = MODELS[job.model]
    value, measure = job.target.split()
    request = EncodeRequest(
        model=model,
        target=Target(measure, float(value)),
        seconds=job.budget_s or None,
        iterations=job.budget_iterations or None,
        options=fields,
        tune=TUNES.get(job.model, "mse"),
    )
    began = time.monotonic()
    if signal.spec.kind is Kind.VIDEO:
        result = encode_film(FramesOfSignal(signal), request, started=began)
    else:
        result = encode_to_target(signal, request, started=began)
    encode_s, data = time.monotonic() - began, result.data

    def decode() -> Signal:
        return codec.decode(data)

    return Coded(len(data), encode_s, decode, result.iterations, result.reached, data)


if __name__ == "__main__":
    sys.exit(main())
