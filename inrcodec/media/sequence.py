"""Films whose frames are images, one file each: `folder/%04d.png`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inrcodec import files
from inrcodec.errors import ConfigError, SignalError
from inrcodec.media import formats, image
from inrcodec.media.film import FilmSource, Frames, Put
from inrcodec.media.film_times import DEFAULT_RATE
from inrcodec.media.formats import MediaFormat
from inrcodec.signal import Kind, Metadata, Signal, SignalSpec

__all__ = ["ImageSequence", "is_pattern", "writing"]

_FIRST = 1
_PLACE = re.compile(r"%(?:0(\d+))?d(?![A-Za-z])")


def is_pattern(path: str | Path) -> bool:
    """Whether a path names the files of a sequence: `%d` or `%04d` stands in its last part."""
    path = Path(path)
    return len(_PLACE.findall(path.name)) == 1 and not path.is_file()


class ImageSequence(FilmSource):
    """Images of one size and type that are numbered without a gap, from any number on."""

    def __init__(self, pattern: str | Path, *, rate: Fraction | None = None) -> None:
        rate = DEFAULT_RATE if rate is None else rate
        if rate <= 0:
            raise ConfigError(f"rate {rate} is not above 0")
        self.name, self.times, self.notes = str(pattern), None, []
        self._names = _Names.of(pattern)
        numbers = sorted(self._names.present())
        if not numbers:
            raise SignalError("there is no such image")
        self._start = numbers[0]
        for expected, number in enumerate(numbers, self._start):
            if number != expected:
                raise SignalError(f"image {expected} of {numbers[-1]} is missing")
        first = self._image(0)
        self.format_name = f"{self._format_name} sequence"
        self.metadata = Metadata(icc=first.metadata.icc)
        self.spec = replace(
            first.spec,
            kind=Kind.VIDEO,
            grid=(len(numbers), *first.spec.grid),
            time_base=1 / rate,
        )

    def close(self) -> None:
        """Nothing is held: each image is opened in its turn."""

    def _frames(self, start: int, stop: int) -> Frames:
        expected = _spec_of_image(self.spec)
        for number in range(start, stop):
            frame = self._image(number)
            if frame.spec != expected:
                raise SignalError(f"frame {number} is {_said(frame.spec)}, not {_said(expected)}")
            yield frame.samples

    def _image(self, frame: int) -> Signal:
        path = self._names.path(self._start + frame)
        data = files.read_bytes(path)
        media_format = formats.of_content(data, path.name)
        if media_format is None or media_format.kind is not Kind.IMAGE:
            raise SignalError(f"{path.name} is not an image that inrcodec reads")
        self._format_name = media_format.name
        notes: list[str] = []
        try:
            signal = image.read(data, media_format, notes)
        except SignalError as error:
            raise SignalError(f"{path.name}: {error}") from None
        held = {"EXIF": signal.metadata.exif, "XMP": signal.metadata.xmp}
        notes += [f"{name} of images is dropped" for name, blob in held.items() if blob]
        self.notes += [note for note in notes if note not in self.notes]
        if signal.spec.sample_format.is_float:
            raise SignalError(f"{path.name}: films of float samples are not supported")
        return signal


def writing(
    pattern: str | Path,
    spec: SignalSpec,
    metadata: Metadata,
    *,
    suffix: str | None = None,
    force: bool,
    notes: list[str],
) -> AbstractContextManager[Put]:
    """Writes frame i as image 1 + i; nothing appears before all are written.

    The folder is made for the first frame. Raises ConfigError for what an image of that format
    cannot hold, and for images that are there already: any without `force`, with it those that
    would go on after the last of this film.
    """
    names = _Names.of(pattern)
    media_format = formats.of_suffix(suffix or Path(pattern).suffix)
    if media_format.kind is not Kind.IMAGE:
        raise ConfigError(f"{media_format.name} is not a format of images")
    image.check_holds(_spec_of_image(spec), media_format)
    _check_place(names, spec.grid[0], force=force)
    if spec.time_base != 1 / DEFAULT_RATE:
        notes.append("images have no rate; they are read at 25 frames per second")
    return _writing(names, media_format, metadata, notes)


@contextmanager
def _writing(
    names: _Names, media_format: MediaFormat, metadata: Metadata, notes: list[str]
) -> Iterator[Put]:
    made: list[tuple[Path, Path]] = []
    new_folder = not names.folder.exists()

    def put(samples: NDArray[np.generic], times: NDArray[np.int64] | None) -> None:
        if times is not None and "times of frames are dropped" not in notes:
            notes.append("times of frames are dropped")
        names.folder.mkdir(exist_ok=True)
        for frame in samples:
            path = names.path(_FIRST + len(made))
            whole = Signal.image(frame, metadata=replace(metadata, colour=None))
            part = path.with_name(f".{path.name}.part")
            made.append((part, path))
            part.write_bytes(image.to_bytes(whole, media_format, notes))

    try:
        yield put
        for part, path in made:
            part.replace(path)
    except BaseException:
        for part, _ in made:
            part.unlink(missing_ok=True)
        if new_folder and names.folder.exists() and not any(names.folder.iterdir()):
            names.folder.rmdir()
        raise


def _check_place(names: _Names, n_frames: int, *, force: bool) -> None:
    files.check_writable(names.folder if not names.folder.exists() else names.path(0), force=True)
    present = names.present()
    there = sorted(number for number in present if _FIRST <= number < _FIRST + n_frames)
    if there and not force:
        raise ConfigError(f"output {names.path(there[0])} exists; -f overwrites it")
    beyond = sorted(present - {*there})
    if beyond:
        raise ConfigError(f"output {names.path(beyond[0])} exists and is of another film")


def _spec_of_image(spec: SignalSpec) -> SignalSpec:
    return replace(spec, kind=Kind.IMAGE, grid=spec.grid[1:], time_base=None)


def _said(spec: SignalSpec) -> str:
    height, width = spec.grid
    return f"{width} x {height} pixels of {spec.channels} {spec.sample_format.name} channels"


@dataclass(frozen=True, slots=True)
class _Names:
    """The names of the images of a pattern."""

    folder: Path
    before: str
    width: int
    after: str

    @staticmethod
    def of(pattern: str | Path) -> _Names:
        path = Path(pattern)
        place = _PLACE.search(path.name)
        assert place is not None
        before, after = path.name[: place.start()], path.name[place.end() :]
        return _Names(path.parent, before, int(place[1] or 0), after)

    def path(self, number: int) -> Path:
        """The image of a number."""
        return self.folder / f"{self.before}{number:0{self.width}d}{self.after}"

    def present(self) -> set[int]:
        """The numbers of the images that there are."""
        if not self.folder.is_dir():
            return set()
        form = re.compile(rf"{re.escape(self.before)}([0-9]{{1,18}}){re.escape(self.after)}")
        found = (form.fullmatch(path.name) for path in self.folder.iterdir())
        numbers = ((int(match[1]), match[0]) for match in found if match)
        return {number for number, name in numbers if name == self.path(number).name}
