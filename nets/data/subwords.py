"""Subwords by byte-pair encoding: a tokenizer of the sentencepiece library."""

import dataclasses
import functools
import io
import re
from collections.abc import Iterable
from typing import Any

from nets.data.tokenizers import Tokenizer
from nets.errors import UserError, missing


@dataclasses.dataclass(frozen=True)
class Subwords(Tokenizer):
    """Byte-pair encoding (Sennrich et al. 2016), by the sentencepiece library; see `train_bpe`.

    A "▁" in a symbol is a space. Only `split` and `encode` need the library.

    Attributes:
        model: sentencepiece's, serialised.
    """

    model: bytes

    @classmethod
    def from_model(cls, model: bytes) -> "Subwords":
        """The tokenizer of a model, whose symbol 0 is the end."""
        processor = _library().SentencePieceProcessor(model_proto=model)
        pieces = (processor.id_to_piece(i) for i in range(1, processor.get_piece_size()))
        return cls(("", *pieces), model)

    @functools.cached_property
    def _processor(self) -> Any:
        return _library().SentencePieceProcessor(model_proto=self.model)

    def split(self, text: str) -> list[str]:
        return self._processor.encode(text, out_type=str)

    def join(self, symbols: Iterable[str]) -> str:
        return "".join(symbols).replace("▁", " ").strip()


def train_bpe(lines: Iterable[str], size: int) -> Subwords:
    """Trains `size` subwords on a text; the same every time.

    Symbol 0 is the end, 1 the unknown: whatever has characters that the text lacks. The text is
    taken as it is, but that several spaces are one.

    Raises:
        UserError: the library is not installed, or the text has not so many subwords, or more
            characters.
    """
    model = io.BytesIO()
    try:
        _library().SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=model,
            model_type="bpe",
            vocab_size=size,
            character_coverage=1.0,
            normalization_rule_name="identity",
            eos_id=0,
            unk_id=1,
            bos_id=-1,
            pad_id=-1,
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        numbers = re.findall(r"\d+", str(error).rpartition("Vocabulary size")[2])
        limit = "at most" if "too high" in str(error) else "at least"
        message = f"must be {limit} {numbers[-1]} for this training text, got {size}."
        raise UserError(message, "vocab_size") from error
    return Subwords.from_model(model.getvalue())


def _library() -> Any:
    try:
        import sentencepiece
    except ImportError as error:
        raise missing("text as subwords", "sentencepiece", "translate") from error
    return sentencepiece
