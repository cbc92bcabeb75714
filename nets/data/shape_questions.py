"""Questions about synthetic scenes, which nobody answers without looking."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nets.data import crops, input_images, question_words, scenes, shape_grammar
from nets.data.dataset import Input
from nets.data.shape_words import VOCABULARY, text
from nets.data.synthetic import Batch, GeneratedExamples
from nets.data.tokenizers import Words
from nets.errors import check_range

LONGEST = 16
"""Words of "is the small magenta triangle right of the large magenta triangle", and room."""
_IDS = {word: k for k, word in enumerate(VOCABULARY)}
_TYPES = tuple(shape_grammar.TYPES)
_ANSWERS = tuple(dict.fromkeys(sum(shape_grammar.ANSWERS.values(), ())))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShapeQuestions(GeneratedExamples):
    """Generated, synthetic scenes of two objects, and questions about each, of seven types.

        existence   is there a small red circle                                 yes, no
        count       how many red objects are there                              0, 1, 2
        colour      what colour is the small circle                             6 colours
        shape       what shape is the red object                                5 shapes
        size        what size is the red circle                                 small, large
        relation    is the circle above (below, left of, right of) the square   yes, no
        comparison  is the circle larger (smaller) than the square; has the
                    circle the same colour (shape, size) as the square          yes, no

    An object is described by any of size, colour and shape, as far as these tell it from the other;
    no description is of both objects where one is meant. Types are equally frequent, and after any
    question all its answers are (`nets.data.shape_grammar`). So the words alone answer
    (1/2 + 1/3 + 1/6 + 1/5 + 1/2 + 1/2 + 1/2) / 7 = 0.386 of them.

    Scenes are those of `nets.data.shapes.Shapes`, no scene of one split being in another. A batch
    holds

        inputs     [B, 64, 64, 3] uint8, RGB
        questions  [B, Q, 16] int32, words, then 0
        targets    [B, Q] int32, the answers
        types      [B, Q] int32, the types of the questions
        boxes      [B, 2, 4] float32, corners x0, y0, x1, y1 of each object in pixels
        described  [B, Q, 2] int32, which description in a question fits an object: 1 the first, 2
                   the second, 0 none

    Q being `questions`, and in an evaluation "mask" [B] float32.

    Attributes:
        questions: number of questions about each scene, drawn independently.
    """

    input_suffixes: ClassVar[tuple[str, ...]] = input_images.SUFFIXES
    reads_questions: ClassVar[bool] = True

    questions: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "questions", at_least=1)

    def examples(self, rngs: Sequence[np.random.Generator], split: str) -> Batch:
        first = [shape_grammar.draw(rng)[1] for rng in rngs]
        scene = scenes.place(
            rngs,
            np.array([question.objects for question in first]),
            np.stack([rng.random(2) for rng in rngs]),
            split,
            np.array([question.relation for question in first]),
        )
        asked = [
            [shape_grammar.about(rng, one.objects, one.relation) for _ in range(self.questions)]
            for rng, one in zip(rngs, first, strict=True)
        ]
        ids = np.zeros((len(rngs), self.questions, LONGEST), np.int32)
        targets, types = np.zeros((2, len(rngs), self.questions), np.int32)
        described = np.zeros((len(rngs), self.questions, 2), np.int32)
        for b, k in np.ndindex(*targets.shape):
            name, question = asked[b][k]
            words = text(question.words)
            ids[b, k, : len(words)] = [_IDS[word] for word in words]
            targets[b, k] = _ANSWERS.index(*text([question.answer]))
            types[b, k] = _TYPES.index(name)
            described[b, k] = question.described
        pixels = scenes.masks(scene)
        return {
            "inputs": scenes.images(rngs, scene, pixels),
            "questions": ids,
            "targets": targets,
            "types": types,
            "boxes": scenes.boxes(pixels),
            "described": described,
        }

    def load_question(self, path: Path, text: str, metadata: dict[str, Any]) -> Input:
        """An image of any size, resized to fit into a scene, the rest black; and a question."""
        fit = functools.partial(crops.letterbox, size=(scenes.SIDE, scenes.SIDE))
        image = input_images.load(path, 3, fit, metadata)
        return question_words.with_question(image, text, self.tokenizer(metadata), LONGEST)

    def tokenizer(self, metadata: dict[str, Any]) -> Words:
        return Words(tuple(metadata["vocabulary"]), question_words.WORDS, lower=True)

    def target_tokenizer(self, metadata: dict[str, Any]) -> None:
        return None

    def extra_metadata(self) -> dict[str, Any]:
        """synthetic, vocab_size and vocabulary (word k has the id k; 0 is the end), num_classes and
        class_names (the answers), and question_types."""
        return {
            "synthetic": True,
            "vocab_size": len(VOCABULARY),
            "vocabulary": list(VOCABULARY),
            "num_classes": len(_ANSWERS),
            "class_names": list(_ANSWERS),
            "question_types": list(_TYPES),
        }
