"""Synthetic pictures that say what is where: scenes, captions, boxes and masks from one seed."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nets.data import crops, input_images, scenes
from nets.data.dataset import Input
from nets.data.synthetic import Batch, GeneratedExamples
from nets.data.tokenizers import Words

_INVERSE = (1, 0, 3, 2)  # the indices in RELATIONS of the converse relations
_NAMES = (tuple(scenes.SIZES), tuple(scenes.COLOURS), scenes.SHAPES)
VOCABULARY = ("", "a", "is", "above", "below", "left", "right", "of", *sum(_NAMES, ()))
_IDS = {word: k for k, word in enumerate(VOCABULARY)}
_LONGEST = 11  # words of "a small red circle is left of a large blue square"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shapes(GeneratedExamples):
    """Generated, synthetic scenes: two coloured shapes on textured ground, and all about them.

    No scene of one split is in another: a scene's split follows from where its objects are. Objects
    never hide each other. A batch holds

        inputs          [B, 64, 64, 3] uint8, RGB
        targets         [B, 2, 12] int32, ids of words, then 0, the end, up to 12
        caption_lengths [B, 2] int32, words before the end
        named           [B, 2, 12] int32, the object (0, 1) whose size, colour or shape the word
                        says, -1 for any other word and the end
        objects         [B, 2, 3] int32, size, colour and shape of each object
        boxes           [B, 2, 4] float32, corners x0, y0, x1, y1 of each object in pixels
        object_masks    [B, 2, 64, 64] bool, the pixels of each object

    and in an evaluation "mask" [B] float32. Caption c names object c first: of the sentences

        a SIZE COLOUR SHAPE is RELATION a SIZE COLOUR SHAPE

    just these two are true of the scene: its objects differ, and of above, below, left of and
    right of only that along which their centres are further apart counts.
    """

    input_suffixes: ClassVar[tuple[str, ...]] = input_images.SUFFIXES

    def examples(self, rngs: Sequence[np.random.Generator], split: str) -> Batch:
        scene = scenes.layout(rngs, split)
        pixels, holds = scenes.masks(scene), scenes.relations(scene.centres)
        captions = np.zeros((len(rngs), 2, _LONGEST + 1), np.int32)
        named = np.full_like(captions, -1)
        for row, (pair, relation) in enumerate(zip(scene.objects.tolist(), holds, strict=True)):
            for first, holding in ((0, relation), (1, _INVERSE[relation])):
                words = sentence(pair, first, holding)
                captions[row, first, : len(words)] = [_IDS[word] for word, _ in words]
                named[row, first, : len(words)] = [name for _, name in words]
        return {
            "inputs": scenes.images(rngs, scene, pixels),
            "targets": captions,
            "caption_lengths": (captions > 0).sum(-1, dtype=np.int32),
            "named": named,
            "objects": scene.objects.astype(np.int32),
            "boxes": scenes.boxes(pixels),
            "object_masks": pixels,
        }

    def load_input(self, path: Path, metadata: dict[str, Any]) -> Input:
        """An image of any size, resized to fit into a scene, the rest black."""
        fit = functools.partial(crops.letterbox, size=(scenes.SIDE, scenes.SIDE))
        return input_images.load(path, 3, fit, metadata)

    def target_tokenizer(self, metadata: dict[str, Any]) -> Words:
        return Words(tuple(metadata["vocabulary"]))

    def extra_metadata(self) -> dict[str, Any]:
        """synthetic, vocab_size, vocabulary (word k of it has the id k; 0 is the end), and the
        names of sizes, colours and shapes."""
        return {
            "synthetic": True,
            "vocab_size": len(VOCABULARY),
            "vocabulary": list(VOCABULARY),
            "attributes": dict(zip(("size", "colour", "shape"), map(list, _NAMES), strict=True)),
        }


def sentence(pair: Sequence[Sequence[int]], first: int, relation: int) -> list[tuple[str, int]]:
    """A sentence about two objects: its words, and the object that each names, or -1.

    Args:
        pair: size, colour and shape of the two, by their indices in the names.
        first: the object named first, 0 or 1.
        relation: of this one to the other, by its index in RELATIONS.
    """
    one, two = (
        [("a", -1), *((names[i], k) for names, i in zip(_NAMES, pair[k], strict=True))]
        for k in (first, 1 - first)
    )
    return [*one, *((word, -1) for word in ("is", *scenes.RELATIONS[relation].split())), *two]
