"""AlexNet: two towers (2012), and one tower as in torchvision (2014).

Krizhevsky, Sutskever and Hinton, ImageNet Classification with Deep Convolutional Neural Networks,
NIPS 2012. Krizhevsky, One Weird Trick for Parallelizing Convolutional Neural Networks, arXiv
1404.5997, 2014.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.classification_head import logits
from nets.layers.conv import HE, Conv
from nets.layers.image_checks import check_images
from nets.layers.initialisers import initialiser
from nets.layers.norm import local_response_norm
from nets.layers.pooling import max_pool
from nets.layers.pooling_adaptive import adaptive_average
from nets.types import KernelInit


class AlexNet(nn.Module):
    """AlexNet with one tower and without normalisation (2014), with torchvision's names.

    61,100,840 parameters for three channels and 1,000 classes; 0.714 G multiply-adds at 224 px.
    Stages at 224 px, those of layers after the activation: conv1 [B, 55, 55, 64], pool1
    [B, 27, 27, 64], conv2 [B, 27, 27, 192], pool2 [B, 13, 13, 192], conv3 [B, 13, 13, 384], conv4
    and conv5 [B, 13, 13, 256], pool5 [B, 6, 6, 256], fc6 and fc7 [B, hidden]. With images of other
    sizes, pool5 is averaged to 6x6 positions.

    Kernels of convolutions are initialised as in He et al. 2015 (normal, by fan-out), those of
    dense layers normal with standard deviation 0.01 as in 2012, biases to zero.

    >>> model, x = AlexNet(num_classes=10), jnp.zeros((2, 64, 64, 3))
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0].shape
    (2, 10)

    Attributes:
        num_classes: number of classes. None means that the data fills it in; 0 means no fc6, fc7
            and output layer, and the flattened 6x6 maps [B, 9216] as the result.
        hidden: number of units of fc6 and fc7.
        dropout: probability of dropping an input of fc6 and fc7 while training.
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
            ValueError: H or W is below 63, or x is not [B, H, W, C]; or `num_classes` is None.
        """
        check_images(self, x, 63)
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        conv = functools.partial(Conv, kernel_init=initialiser(self.kernel_init, HE), **dtypes)
        start = {"kernel_init": initialiser(self.kernel_init or "small"), **dtypes}
        dense = functools.partial(nn.Dense, **start)
        drop = nn.Dropout(self.dropout, deterministic=not train)
        outputs = {}
        x = conv(64, (11, 11), strides=4, padding=2, name="features_0")(x)
        outputs["conv1"] = x = nn.relu(x)
        outputs["pool1"] = x = max_pool(x, 3, 2)
        outputs["conv2"] = x = nn.relu(conv(192, (5, 5), padding=2, name="features_3")(x))
        outputs["pool2"] = x = max_pool(x, 3, 2)
        outputs["conv3"] = x = nn.relu(conv(384, (3, 3), padding=1, name="features_6")(x))
        outputs["conv4"] = x = nn.relu(conv(256, (3, 3), padding=1, name="features_8")(x))
        outputs["conv5"] = x = nn.relu(conv(256, (3, 3), padding=1, name="features_10")(x))
        outputs["pool5"] = x = max_pool(x, 3, 2)
        x = adaptive_average(x, 6).reshape(x.shape[0], -1)
        if self.num_classes:
            outputs["fc6"] = x = nn.relu(dense(self.hidden, name="classifier_1")(drop(x)))
            outputs["fc7"] = x = nn.relu(dense(self.hidden, name="classifier_4")(drop(x)))
            x = logits(self.num_classes, **start, name="classifier_6")(x)
        return (x, outputs) if stages else x

    @property
    def flattened(self) -> dict[str, tuple[int, int]]:
        """The linear layers that read flattened maps, by name, and the [H, W] of these maps."""
        return {"classifier_1": (6, 6)}


class AlexNetOriginal(nn.Module):
    """AlexNet as published in 2012: two towers, local response normalisation, 227x227 pixels.

    60,965,224 parameters for three channels and 1,000 classes; 724,406,816 multiply-adds at 227 px
    (the paper says 224, which does not give its 55x55 positions). The towers are the two halves of
    the channels; conv2, conv4 and conv5 see only their own half. Stages at 227 px, those of layers
    after the activation, pooling after normalisation: conv1 [B, 55, 55, 96], pool1 [B, 27, 27, 96],
    conv2 [B, 27, 27, 256], pool2 [B, 13, 13, 256], conv3 and conv4 [B, 13, 13, 384], conv5
    [B, 13, 13, 256], pool5 [B, 6, 6, 256], fc6 and fc7 [B, hidden]. The sizes of pool5 and of the
    kernel of fc6 depend on the size of the images.

    The simplified one of lecture slides (Stanford's CS231n) has one tower, whose convolutions see
    all channels, and normalises after pooling, in the stages norm1 [B, 27, 27, 96] and norm2
    [B, 13, 13, 256]: 62,378,344 parameters and 1,135,256,096 multiply-adds.

    Initialisation is the paper's: kernels normal with standard deviation 0.01, biases one in conv2,
    conv4, conv5, fc6 and fc7, and zero elsewhere.

    >>> model, x = AlexNetOriginal(num_classes=10), jnp.zeros((2, 227, 227, 3))
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0].shape
    (2, 10)

    Attributes:
        num_classes: number of classes. None means that the data fills it in; 0 means no fc6, fc7
            and output layer, and the flattened pool5, [B, 9216] at 227 px, as the result.
        hidden: number of units of fc6 and fc7.
        dropout: probability of dropping a unit of fc6 and fc7 while training.
        simplified: whether there is one tower, and normalisation after pooling.
        kernel_init: initialiser of every kernel, by name (`nets.layers.initialisers`). None means
            those stated above.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    num_classes: int | None = None
    hidden: int = 4096
    dropout: float = 0.5
    simplified: bool = False
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
            ValueError: H or W is below 67, or x is not [B, H, W, C]; or `num_classes` is None.
        """
        check_images(self, x, 67)
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        start = {"kernel_init": initialiser(self.kernel_init or "small"), **dtypes}
        ones = {"bias_init": nn.initializers.ones}
        conv = functools.partial(Conv, **start)
        towers = functools.partial(Conv, groups=1 if self.simplified else 2, **ones, **start)
        dense = functools.partial(nn.Dense, **start)
        drop = nn.Dropout(self.dropout, deterministic=not train)
        outputs = {}
        outputs["conv1"] = x = nn.relu(
            conv(96, (11, 11), strides=4, padding="VALID", name="conv1")(x)
        )
        x = self._normalised_pool(x, outputs, 1)
        outputs["conv2"] = x = nn.relu(towers(256, (5, 5), name="conv2")(x))
        x = self._normalised_pool(x, outputs, 2)
        outputs["conv3"] = x = nn.relu(conv(384, (3, 3), name="conv3")(x))
        outputs["conv4"] = x = nn.relu(towers(384, (3, 3), name="conv4")(x))
        outputs["conv5"] = x = nn.relu(towers(256, (3, 3), name="conv5")(x))
        outputs["pool5"] = x = max_pool(x, 3, 2)
        x = x.reshape(x.shape[0], -1)
        if self.num_classes:
            outputs["fc6"] = x = nn.relu(dense(self.hidden, **ones, name="fc6")(x))
            outputs["fc7"] = x = nn.relu(dense(self.hidden, **ones, name="fc7")(drop(x)))
            x = logits(self.num_classes, **start, name="fc8")(drop(x))
        return (x, outputs) if stages else x

    @nn.nowrap
    def _normalised_pool(self, x: jax.Array, outputs: dict[str, jax.Array], i: int) -> jax.Array:
        if not self.simplified:
            x = local_response_norm(x)
        outputs[f"pool{i}"] = x = max_pool(x, 3, 2)
        if self.simplified:
            outputs[f"norm{i}"] = x = local_response_norm(x)
        return x
