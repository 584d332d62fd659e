"""Containers of films, opened by FFmpeg through PyAV: one video stream, and what else there is.

FFmpeg gets a file object, never a name, and only demuxers that read nothing but it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream
from PIL import Image

from inrcodec.errors import SignalError
from inrcodec.media.formats import MediaFormat
from inrcodec.media.guard import check_size, translated

__all__ = ["lost_parts", "opened"]

_DEMUXERS = "mov,matroska,webm,yuv4mpegpipe,avi,mpeg,mpegvideo,mpegts,ogg,flv,asf"
_BUFFER_BYTES = 1 << 18
_MAX_THREADS = 4
_TRACKS = {
    "audio": ("sound track is", "sound tracks are"),
    "subtitle": ("subtitle track is", "subtitle tracks are"),
    "video": ("further video stream is", "further video streams are"),
    "data": ("data track is", "data tracks are"),
    "attachment": ("attachment is", "attachments are"),
}
_TAGS_OF_THE_FILE = frozenset(
    {"major_brand", "minor_version", "compatible_brands", "encoder", "creation_time", "software"}
)


@contextmanager
def opened(
    file: BinaryIO, media_format: MediaFormat
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container in a file and its first video stream, closed with the file at the end.

    Raises SignalError for what is no film, has no video, or has frames too large to read.
    """
    most = str(Image.MAX_IMAGE_PIXELS or (1 << 31) - 1)
    options = {"format_whitelist": _DEMUXERS, "protocol_whitelist": "none", "max_pixels": most}
    with file:
        with translated(media_format):
            container = av.open(
                file, "r", options=options, buffer_size=_BUFFER_BYTES, metadata_errors="replace"
            )
        with container:
            stream = _video_of(container)
            if stream is None:
                raise SignalError(f"this {media_format.name} file has no video")
            if stream.codec_context is None:
                raise SignalError("there is no decoder for its video")
            check_size(stream.width, stream.height, 1)
            context = stream.codec_context
            context.options = {"max_pixels": most}
            context.thread_type = "AUTO"
            context.thread_count = min(_MAX_THREADS, os.cpu_count() or 1)
            yield container, stream


def lost_parts(container: InputContainer, stream: VideoStream) -> Iterator[str]:
    """What stands in a container beside the frames of a stream, in words for the warning."""
    kinds = Counter(str(other.type) for other in container.streams if other.index != stream.index)
    for kind, (one, many) in _TRACKS.items():
        if kinds[kind]:
            yield f"{kinds[kind]} {one if kinds[kind] == 1 else many} dropped"
    tags = (tag.lower() for tag in container.metadata)
    yield from (f"tag {tag} is dropped" for tag in tags if tag not in _TAGS_OF_THE_FILE)
    if chapters := len(container.chapters()):
        yield f"{chapters} chapter{'s are' if chapters > 1 else ' is'} dropped"
    aspect = stream.sample_aspect_ratio
    if aspect and aspect != 1:
        yield f"pixels of {aspect.numerator}:{aspect.denominator} are taken as square"


def _video_of(container: InputContainer) -> VideoStream | None:
    """The first video stream that is not the picture on a sound file's cover."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    return None
