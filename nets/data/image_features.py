"""Images as vectors of features: the base of such sets, and linear projections."""

import abc
import dataclasses
import functools
from typing import Any, Literal

import numpy as np

from nets.data import image_loading
from nets.data.dataset import Batches, Spec, padded_rows, shuffled
from nets.data.derived_images import DerivedImages
from nets.data.images import Images
from nets.errors import UserError, check_choice, check_range


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageFeatures(DerivedImages, abc.ABC):
    """Base of labelled images (`nets.data.images.Images`), each described by F numbers.

    Batches hold "inputs" [B, F] float32 and "targets" [B] int32; those of an evaluation also
    "image" [B, H, W, C] float32 and "mask" [B].
    """

    batch_size: int = 128

    @abc.abstractmethod
    def size(self, shape: tuple[int, ...]) -> int:
        """F for images [H, W, C].

        Raises:
            UserError: images of this shape have no such features.
        """

    @abc.abstractmethod
    def features(self) -> dict[str, np.ndarray]:
        """The features [N, F] float32 of every image, by stored split."""

    def train(self, seed: int) -> Batches:
        self.images().train(seed)  # refuses a batch that is too large
        stored, rows = self.images().rows("train")
        labels = self.images().source().read(stored, rows)[1]
        features = self.features()[stored][rows]

        def batch(i: int) -> dict[str, np.ndarray]:
            chosen = shuffled(seed, len(rows), self.batch_size, i)
            return {"inputs": features[chosen], "targets": labels[chosen]}

        return Batches(batch)

    def evaluate(self, split: str) -> Batches:
        images = self.images().evaluate(split)
        stored, rows = self.images().rows(split)
        features = self.features()[stored][rows]

        def batch(i: int) -> dict[str, np.ndarray]:
            chosen, _ = padded_rows(len(rows), self.eval_batch_size, i)
            arrays = images[i]
            return arrays | {"image": arrays["inputs"], "inputs": features[chosen]}

        return Batches(batch, len(images))

    def spec(self) -> Spec:
        arrays, metadata = self.images().spec()
        size = self.size(arrays["inputs"][0][1:])
        features = (self.batch_size, size), np.dtype(np.float32)
        return Spec(arrays | {"inputs": features}, metadata)

    def images(self, **fixed: Any) -> Images:
        return super().images(normalise="unit", **fixed)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Projection(ImageFeatures):
    """Any set of labelled images, projected onto a few directions fitted to the training images.

    Principal components (Pearson 1901), or Fisher's linear discriminants (1936; Rao 1948) with the
    covariance within classes shrunk as in Ledoit and Wolf 2004, both by scikit-learn. They are
    scaled so that this variance is 1 among all training images (PCA) or within classes (LDA).
    "directions" in the metadata are the first ten as images [H, W, C] of norm 1.

    Attributes:
        method: "pca" or "lda".
        components: number of directions, by falling variance; for LDA fewer than the classes.
    """

    method: Literal["pca", "lda"] = "pca"
    components: int = 9

    def __post_init__(self) -> None:
        check_choice(self, "method", ("pca", "lda"))
        check_range(self, "components", at_least=1)
        super().__post_init__()

    def size(self, shape: tuple[int, ...]) -> int:
        most, what = int(np.prod(shape)), "the pixels of an image"
        classes = self.images().spec().metadata["num_classes"]
        if self.method == "lda" and classes - 1 < most:
            most, what = classes - 1, f"one fewer than the {classes} classes"
        if self.components > most:
            raise UserError(f"must be at most {most}, {what}, got {self.components}.", "components")
        return self.components

    def features(self) -> dict[str, np.ndarray]:
        self.spec()  # refuses too many components
        return self._fitted()[0]

    def metadata(self) -> dict[str, Any]:
        """The metadata of the images, and directions."""
        self.spec()
        directions = self._fitted()[1][:10].reshape(-1, *self.images().source().shape)
        return super().metadata() | {"directions": directions.round(4).tolist()}

    def _fitted(self) -> tuple[dict[str, np.ndarray], np.ndarray]:
        return project(self.images().where(), self.validation, self.method, self.components)


@functools.lru_cache(maxsize=2)
def project(
    where: image_loading.ImageSource, validation: float, method: str, components: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The projections [N, components] of every image, by stored split, and the directions.

    The directions [components, H W C] have norm 1; they are fitted to the training images.
    """
    from sklearn.decomposition import PCA
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    source = image_loading.open_set(where)

    def read(split: str, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        images, labels = source.read(split, rows)
        return images.reshape(len(images), -1) / 255, labels

    images, labels = read(*image_loading.partition(where, validation)["train"])
    if method == "pca":
        fitted = PCA(components, whiten=True, random_state=0).fit(images)
        directions = fitted.components_
    else:
        fitted = LinearDiscriminantAnalysis("eigen", "auto", n_components=components)
        directions = fitted.fit(images, labels).scalings_.T[:components]
    projected = {
        split: fitted.transform(read(split, np.arange(n))[0]).astype(np.float32)
        for split, n in source.sizes.items()
    }
    return projected, directions / np.linalg.norm(directions, axis=1, keepdims=True)
