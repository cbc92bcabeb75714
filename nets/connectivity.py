"""Fully connected, locally connected and convolutional networks of the same size.

LeCun, Generalization and Network Design Strategies, Technical report CRG-TR-89-4, University of
Toronto, 1989, compares such networks on handwritten digits.
"""

import math
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.checks import check_choice
from nets.layers.classification_head import logits
from nets.layers.conv import Conv
from nets.layers.conv_local import LocallyConnected
from nets.layers.conv_windows import explicit_pads, output_size, to_tuple
from nets.layers.image_checks import check_images
from nets.layers.initialisers import initialiser
from nets.types import KernelInit

Connection = Literal["full", "local", "shared"]
CONNECTIONS: tuple[Connection, ...] = get_args(Connection)


class Connected(nn.Module):
    """Full, local or shared connections: two layers of maps, global max pooling, linear.

    A unit sees the whole previous layer ("full"); or a window around its position, with its own
    weights ("local"); or that window, with weights shared by all positions ("shared": a
    convolution). Depth and number of units are the same in all three. Stages, after the ReLU: maps1
    [B, H', W', features[0]], maps2 [B, H'', W'', features[1]], maximum [B, features[1]].

    Kernels of the maps are initialised He normal, that of the linear layer LeCun normal.

    >>> model, x = Connected("local", num_classes=10), jnp.zeros((2, 8, 8, 1))
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0].shape
    (2, 10)

    Attributes:
        connection: full, local or shared.
        features: number of maps of each layer.
        window: height and width of the window of local and shared connections.
        strides: step between neighbouring positions of each layer.
        num_classes: number of classes. None means that the data fills it in; 0 means no linear
            layer, and `maximum` as the result.
        kernel_init: initialiser of every kernel, by name (`nets.layers.initialisers`). None means
            those stated above.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    connection: Connection
    features: tuple[int, int] = (8, 16)
    window: int = 5
    strides: tuple[int, int] = (2, 1)
    num_classes: int | None = None
    kernel_init: KernelInit | None = None
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool, stages: bool = False
    ) -> jax.Array | tuple[jax.Array, dict[str, jax.Array]]:
        """Maps x [B, H, W, C] to logits [B, num_classes], float32 at least.

        Raises:
            ValueError: `connection` is unknown, x is not [B, H, W, C], or `num_classes` is None.
        """
        check_choice("Connected.connection", self.connection, Connection)
        check_images(self, x, 1)
        outputs = {}
        for name, features, stride in zip(
            ("maps1", "maps2"), self.features, self.strides, strict=True
        ):
            outputs[name] = x = nn.relu(self._maps(x, features, stride, name))
        outputs["maximum"] = x = x.max((1, 2))
        if self.num_classes:
            options = {"kernel_init": initialiser(self.kernel_init)}
            options |= {"dtype": self.dtype, "param_dtype": self.param_dtype}
            x = logits(self.num_classes, **options, name="output")(x)
        return (x, outputs) if stages else x

    def _maps(self, x: jax.Array, features: int, stride: int, name: str) -> jax.Array:
        options = {"kernel_init": initialiser(self.kernel_init or "he_normal"), "name": name}
        options |= {"dtype": self.dtype, "param_dtype": self.param_dtype}
        window, strides = to_tuple(self.window, 2, "window"), to_tuple(stride, 2, "strides")
        if self.connection == "shared":
            return Conv(features, window, strides, **options)(x)
        if self.connection == "local":
            return LocallyConnected(features, window, strides, **options)(x)
        sizes = x.shape[1:-1]
        pads = explicit_pads(sizes, window, strides, "SAME", (1, 1))
        positions = [output_size(*axis) for axis in zip(sizes, window, strides, pads, strict=True)]
        y = nn.Dense(math.prod(positions) * features, **options)(x.reshape(len(x), -1))
        return y.reshape(len(x), *positions, features)


class EachConnected(nn.Module):
    """Three independent `Connected` networks, one of each connection.

    >>> model, x, key = EachConnected(num_classes=10), jnp.zeros((2, 8, 8, 1)), jax.random.key(0)
    >>> jax.eval_shape(lambda: model.init_with_output(key, x, train=False))[0]["full"].shape
    (2, 10)

    Attributes:
        features: number of maps of each layer.
        window: height and width of the window of local and shared connections.
        strides: step between neighbouring positions of each layer.
        num_classes: as in `Connected`.
        kernel_init: as in `Connected`.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    features: tuple[int, int] = (8, 16)
    window: int = 5
    strides: tuple[int, int] = (2, 1)
    num_classes: int | None = None
    kernel_init: KernelInit | None = None
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> dict[str, jax.Array]:
        """Maps x [B, H, W, C] to logits [B, num_classes] by connection."""
        options = {"features": self.features, "window": self.window, "strides": self.strides}
        options |= {"kernel_init": self.kernel_init}
        options |= {"dtype": self.dtype, "param_dtype": self.param_dtype}
        return {
            connection: Connected(
                connection, num_classes=self.num_classes, **options, name=connection
            )(x, train=train)
            for connection in CONNECTIONS
        }
