"""Text as subwords: byte-pair encoding (Sennrich et al. 2016), by the sentencepiece library."""

import base64
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

from nets.errors import UserError, missing

END, UNKNOWN = 0, 1


def train_bpe(lines: Iterable[str], size: int) -> bytes:
    """The sentencepiece model of `size` subwords learnt from a text, the same every time.

    Symbol 0 begins and ends a sentence and fills what is left; 1 is whatever has characters that
    the text lacks. The text is taken as it is, but that several spaces are one.

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
            eos_id=END,
            unk_id=UNKNOWN,
            bos_id=-1,
            pad_id=-1,
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        numbers = re.findall(r"\d+", str(error).rpartition("Vocabulary size")[2])
        limit = f"{numbers[-1]} is the {'most' if 'too high' in str(error) else 'least'}"
        raise UserError(f"--data.vocab_size={size} does not fit the training text; {limit}.") from (
            error
        )
    return model.getvalue()


class Subwords:
    """Sentences as ids and back, by a model that was learnt."""

    def __init__(self, model: bytes):
        self._model = _library().SentencePieceProcessor(model_proto=model)

    @classmethod
    def of(cls, metadata: dict[str, Any]) -> "Subwords":
        """Those of a run, whose metadata have them as "subwords"."""
        return cls(base64.b64decode(metadata["subwords"]))

    def pieces(self) -> list[str]:
        """How the subwords are written, "▁" being a space; the end is written as nothing."""
        known = range(UNKNOWN, self._model.get_piece_size())
        return ["", *(self._model.id_to_piece(i) for i in known)]

    def encode(self, lines: Sequence[str]) -> list[list[int]]:
        """The ids of each sentence, without the end."""
        return self._model.encode(list(lines))

    def known(self, sentence: str) -> list[int]:
        """The ids of a sentence that somebody gave.

        Raises:
            UserError: it is empty, or has characters that the vocabulary lacks.
        """
        ids = self._model.encode(sentence)
        if not ids:
            raise UserError("the sentence is empty.")
        if UNKNOWN in ids:
            lacking = (c for c in dict.fromkeys(sentence) if UNKNOWN in self._model.encode(c))
            raise UserError(f"{sentence!r} has {''.join(lacking)!r}, which the vocabulary lacks.")
        return ids

    def decode(self, ids: Iterable[Sequence[int]]) -> list[str]:
        """The sentences of rows of ids, each up to its first 0."""
        rows = (list(map(int, row)) for row in ids)
        cut = [row[: row.index(END)] if END in row else row for row in rows]
        return [self._model.decode(row) for row in cut]


def _library():
    try:
        import sentencepiece
    except ImportError as error:
        raise missing("text as subwords", "sentencepiece", "translate") from error
    return sentencepiece
