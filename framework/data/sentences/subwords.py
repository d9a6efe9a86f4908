"""Tokens that are pieces of words, found by SentencePiece."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from framework.data.sentences.tokens import END, MARKERS, PAD, START, UNKNOWN
from framework.errors import DataError, InputError, Problem
from framework.spec.data import UNKNOWN_TOKEN
from framework.spec.sentences import VocabularySpec

MOST_SENTENCES = 1_000_000
"""Sentences that subwords are looked for in, at most: more hardly change them, and are held in memory."""


@dataclass(frozen=True)
class SubwordVocabulary:
    """A SentencePiece model, which is data alone.

    Attributes:
        model: as SentencePiece saves it.

    Raises:
        DataError: it is no such model, or one with other special tokens.
    """

    model: bytes

    def __post_init__(self) -> None:
        """Check what a file gave."""
        processor = self._processor
        special = (processor.pad_id(), processor.bos_id(), processor.eos_id(), processor.unk_id())
        if special != (PAD, START, END, UNKNOWN):
            raise DataError(f"its special tokens have the numbers {special}; expected {(PAD, START, END, UNKNOWN)}")

    def __repr__(self) -> str:
        return f"SubwordVocabulary({self.size} subwords, {hashlib.sha256(self.model).hexdigest()[:12]})"

    @classmethod
    def of(cls, sentences: Iterable[str], spec: VocabularySpec) -> SubwordVocabulary:
        """The subwords of cleaned sentences; the same sentences always give the same.

        Raises:
            DataError: there are too few different characters or words for so many subwords.
        """
        library = _library()
        written = io.BytesIO()
        pad, start, end = MARKERS
        try:
            library.SentencePieceTrainer.train(
                sentence_iterator=iter(sentences),
                model_writer=written,
                model_type=spec.method,
                vocab_size=spec.max_size,
                hard_vocab_limit=spec.method == "bpe",
                character_coverage=spec.character_coverage,
                normalization_rule_name="identity",
                pad_id=PAD,
                bos_id=START,
                eos_id=END,
                unk_id=UNKNOWN,
                pad_piece=pad,
                bos_piece=start,
                eos_piece=end,
                unk_piece=UNKNOWN_TOKEN,
                unk_surface=UNKNOWN_TOKEN,
                num_threads=1,  # sums of several threads depend on their number
                minloglevel=3,
            )
        except (RuntimeError, OSError) as error:
            reason = str(error).rsplit(") ", 1)[-1].strip() or "SentencePiece gives no reason"
            message = f"no vocabulary of {spec.max_size:,} subwords can be made of this text: {reason}"
            raise DataError(Problem("data.vocabulary.max_size", message, hint="lower it, or give more text")) from error
        return cls(written.getvalue())

    @property
    def size(self) -> int:
        """Number of tokens, the special ones counted."""
        return int(self._processor.get_piece_size())

    @property
    def unknown_id(self) -> int:
        """Number of ``[UNK]``, 3."""
        return UNKNOWN

    def number(self, sentences: Sequence[str]) -> list[list[int]]:
        """Each sentence's subwords."""
        numbers: list[list[int]] = self._processor.encode(list(sentences))
        return numbers

    def pieces(self, sentence: str) -> list[str]:
        """The subwords; a low line stands for the space before one."""
        pieces: list[str] = self._processor.encode(sentence, out_type=str)
        return pieces

    def name(self, number: int) -> str:
        """A subword, or a special token's name."""
        return str(self._processor.id_to_piece(number))

    def text_of(self, number: int) -> str:
        """What one subword adds to those before it."""
        return self.name(number).replace("\N{LOWER ONE EIGHTH BLOCK}", " ")

    def text(self, numbers: Sequence[int]) -> str:
        """The words that subwords make."""
        return " ".join(str(self._processor.decode(list(numbers))).split())

    def as_json(self) -> dict[str, Any]:
        """What tells this model from others; it is saved in a file of its own."""
        return {"kind": "subword", "sha256": hashlib.sha256(self.model).hexdigest()}

    @cached_property
    def _processor(self) -> Any:
        try:
            return _library().SentencePieceProcessor(model_proto=self.model)
        except (RuntimeError, ValueError, TypeError) as error:
            raise DataError(f"it is no SentencePiece model: {error}") from error


def _library() -> Any:
    try:
        import sentencepiece
    except ImportError as error:
        raise InputError("subwords need SentencePiece, which is not installed: pip install 'gatework[translation]'") from error
    return sentencepiece
