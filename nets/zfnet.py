"""ZFNet: AlexNet with one tower and a smaller window and stride in the first layer.

Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.classification_head import logits
from nets.layers.conv import Conv
from nets.layers.image_checks import check_images
from nets.layers.initialisers import initialiser
from nets.layers.norm import local_response_norm
from nets.layers.pooling import max_pool
from nets.types import KernelInit


class ZFNet(nn.Module):
    """ZFNet, with the eight layers of figure 3.

    62,357,608 parameters for three channels and 1,000 classes; 1.168 G multiply-adds at 224 px. To
    give the figure's sizes, conv1 pads by one pixel, conv2 by none, the rest by one, and pooling
    rounds sizes up. Stages at 224 px, those of layers after the activation, pooling before
    normalisation: conv1 [B, 110, 110, 96], pool1 [B, 55, 55, 96], conv2 [B, 26, 26, 256], pool2
    [B, 13, 13, 256], conv3 and conv4 [B, 13, 13, 384], conv5 [B, 13, 13, 256], pool5
    [B, 6, 6, 256], fc6 and fc7 [B, hidden]. The sizes of pool5 and of the kernel of fc6 depend on
    the size of the images.

    "Contrast normalized across feature maps" is implemented as AlexNet's local response
    normalisation, because the figure gives no constants. "All weights are initialized to 10^-2" is
    implemented as normal with that standard deviation; biases are zero.

    >>> model, x = ZFNet(num_classes=10), jnp.zeros((2, 64, 64, 3))
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0].shape
    (2, 10)

    Attributes:
        num_classes: number of classes. None means that the data fills it in; 0 means no fc6, fc7
            and output layer, and the flattened pool5, [B, 9216] at 224 px, as the result.
        hidden: number of units of fc6 and fc7.
        dropout: probability of dropping a unit of fc6 and fc7 while training.
        kernel_init: initialiser of every kernel, by name (`nets.layers.initialisers`). None means
            those stated above.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    num_classes: int | None = None
    hidden: int = 4096
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
            ValueError: H or W is below 47, or x is not [B, H, W, C]; or `num_classes` is None.
        """
        check_images(self, x, 47)
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        start = {"kernel_init": initialiser(self.kernel_init or "small"), **dtypes}
        conv, dense = functools.partial(Conv, **start), functools.partial(nn.Dense, **start)
        pool = functools.partial(max_pool, window=3, strides=2, ceil=True)
        drop = nn.Dropout(self.dropout, deterministic=not train)
        outputs = {}
        outputs["conv1"] = x = nn.relu(conv(96, (7, 7), strides=2, padding=1, name="conv1")(x))
        outputs["pool1"] = x = pool(x)
        x = conv(256, (5, 5), strides=2, padding="VALID", name="conv2")(local_response_norm(x))
        outputs["conv2"] = x = nn.relu(x)
        outputs["pool2"] = x = pool(x)
        outputs["conv3"] = x = nn.relu(conv(384, (3, 3), name="conv3")(local_response_norm(x)))
        outputs["conv4"] = x = nn.relu(conv(384, (3, 3), name="conv4")(x))
        outputs["conv5"] = x = nn.relu(conv(256, (3, 3), name="conv5")(x))
        outputs["pool5"] = x = pool(x)
        x = x.reshape(x.shape[0], -1)
        if self.num_classes:
            outputs["fc6"] = x = nn.relu(dense(self.hidden, name="fc6")(x))
            outputs["fc7"] = x = nn.relu(dense(self.hidden, name="fc7")(drop(x)))
            x = logits(self.num_classes, **start, name="fc8")(drop(x))
        return (x, outputs) if stages else x
