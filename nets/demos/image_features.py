"""Features made by hand beside learnt ones: a bank of filters, and pictures of projections.

The model and the task of the experiment `features_digits`.
"""

import dataclasses
from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.typing import DTypeLike

from nets.demos.textons import gabor_bank
from nets.errors import UserError, check_choice, check_range
from nets.layers.classification_head import logits
from nets.layers.conv import Conv
from nets.layers.pooling import average_pool
from nets.report.figures import Figure
from nets.report.image_grid import ImageGrid
from nets.report.scatter_plot import ScatterPlot
from nets.tasks.classify import Classify
from nets.tasks.metrics import Metrics
from nets.tasks.sequence_figures import real
from nets.tasks.task import Batch, Trained


class FilterBank(nn.Module):
    """Local energies of pairs of filters, averaged over cells, and one linear layer.

        energy_k = sqrt((x * even_k)^2 + (x * odd_k)^2)

    as of Gabor filters in texture analysis (Turner 1986; Jain and Farrokhnia 1991). Stage:
    features [B, cells of the image, pairs of filters], flattened.

    Attributes:
        filters: the initial filters: "gabor", every wavelength in every direction, or "random".
        window: side of a filter in pixels.
        wavelengths: of the Gabor filters, in pixels.
        orientations: directions of the Gabor filters, evenly over half a turn.
        cell: side of a cell in pixels.
        num_classes: number of classes. None means that the data fills it in.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    filters: Literal["gabor", "random"] = "gabor"
    window: int = 7
    wavelengths: tuple[float, ...] = (4.0, 8.0)
    orientations: int = 8
    cell: int = 4
    num_classes: int | None = None
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool, stages: bool = False
    ) -> jax.Array | tuple[jax.Array, dict[str, jax.Array]]:
        """Maps x [B, H, W, 1] to logits [B, num_classes], float32 at least.

        Raises:
            UserError: x has more than one channel, or `filters` is unknown.
        """
        check_choice(self, "filters", ("gabor", "random"))
        if x.shape[-1] != 1:
            raise UserError(f"FilterBank takes images [B, H, W, 1], got {list(x.shape)}.")
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        init = nn.initializers.lecun_normal()
        if self.filters == "gabor":
            init = self._gabor
        pairs = len(self.wavelengths) * self.orientations
        window = self.window, self.window
        x = Conv(2 * pairs, window, use_bias=False, kernel_init=init, **dtypes, name="filters")(x)
        even, odd = jnp.split(x, 2, axis=-1)
        tiny = jnp.finfo(x.dtype).eps  # where the root has a derivative
        energy = average_pool(jnp.sqrt(even**2 + odd**2 + tiny), self.cell)
        outputs = {"features": energy.reshape(len(energy), -1)}
        x = logits(self.num_classes, **dtypes, name="fc")(outputs["features"])
        return (x, outputs) if stages else x

    def _gabor(self, key: jax.Array, shape: Sequence[int], dtype: DTypeLike) -> jax.Array:
        """The bank [window, window, 1, filters]."""
        bank = gabor_bank(self.window, self.wavelengths, self.orientations)
        return jnp.asarray(np.moveaxis(bank, 0, -1)[:, :, None], dtype)


@dataclasses.dataclass(frozen=True)
class ClassifyFeatures(Classify):
    """`Classify` with a picture of the test set's features in the plane.

    The first two directions of a `Projection`; otherwise the first two principal components of the
    features, which are the stage "features" of a `FilterBank`, or else the inputs.

    Attributes:
        points: maximum number of test images that are drawn.
    """

    points: int = 500

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "points", at_least=1)

    def figures(
        self, trained: Trained, batches: Sequence[Batch], metrics: Metrics, final: bool
    ) -> dict[str, Figure]:
        figures = super().figures(trained, batches, metrics, final)
        if not final:
            return figures
        rows = [real(batch) for batch in batches]
        x, classes = (
            np.concatenate([r[k] for r in rows])[: self.points] for k in ("inputs", "targets")
        )
        features, names = x.reshape(len(x), -1), tuple(trained.metadata["class_names"])
        labels = "first direction", "second direction"
        if isinstance(trained.model, FilterBank):
            model, variables = trained.model, {"params": trained.params}
            apply = jax.jit(lambda x: model.apply(variables, x, train=False, stages=True)[1])
            features = apply(x)["features"]
        if "directions" in trained.metadata:
            directions = np.array(trained.metadata["directions"])
            most = float(np.quantile(np.abs(directions), 0.99))
            figures["directions"] = ImageGrid(
                "The directions", directions, tuple(str(i + 1) for i in range(len(directions))),
                limits=(-most, most), unit="weight",
            )  # fmt: skip
        else:
            features = components(np.asarray(features, float))
            labels = "first principal component", "second principal component"
        if features.shape[1] > 1:
            title = f"Features of {len(x)} test images, in the plane"
            figures["projection"] = ScatterPlot(title, features[:, :2], classes, names, *labels)
        return figures


def components(features: np.ndarray) -> np.ndarray:
    """The first two principal components [N, 2] of features [N, F]."""
    left, scale, _ = np.linalg.svd(features - features.mean(0), full_matrices=False)
    return left[:, :2] * scale[:2]
