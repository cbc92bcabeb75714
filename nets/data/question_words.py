"""The words of a question about an image of one's own."""

import numpy as np

from nets.data.dataset import Input
from nets.data.tokenizers import UNKNOWN, Words, pad
from nets.errors import UserError

WORDS = r"\w+(?:['’-]\w+)*"
"""A word of a question in lower case; marks between words are left out."""


def with_question(image: Input, text: str, words: Words, width: int, lossy: bool = False) -> Input:
    """The input of an image, and the question beside it: "questions" [1, width].

    Its source has "words" too, and "unknown" those that the vocabulary lacks.

    Args:
        image: that of the image alone.
        text: the question.
        words: the words that the model knows.
        width: words at most.
        lossy: whether words that it does not know are read as the unknown.

    Raises:
        UserError: the question has no words or too many, or words that the model does not know.
    """
    split = words.split(text)
    if not 0 < len(split) <= width:
        raise UserError(f"must have from 1 to {width} words, got {len(split)}.", "prompt")
    known = {*words.vocabulary} - {"", UNKNOWN}
    unknown = [word for word in dict.fromkeys(split) if word not in known]
    if unknown and not lossy:
        raise UserError(
            f"={text} has {', '.join(unknown)}, not among the {len(known)} words of the questions "
            f"that the run was trained on: {_some(words.vocabulary, known)}.",
            "prompt",
        )
    batch = image.batch | {"questions": pad([words.encode_lossy(text)], width)}
    return Input(
        batch, image.source | {"words": np.array(split), "unknown": np.array(unknown, str)}
    )


def _some(vocabulary: tuple[str, ...], known: set[str]) -> str:
    listed = [word for word in vocabulary if word in known]
    return ", ".join(listed) if len(listed) <= 60 else f"{', '.join(listed[:60])}, ..."
