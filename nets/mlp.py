"""Multilayer perceptron."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.classification_head import logits
from nets.layers.image_checks import check_head
from nets.layers.initialisers import initialiser
from nets.layers.norm import BatchNorm
from nets.types import Activation, KernelInit


class MLP(nn.Module):
    """Multilayer perceptron over flattened inputs (Rumelhart, Hinton and Williams 1986).

    Stages: hidden_0, hidden_1, ... [B, width], after the activation.

    Kernels are initialised as LeCun normal, biases to zero.

    >>> model, x = MLP(widths=(64, 32)), jnp.zeros((2, 28, 28))
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0].shape
    (2, 10)

    Attributes:
        widths: number of units of each hidden layer.
        num_classes: number of classes. None means that the data fills it in; 0 means no output
            layer, and the last hidden layer as the result.
        activation: nonlinearity of the hidden units.
        batch_norm: whether each hidden layer is batch-normalised before the activation.
        dropout: probability of dropping a hidden unit while training.
        kernel_init: initialiser of every kernel, by name (`nets.layers.initialisers`). None means
            those stated above.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    widths: tuple[int, ...] = (128,)
    num_classes: int | None = 10
    activation: Activation = nn.relu
    batch_norm: bool = False
    dropout: float = 0.0
    kernel_init: KernelInit | None = None
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool, stages: bool = False
    ) -> jax.Array | tuple[jax.Array, dict[str, jax.Array]]:
        """Maps x [B, ...] to logits [B, num_classes], float32 at least.

        Needs the key `dropout` while training if `dropout` is above 0.

        Raises:
            ValueError: `num_classes` is None, or `dropout` is not in [0, 1).
        """
        check_head(self)
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        options = {"kernel_init": initialiser(self.kernel_init), **dtypes}
        outputs = {}
        x = x.reshape(x.shape[0], -1)
        for i, width in enumerate(self.widths):
            name = f"hidden_{i}"
            x = nn.Dense(width, **options, name=name)(x)
            if self.batch_norm:
                x = BatchNorm(use_running_average=not train, **dtypes, name=f"norm_{i}")(x)
            outputs[name] = x = self.activation(x)
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        if self.num_classes:
            x = logits(self.num_classes, **options, name="output")(x)
        return (x, outputs) if stages else x
