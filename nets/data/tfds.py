"""TensorFlow Datasets prepared as array_record, read without tensorflow."""

import contextlib
import difflib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from nets.data.annotations import Example
from nets.data.image_source import SPLITS, ImageSet, Transform, fingerprint, resize
from nets.errors import UserError

PREPARE_NEEDS = "tensorflow tensorflow-datasets importlib_resources"


def open_builder(name: str, data_dir: str | None) -> Any:
    """The `tfds.core.DatasetBuilder` of a name; knows features, and splits where it is prepared.

    A set whose code needs what is not installed is opened by its files, where it is prepared.

    Raises:
        UserError: there is no such set, or its code needs what is not installed and it is not
            prepared.
    """
    import tensorflow_datasets

    folder = data_dir and os.path.expanduser(data_dir)
    try:
        with _quiet():
            return tensorflow_datasets.builder(name, data_dir=folder)
    except tensorflow_datasets.core.DatasetNotFoundError:
        names = tensorflow_datasets.list_builders(with_community_datasets=False)
        near = difflib.get_close_matches(name, ["digits", *names], n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UserError(f"TFDS has no data set '{name}'.{hint}") from None
    except Exception as error:  # whatever the set's own code raises
        from tensorflow_datasets.core import read_only_builder

        try:
            with _quiet():
                return read_only_builder.builder_from_files(name, data_dir=folder)
        except Exception:  # it is not there, or damaged
            raise UserError(
                f"TFDS cannot open its data set '{name}': {_line(error)}; where it is not yet "
                f"prepared, {_how(name, data_dir)}"
            ) from error


def prepared(name: str, data_dir: str | None) -> Any:
    """The builder of a set that is prepared as array_record.

    Raises:
        UserError: it is not; the message says how to prepare it.
    """
    builder = open_builder(name, data_dir)
    where, info = builder.data_path, builder.info
    if not info.splits:
        raise UserError(
            f"data set '{name}' is not prepared: nothing at {where}; {_how(name, data_dir)}"
        )
    if info.file_format.value != "array_record":
        raise UserError(
            f"data set '{name}' at {where} is prepared as {info.file_format.value}, not as "
            f"array_record; remove it, or give another data_dir, and {_how(name, data_dir)}"
        )
    return builder


def prepare_command(name: str, data_dir: str | None) -> str:
    """The shell command that prepares a set, in an environment with PREPARE_NEEDS."""
    keyword = f", data_dir={data_dir!r}" if data_dir else ""
    return (
        'python -c "import tensorflow_datasets as tfds; '
        f"tfds.builder({name!r}{keyword}).download_and_prepare(file_format='array_record')\""
    )


def _how(name: str, data_dir: str | None) -> str:
    return (
        f"prepare it once, in any environment where `pip install {PREPARE_NEEDS}` was run: "
        f"{prepare_command(name, data_dir)}"
    )


def reader(
    builder: Any, split: str, without: Sequence[str] = ()
) -> Callable[[Sequence[int]], list[dict[str, Any]]]:
    """A thread-safe function from indices [n] to the decoded records of a prepared split.

    It raises a UserError where they cannot be read. Fields named in `without` are not decoded.
    """
    from tensorflow_datasets import decode

    source = builder.as_data_source(
        split=split, decoders={field: decode.SkipDecoding() for field in without}
    )

    def read(indices: Sequence[int]) -> list[dict[str, Any]]:
        try:
            return source.__getitems__([int(i) for i in indices])
        except Exception as error:  # array_record and the decoders raise each their own
            raise UserError(
                f"cannot read split {split} of '{builder.info.full_name}' at {builder.data_path}: "
                f"{_line(error)}"
            ) from error

    return read


def image_spec(
    builder: Any, image_size: int | None
) -> tuple[tuple[int, int, int], tuple[str, ...], tuple[str, str]]:
    """Shape, classes and keys of an image-classification set, without its data.

    Returns:
        (H, W, C) of an image; class names; the keys of image and label in a record.

    Raises:
        UserError: it is not for image classification, not 8-bit, or of unequal size.
    """
    from tensorflow_datasets import features

    info = builder.info
    keys = info.supervised_keys or ("image", "label")
    fields = dict(info.features) if isinstance(info.features, features.FeaturesDict) else {}
    image, label = (fields.get(key) for key in keys[:2])
    if not isinstance(image, features.Image) or not isinstance(label, features.ClassLabel):
        raise UserError(
            f"data set '{info.full_name}' is not for image classification; it holds "
            f"{', '.join(fields) or info.features}."
        )
    if np.dtype(image.np_dtype) != np.uint8:
        raise UserError(
            f"the images of '{info.full_name}' are {np.dtype(image.np_dtype)}; uint8 is valid."
        )
    h, w, c = image.shape
    if image_size is not None:
        h = w = image_size
    if h is None or w is None:
        raise UserError(f"the images of '{info.full_name}' are of unequal size; give image_size.")
    return (h, w, c), tuple(label.names), keys[:2]


def image_set(name: str, data_dir: str | None, image_size: int | None) -> ImageSet:
    """A prepared image-classification set, its records read and decoded as they are requested.

    A split without labels (a test split whose answers are kept back) is left out. Reading raises a
    UserError where a label is not one of the classes.
    """
    builder = prepared(name, data_dir)
    info = builder.info
    shape, class_names, (image_key, label_key) = image_spec(builder, image_size)
    if "train" not in info.splits:
        raise UserError(f"'{info.full_name}' has no split train; it has {', '.join(info.splits)}.")

    def read(
        split: str, indices: np.ndarray, fit: Transform | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        examples = records[split](indices)
        images = [r[image_key] for r in examples]
        if fit is not None:
            images = [fit(Example(image)).image for image in images]
        elif image_size is not None:
            images = [resize(image, image_size) for image in images]
        labels = np.array([r[label_key] for r in examples])
        for i in np.flatnonzero((labels < 0) | (labels >= len(class_names))):
            raise UserError(
                f"image {indices[i]} of split {split} of '{info.full_name}' at "
                f"{builder.data_path} has label {labels[i]}; valid are 0 to {len(class_names) - 1}."
            )
        return np.stack(images), labels.astype(np.int32)

    with _quiet():  # the first image decoded warns that OpenCV, which is optional, is not there
        records = {s: reader(builder, s) for s in SPLITS if s in info.splits}
        labelled = [s for s in records if records[s]([0])[0][label_key] >= 0]
    sizes = {split: info.splits[split].num_examples for split in labelled}
    paths = [path for split in labelled for path in info.splits[split].filepaths]
    stats = ((os.path.basename(path), os.stat(path)) for path in paths)
    digest, stamp = fingerprint(f"{info.full_name} {image_size}", stats)
    return ImageSet(info.full_name, shape, class_names, sizes, read, digest, stamp)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without warnings through absl's logger, and without what TFDS prints."""

    def errors(record: logging.LogRecord) -> bool:
        return record.levelno > logging.WARNING

    logger = logging.getLogger("absl")
    logger.addFilter(errors)
    try:
        with contextlib.redirect_stdout(None):
            yield
    finally:
        logger.removeFilter(errors)


def _line(error: Exception) -> str:
    """The first line of what an error says."""
    return (str(error).strip() or type(error).__name__).partition("\n")[0]
