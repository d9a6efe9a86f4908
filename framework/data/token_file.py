"""The tokens of a long text, kept in the cache folder under what they were made of: made once, then mapped into memory."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from framework.data.download import cache_folder, sha256_of
from framework.data.kept import kept
from framework.data.known_digests import stamp_of
from framework.data.numbered_text import NumberedText
from framework.data.stream import Tokens, write_tokens
from framework.data.text_source import TextSource
from framework.data.vocabulary import VOCABULARY_FILE, Vocabulary
from framework.errors import DataError
from framework.files import read_json, replace_text
from framework.spec.data import TextDataSpec
from framework.spec.experiment import PathsSpec

FOLDER = "tokens"
"""Folder in the cache of all token files."""

TOKENS, META = "tokens", "tokens.json"
"""Names of the file with the numbers, one after the other and nothing else, and of the file that says what it holds."""

_VERSION = 1
"""To be raised with any change to the files' form, or to how the same text is cut into tokens."""

_CHECKED, _DIGESTS = "checked.json", "digests.json"

_SETTINGS = {"encoding", "level", "lowercase", "max_tokens", "unknown", "max_vocabulary"}
"""Settings that say what a token file holds; the others say how it is put into batches."""


@dataclass(frozen=True, eq=False)
class TokenFile(NumberedText):
    """A text whose tokens lie in a file; see :class:`NumberedText`.

    Attributes:
        folder: of the file, the vocabulary, and what is known of both.
        about: what was counted when they were written.
    """

    folder: Path
    about: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> TokenFile | None:
        """The token file in a folder; None where there is none, or it is damaged.

        It is read through where it may have been written to since it was made or last found whole.
        """
        try:
            about = read_json(folder / META)
            file, dtype = folder / TOKENS, np.dtype(about["dtype"])
            whole = about["version"] == _VERSION and file.stat().st_size == about["tokens"] * dtype.itemsize
            whole = whole and sha256_of(folder / VOCABULARY_FILE) == about["vocabulary"] and _is_whole(folder, about["sha256"])
            return cls(Vocabulary.load(folder / VOCABULARY_FILE), _mapped(file, dtype), folder, about) if whole else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, DataError):
            return None

    @property
    def characters(self) -> int:
        """As they were counted when the file was made."""
        return int(self.about["characters"])

    def digest(self, head: bytes) -> str:
        """Remembered beside the file."""
        key = hashlib.sha256(head).hexdigest()
        try:
            known = dict(read_json(self.folder / _DIGESTS))
        except (OSError, ValueError, TypeError):
            known = {}
        if not isinstance(known.get(key), str):
            known[key] = super().digest(head)
            with suppress(OSError):  # a cache that cannot be written remembers nothing
                replace_text(self.folder / _DIGESTS, json.dumps(known, indent=1) + "\n")
        return str(known[key])


def kept_tokens(text: TextSource, spec: TextDataSpec, paths: PathsSpec, vocabulary: Vocabulary | None) -> TokenFile:
    """The token file of a text: opened, or made first, in one pass over the text.

    It is found by what the text's digest was when its files had the sizes and times that they have now, or else by the digest that
    they have now; never by a name.

    Args:
        text: to read.
        spec: see :func:`framework.data.stream.write_tokens`.
        paths: where the cache is.
        vocabulary: likewise.

    Raises:
        UnknownTokens: see :func:`framework.data.stream.write_tokens`.
        DataError: the text cannot be read, or the cache folder cannot be written.
    """
    root = cache_folder(paths) / FOLDER
    key = _key(text, spec, None)
    if vocabulary is not None:
        own = _find(root, key, text)
        if own is not None and own.vocabulary == vocabulary:
            return own
        key = _key(text, spec, vocabulary)
    find, make = partial(_find, root, key, text), partial(_make, key, text, spec, vocabulary)
    return kept(root, key, f"the tokens of {text.name}", find, make, TokenFile.open)


def _key(text: TextSource, spec: TextDataSpec, vocabulary: Vocabulary | None) -> str:
    """What can be told of a token file before its text is read."""
    made_of = {
        "version": _VERSION,
        "unicode": unicodedata.unidata_version,
        "text": text.outline(),
        "settings": spec.model_dump(mode="json", include=_SETTINGS),
        "vocabulary": vocabulary and [vocabulary.tokens, vocabulary.level, vocabulary.lowercase, vocabulary.unknown],
    }
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode("ascii")).hexdigest()[:32]


def _name(key: str, digest: str) -> str:
    return f"{key}-{digest[:32]}"


def _find(root: Path, key: str, text: TextSource) -> TokenFile | None:
    if not any(root.glob(f"{key}-*")):  # there is nothing to know the text's digest for
        return None
    return TokenFile.open(root / _name(key, text.digest()))


def _make(key: str, text: TextSource, spec: TextDataSpec, vocabulary: Vocabulary | None, folder: Path) -> str:
    """Writes a token file into an empty folder; the name that it is to have."""
    reading, file = text.reading(), folder / TOKENS
    with file.open("wb+") as stream:
        vocabulary, dtype = write_tokens(reading.pieces, spec, vocabulary, stream)
    vocabulary.save(folder / VOCABULARY_FILE)
    tokens = _mapped(file, dtype)
    about = {
        "version": _VERSION,
        "tokens": int(tokens.size),
        "dtype": dtype.str,
        "characters": NumberedText(vocabulary, tokens).characters,
        "vocabulary": sha256_of(folder / VOCABULARY_FILE),
        "sha256": sha256_of(file),
    }
    replace_text(folder / META, json.dumps(about, indent=1) + "\n")
    replace_text(folder / _CHECKED, json.dumps(stamp_of(file)) + "\n")
    return _name(key, reading.digest())


def _is_whole(folder: Path, digest: str) -> bool:
    """Whether the tokens are those that were written; they are read where anything may have changed since that was last seen."""
    stamp = stamp_of(folder / TOKENS)
    try:
        if tuple(read_json(folder / _CHECKED)) == stamp:
            return True
    except (OSError, ValueError, TypeError):
        pass
    if sha256_of(folder / TOKENS) != digest:
        return False
    with suppress(OSError):
        replace_text(folder / _CHECKED, json.dumps(stamp) + "\n")
    return True


def _mapped(file: Path, dtype: np.dtype[Any]) -> Tokens:
    return np.memmap(file, dtype, "r").view(np.ndarray)
