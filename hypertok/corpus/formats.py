"""Which reader a file's name asks for, and which names are never text."""

from __future__ import annotations

from pathlib import PurePosixPath

_FORMATS = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".canvas": "json",
    ".ipynb": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".fb2": "fb2",
}
#: Formats whose files may be cut at any line end.
SPLITTABLE = frozenset({"text", "jsonl"})
_BINARY = {
    "an image": "png jpg jpeg gif webp bmp ico tif tiff heic avif psd",
    "sound or video": "mp3 m4a ogg opus flac wav mp4 mkv avi mov webm",
    "a document to convert to text first": "pdf docx xlsx pptx odt ods odp epub djvu mobi",
    "an archive to unpack first": "zip gz bz2 xz zst 7z rar tar",
    "a program": "exe dll so dylib pyc class jar o a wasm",
    "data for a program": "db sqlite npy npz safetensors gguf pt bin",
    "a font": "ttf otf woff woff2",
}
#: Kinds of which nobody expects text; the others may hold some that is missed.
_NEVER_TEXT = ("an image", "sound or video", "a program", "a font")
_UNREADABLE = {f".{suffix}": kind for kind, suffixes in _BINARY.items() for suffix in suffixes.split()}


def format_of(path: str) -> str:
    """The reader for a file: markdown, jsonl, json, csv, parquet, html, fb2, or text for everything else."""
    return _FORMATS.get(PurePosixPath(path).suffix.lower(), "text")


def is_never_text(path: str) -> bool:
    """Whether nobody would look for text in a file of this name: a picture, sound, a program, a font."""
    return _UNREADABLE.get(PurePosixPath(path).suffix.lower()) in _NEVER_TEXT


def unreadable_suffix(path: str) -> str:
    """Why a file of this name is not even opened; '' for names that may be text."""
    suffix = PurePosixPath(path).suffix.lower()
    kind = _UNREADABLE.get(suffix)
    return f"binary: {suffix} is {kind}" if kind else ""
