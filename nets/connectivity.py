"""Networks that differ in what a unit sees, and in whether places share their weights.

LeCun, Generalization and Network Design Strategies, Technical report CRG-TR-89-4, University of
Toronto, 1989, compares such networks on handwritten digits.
"""

import math
from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.classification_head import logits
from nets.layers.conv import Conv
from nets.layers.conv_local import LocallyConnected
from nets.layers.conv_windows import explicit_pads, output_size, to_tuple
from nets.layers.image_checks import check_images

CONNECTIONS = ("full", "local", "shared")


class Connected(nn.Module):
    """Two layers of maps, the greatest unit of each map of the second, and a linear layer.

    A unit sees all of the layer before ("full"); or a window around its place, with weights of its
    own ("local"); or that window with the weights of its whole map ("shared": a convolution). Depth
    and number of units are the same in all three. Stages, after rectification: maps1
    [B, H', W', features[0]], maps2 [B, H'', W'', features[1]], greatest [B, features[1]].

    Attributes:
        connection: what a unit sees, and whose weights it has.
        features: number of maps of each layer.
        window: side of the windows, where a unit does not see all.
        strides: step between neighbouring places of each layer.
        num_classes: number of outputs. None: to be filled in from the data. 0: no linear layer,
            the result is `greatest`.
        dtype: what it computes in.
        param_dtype: what it stores.
    """

    connection: Literal["full", "local", "shared"]
    features: tuple[int, int] = (8, 16)
    window: int = 5
    strides: tuple[int, int] = (2, 1)
    num_classes: int | None = None
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool, stages: bool = False
    ) -> jax.Array | tuple[jax.Array, dict[str, jax.Array]]:
        """Maps x [B, H, W, C] to logits [B, num_classes], float32 at least.

        Raises:
            ValueError: there is no such connection, x has other axes, or `num_classes` is None.
        """
        if self.connection not in CONNECTIONS:
            raise ValueError(
                f"Connected.connection={self.connection}: valid are {', '.join(CONNECTIONS)}"
            )
        check_images(self, x, 1)
        seen = {}
        for name, features, stride in zip(
            ("maps1", "maps2"), self.features, self.strides, strict=True
        ):
            seen[name] = x = nn.relu(self._maps(x, features, stride, name))
        seen["greatest"] = x = x.max((1, 2))
        if self.num_classes:
            dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
            x = logits(self.num_classes, **dtypes, name="output")(x)
        return (x, seen) if stages else x

    def _maps(self, x, features, stride, name):
        options = {"kernel_init": nn.initializers.he_normal(), "name": name}
        options |= {"dtype": self.dtype, "param_dtype": self.param_dtype}
        window, strides = to_tuple(self.window, 2, "window"), to_tuple(stride, 2, "strides")
        if self.connection == "shared":
            return Conv(features, window, strides, **options)(x)
        if self.connection == "local":
            return LocallyConnected(features, window, strides, **options)(x)
        sizes = x.shape[1:-1]
        pads = explicit_pads(sizes, window, strides, "SAME", (1, 1))
        places = [output_size(*axis) for axis in zip(sizes, window, strides, pads, strict=True)]
        y = nn.Dense(math.prod(places) * features, **options)(x.reshape(len(x), -1))
        return y.reshape(len(x), *places, features)


class EachConnected(nn.Module):
    """A `Connected` of every connection, side by side; none knows of the others.

    Attributes:
        features: number of maps of each layer.
        window: side of the windows, where a unit does not see all.
        strides: step between neighbouring places of each layer.
        num_classes: as in `Connected`.
        dtype: what it computes in.
        param_dtype: what it stores.
    """

    features: tuple[int, int] = (8, 16)
    window: int = 5
    strides: tuple[int, int] = (2, 1)
    num_classes: int | None = None
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> dict[str, jax.Array]:
        """Maps x [B, H, W, C] to logits [B, num_classes] by connection."""
        options = {"features": self.features, "window": self.window, "strides": self.strides}
        options |= {"dtype": self.dtype, "param_dtype": self.param_dtype}
        return {
            connection: Connected(
                connection, num_classes=self.num_classes, **options, name=connection
            )(x, train=train)
            for connection in CONNECTIONS
        }
