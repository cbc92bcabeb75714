"""Network in Network: a small perceptron at each position, then global average pooling.

Lin, Chen and Yan, Network In Network, ICLR 2014.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.conv import HE, Conv
from nets.layers.image_checks import check_images
from nets.layers.initialisers import initialiser
from nets.layers.pooling import average_pool, global_average, max_pool
from nets.types import KernelInit


class NiN(nn.Module):
    """Network in Network for CIFAR: three perceptrons of three layers each, no dense layer.

    966,986 parameters for three channels and ten classes; 222,486,528 multiply-adds at 32 px. Sizes
    and names are those of the authors' network for Caffe: each perceptron is a convolution (conv1,
    conv2, conv3) and two 1x1 convolutions (cccp1 to cccp6, cascaded cross channel parametric
    pooling). The logits are the averages of the maps of cccp6, which has a ReLU like all other
    layers (equation 2), so that no logit is negative.

    Stages at 32 px, after the activation: conv1 [B, 32, 32, 192], cccp1 [B, 32, 32, 160], cccp2
    [B, 32, 32, 96], pool1 [B, 16, 16, 96], conv2, cccp3 and cccp4 [B, 16, 16, 192], pool2
    [B, 8, 8, 192], conv3 and cccp5 [B, 8, 8, 192], cccp6 [B, 8, 8, num_classes]. pool1 is max
    pooling and pool2 average pooling, both 3x3 with stride 2, with sizes rounded up.

    Kernels are initialised as in He et al. 2015 (normal, by fan-out), biases to zero; the paper
    gives no initialisation.

    >>> model, x = NiN(num_classes=10), jnp.zeros((2, 32, 32, 3))
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0].shape
    (2, 10)

    Attributes:
        num_classes: number of classes. None means that the data fills it in; 0 means no cccp6, and
            the averages of cccp5, [B, 192], as the result.
        dropout: probability of dropping a unit of pool1 and pool2 while training.
        kernel_init: initialiser of every kernel, by name (`nets.layers.initialisers`). None means
            those stated above.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    num_classes: int | None = None
    dropout: float = 0.5
    kernel_init: KernelInit | None = None
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool, stages: bool = False
    ) -> jax.Array | tuple[jax.Array, dict[str, jax.Array]]:
        """Maps x [B, H, W, C] to logits [B, num_classes], float32 at least.

        Needs the key `dropout` while training if `dropout` is above 0.

        Raises:
            ValueError: H or W is below 4, or x is not [B, H, W, C]; or `num_classes` is None.
        """
        check_images(self, x, 4)
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        conv = functools.partial(Conv, kernel_init=initialiser(self.kernel_init, HE), **dtypes)
        point = functools.partial(conv, window=(1, 1))
        pool = {"window": 3, "strides": 2, "ceil": True}
        drop = nn.Dropout(self.dropout, deterministic=not train)
        outputs = {}
        outputs["conv1"] = x = nn.relu(conv(192, (5, 5), name="conv1")(x))
        outputs["cccp1"] = x = nn.relu(point(160, name="cccp1")(x))
        outputs["cccp2"] = x = nn.relu(point(96, name="cccp2")(x))
        outputs["pool1"] = x = max_pool(x, **pool)
        outputs["conv2"] = x = nn.relu(conv(192, (5, 5), name="conv2")(drop(x)))
        outputs["cccp3"] = x = nn.relu(point(192, name="cccp3")(x))
        outputs["cccp4"] = x = nn.relu(point(192, name="cccp4")(x))
        outputs["pool2"] = x = average_pool(x, **pool)
        outputs["conv3"] = x = nn.relu(conv(192, (3, 3), name="conv3")(drop(x)))
        outputs["cccp5"] = x = nn.relu(point(192, name="cccp5")(x))
        if self.num_classes:
            wide = jnp.promote_types(self.dtype, jnp.float32)
            x = nn.relu(point(self.num_classes, dtype=wide, name="cccp6")(x))
            outputs["cccp6"] = x
        x = global_average(x)
        return (x, outputs) if stages else x
