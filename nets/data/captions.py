"""Captioned images: a set of TFDS (COCO), or files of one's own."""

import dataclasses
import functools
import hashlib
import itertools
import os
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from nets.data import caption_files, image_source, input_images
from nets.data.caption_files import Files, Square
from nets.data.checks import check_fits, check_together
from nets.data.dataset import Batches, Dataset, Input, Spec, padded, shuffled
from nets.data.image_source import ImageSet
from nets.data.tokenizers import UNKNOWN, Words, by_frequency, pad
from nets.errors import UserError, check_range

_CHOICE = 3  # tells the generator of a step's captions from others of its seed


@dataclasses.dataclass(frozen=True, kw_only=True)
class Captions(Dataset):
    """Photographs and several captions of each, as `nets.data.shapes.Shapes` has its scenes.

    Captions are in lower case and without punctuation. Their vocabulary is the words that are
    frequent in those trained on, kept with a run; 0 is the end, 1 any other word. A batch holds

        inputs          [B, S, S, 3] uint8, RGB, the middle square of each image
        targets         [B, C, U] int32, ids of words, then 0, the end, up to U
        caption_lengths [B, C] int32, words before the end

    S being image_size, C per_image and U max_length + 1, and in an evaluation "mask" [B] float32.
    Of more than C captions, training takes C that are drawn by (seed, step), an evaluation the
    first; of fewer, they are repeated.

    A training caption above max_length is left out, and an image that has no other. In an
    evaluation all images stay, in their order; what is above max_length is cut off. Every training
    image comes exactly once per epoch, in an order drawn anew for each.

    Attributes:
        name: a set of TFDS prepared as array_record whose records have an "image" and "captions"
            with a "text" ("coco_captions": COCO 2014, split by Karpathy and Li 2015).
        data_dir: folder of the TFDS sets. None means TFDS's own, ~/tensorflow_datasets.
        images: folder of images to train on; is taken, with `captions`, instead of `name`.
        captions: file of their captions: COCO's JSON (captions_train2017.json), or lines of an
            image's name, "#" and a number, a tab and a caption (Flickr8k, Flickr30k); packed where
            its name ends in .gz.
        validation_images: the same for validation. None means no such split.
        validation_captions: captions of these.
        test_images: the same for the test. None means no such split.
        test_captions: captions of these.
        image_size: side in pixels of the square that each image becomes.
        short_side: pixels that an image's shorter side is resized to, before the middle square of
            image_size is cut out. None means image_size.
        per_image: captions of an image in a batch.
        min_count: times that a word occurs in the training captions to have an id of its own.
        max_length: maximum of words in a caption.
        batch_size: images in a training batch.
        eval_batch_size: images in a batch of an evaluation.
        in_memory_mb: size in MB above which images are not held in memory but decoded in threads
            ahead of the step.
    """

    name: str | None = None
    data_dir: str | None = None
    images: str | None = None
    captions: str | None = None
    validation_images: str | None = None
    validation_captions: str | None = None
    test_images: str | None = None
    test_captions: str | None = None
    image_size: int = 224
    short_side: int | None = None
    per_image: int = 5
    min_count: int = 5
    max_length: int = 20
    batch_size: int = 64
    eval_batch_size: int = 100
    in_memory_mb: int = 1024

    input_suffixes: ClassVar[tuple[str, ...]] = input_images.SUFFIXES

    def __post_init__(self) -> None:
        check_range(self, "image_size", "per_image", "min_count", "max_length", at_least=1)
        check_range(self, "batch_size", "eval_batch_size", at_least=1)
        check_range(self, "in_memory_mb", at_least=0)
        if self.short_side is not None:
            check_range(self, "short_side", at_least=self.image_size)
        for fields in _FILES.values():
            check_together(self, fields, "which belongs to it")

    def train(self, seed: int) -> Batches:
        corpus = self._corpus()
        n = len(corpus.rows["train"].indices)
        check_fits(self, n, f"training images with a caption of at most {self.max_length} words")

        def batch(i: int) -> dict[str, np.ndarray]:
            rng = np.random.default_rng((seed, i, _CHOICE))
            chosen = shuffled(seed, n, self.batch_size, i)
            return _batch(corpus, "train", chosen, self.per_image, rng)

        return Batches(batch)

    def evaluate(self, split: str) -> Batches:
        self.check_split(split)
        corpus = self._corpus()

        def batch(rows: np.ndarray) -> dict[str, np.ndarray]:
            return _batch(corpus, split, rows, self.per_image, None)

        return padded(len(corpus.rows[split].indices), self.eval_batch_size, batch)

    def splits(self) -> tuple[str, ...]:
        paths = self._files()
        names = self._corpus().rows if "train" not in paths else paths
        return tuple(split for split in names if split != "train")

    def spec(self) -> Spec:
        b, s, c = self.batch_size, self.image_size, self.per_image
        arrays = {
            "inputs": ((b, s, s, 3), np.dtype(np.uint8)),
            "targets": ((b, c, self.max_length + 1), np.dtype(np.int32)),
            "caption_lengths": ((b, c), np.dtype(np.int32)),
        }
        return Spec(arrays)

    def metadata(self) -> dict[str, Any]:
        """vocab_size, vocabulary (word k of it has the id k; 0 is the end), words (the regular
        expression by which a caption in lower case falls into them), digest, and by split: sizes,
        captions, long (captions above max_length) and unknown (words that are).

        Raises:
            UserError: no files and no set are given, or what `nets.data.caption_files` says.
        """
        corpus = self._corpus()
        return {
            "vocab_size": len(corpus.vocabulary),
            "vocabulary": list(corpus.vocabulary),
            "words": caption_files.WORDS,
            "digest": corpus.digest,
            "train_examples": len(corpus.rows["train"].indices),
            "sizes": {split: len(rows.indices) for split, rows in corpus.rows.items()},
            **corpus.counts,
        }

    def target_tokenizer(self, metadata: dict[str, Any]) -> Words:
        return Words(tuple(metadata["vocabulary"]), metadata["words"], lower=True)

    def load_input(self, path: Path, metadata: dict[str, Any]) -> Input:
        """The middle square of an image, as in an evaluation."""
        square = Square(self.image_size, self.short_side or self.image_size)
        return input_images.load(path, 3, square, metadata)

    @property
    def read_threads(self) -> int:
        return 1 if self._corpus().images.stamp is None else min(16, os.cpu_count() or 1)

    def _files(self) -> dict[str, Files]:
        files = {}
        for split, fields in _FILES.items():
            images, captions = (getattr(self, field) for field in fields)
            if images is not None:
                setting = (f"{field}={getattr(self, field)}" for field in fields)
                files[split] = Files(
                    Path(images).expanduser(), Path(captions).expanduser(), *setting
                )
        return files

    def _corpus(self) -> "CaptionedImages":
        paths = self._files()
        if "train" not in paths and (paths or self.name is None):
            raise UserError(
                "there is nothing to train on: give images (a folder) and captions (a file)"
                + ("." if paths else ", or a name (coco_captions).")
            )
        where = tuple(paths.items()) or (self.name, self.data_dir)
        square = Square(self.image_size, self.short_side or self.image_size)
        return _corpus(where, square, self.in_memory_mb, self.min_count, self.max_length)


_FILES = {
    split: (f"{prefix}images", f"{prefix}captions")
    for split, prefix in (("train", ""), ("validation", "validation_"), ("test", "test_"))
}


class Rows(NamedTuple):
    """The N images of a split and their captions."""

    indices: np.ndarray  # [N]: which of the stored images they are
    starts: np.ndarray  # [N + 1]: image k has the captions from starts[k] up to starts[k + 1]
    ids: np.ndarray  # [M, U] int32: all captions, one after the other


class CaptionedImages(NamedTuple):
    """Captioned images as they are trained on."""

    images: ImageSet
    rows: dict[str, Rows]
    vocabulary: tuple[str, ...]
    counts: dict[str, dict[str, int]]  # captions, long and unknown, by split
    digest: str


@functools.lru_cache(maxsize=2)
def _corpus(
    where: tuple, square: Square, in_memory_mb: int, min_count: int, max_length: int
) -> CaptionedImages:
    images, texts = (
        caption_files.from_tfds(*where, square)
        if isinstance(where[0], str)
        else caption_files.from_files(dict(where), square)
    )
    if images.nbytes <= in_memory_mb * 1e6:
        images = image_source.load_into_memory(images)
    chosen = dict(texts)
    chosen["train"] = [[c for c in one if _length(c) <= max_length] for one in texts["train"]]
    frequent = (word for caption in itertools.chain(*chosen["train"]) for word in caption.split())
    vocabulary = by_frequency(frequent, ("", UNKNOWN), min_count=min_count)
    words = Words(vocabulary, caption_files.WORDS, lower=True)
    digest = hashlib.blake2b("\n".join([images.digest, *vocabulary]).encode(), digest_size=16)
    rows, counts = {}, {"captions": {}, "long": {}, "unknown": {}}
    for split, every in chosen.items():
        lengths = [_length(caption) for one in texts[split] for caption in one]
        counts["captions"][split] = len(lengths)
        counts["long"][split] = sum(n > max_length for n in lengths)
        indices = np.flatnonzero([len(one) > 0 for one in every])
        starts = np.cumsum([0, *(len(every[k]) for k in indices)])
        cut = [words.encode_lossy(one)[:max_length] for one in itertools.chain(*every)]
        ids = pad(cut, max_length + 1)
        rows[split] = Rows(indices, starts, ids)
        counts["unknown"][split] = int((ids == 1).sum())
        for array in rows[split]:
            digest.update(f"\0{split} {array.shape}\0".encode() + array.tobytes())
    return CaptionedImages(images, rows, vocabulary, counts, digest.hexdigest())


def _length(caption: str) -> int:
    return caption.count(" ") + 1


def _batch(
    corpus: CaptionedImages,
    split: str,
    chosen: np.ndarray,
    per_image: int,
    rng: np.random.Generator | None,
) -> dict[str, np.ndarray]:
    """Images of some rows of a split, and captions, in their order where there is no rng."""
    indices, starts, ids = corpus.rows[split]
    first, n = starts[chosen], starts[chosen + 1] - starts[chosen]
    orders = [np.arange(k) if rng is None else rng.permutation(k) for k in n]
    captions = ids[first[:, None] + [np.resize(order, per_image) for order in orders]]
    return {
        "inputs": corpus.images.read(split, indices[chosen])[0],
        "targets": captions,
        "caption_lengths": (captions > 0).sum(-1, dtype=np.int32),
    }
