# SPDX-License-Identifier: MIT OR Apache-2.0
# Copyright (c) 2026 the afmpeg authors

"""What ffprobe says of a file, with types."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fractions import Fraction
    from typing import Any


class _Described:
    """Fields of ffprobe's as attributes; those that it does not know are None. ``data`` has all of them."""

    __slots__ = ("data",)

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data

    def __getattr__(self, name: str) -> Any:
        # Without fields there are none to look in: copying and pickling ask before they are set.
        if name == "data":
            raise AttributeError(name)
        if name in self.data:
            return self.data[name]
        if name in type(self).__annotations__:
            return None
        raise AttributeError(f"{type(self).__name__} has no field {name}")

    def __getstate__(self) -> dict[str, Any]:
        return self.data

    def __setstate__(self, data: dict[str, Any]) -> None:
        self.data = data

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, _Described) and other.data == self.data

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.data!r})"

    def _fraction(self, name: str) -> Fraction | None:
        text = self.data.get(name)
        if text is None:
            return None
        from fractions import Fraction

        numerator, denominator = text.replace(":", "/").split("/")
        return Fraction(int(numerator), int(denominator)) if int(denominator) else None


class Format(_Described):
    """The file as a whole. Times are in seconds, rates in bits per second."""

    format_name: str
    format_long_name: str | None
    start_time: float | None
    duration: float | None
    size: int | None
    bit_rate: int | None
    probe_score: int | None
    tags: dict[str, str]


class Stream(_Described):
    """A stream. Times are in seconds, rates in bits per second, sizes in pixels."""

    index: int
    #: ``video``, ``audio``, ``subtitle``, ``data``, ``attachment`` or ``unknown``.
    codec_type: str
    codec_name: str | None
    codec_long_name: str | None
    profile: str | None
    #: The size as it is stored.
    width: int | None
    height: int | None
    #: The size as it is displayed: cropped, turned, and with square pixels.
    display_width: int | None
    display_height: int | None
    pix_fmt: str | None
    sample_fmt: str | None
    sample_rate: int | None
    channels: int | None
    channel_layout: str | None
    start_time: float | None
    duration: float | None
    bit_rate: int | None
    nb_frames: int | None
    #: Such as ``default`` or ``attached_pic``, with 1 for those that hold.
    disposition: dict[str, int]
    tags: dict[str, str]

    @property
    def rotation_degrees(self) -> int:
        """The clockwise rotation of the picture for display."""
        value: int = self.data.get("rotation_degrees", 0)
        return value

    @property
    def sample_aspect_ratio(self) -> Fraction | None:
        """The width of a pixel by its height."""
        return self._fraction("sample_aspect_ratio")

    @property
    def avg_frame_rate(self) -> Fraction | None:
        return self._fraction("avg_frame_rate")

    @property
    def r_frame_rate(self) -> Fraction | None:
        return self._fraction("r_frame_rate")

    @property
    def time_base(self) -> Fraction | None:
        return self._fraction("time_base")


class StreamGroup(_Described):
    """Streams that belong together, such as the tiles of one picture."""

    index: int
    #: Such as ``Tile Grid``.
    type: str | None
    components: list[dict[str, Any]]
    disposition: dict[str, int]
    tags: dict[str, str]

    @property
    def streams(self) -> list[Stream]:
        return [Stream(stream) for stream in self.data.get("streams", ())]


class Chapter(_Described):
    """A chapter; times are in seconds."""

    id: int
    start_time: float | None
    end_time: float | None
    tags: dict[str, str]


class Probe(_Described):
    """A media file's format, streams and chapters."""

    @property
    def format(self) -> Format:
        return Format(self.data["format"])

    @property
    def streams(self) -> list[Stream]:
        return [Stream(stream) for stream in self.data["streams"]]

    @property
    def stream_groups(self) -> list[StreamGroup]:
        return [StreamGroup(group) for group in self.data["stream_groups"]]

    @property
    def chapters(self) -> list[Chapter]:
        return [Chapter(chapter) for chapter in self.data["chapters"]]
