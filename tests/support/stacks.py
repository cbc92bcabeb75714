"""Small nets for tests of costs and receptive fields."""

import flax.linen as nn
import jax
import jax.numpy as jnp


def struct(*shape, dtype=jnp.float32):
    return jax.ShapeDtypeStruct(shape, dtype)


def of_module(module, *shape):
    """The jaxpr of a module's call on an input of this shape, and the index of that input."""
    x = struct(*shape)
    variables = jax.eval_shape(module.init, jax.random.key(0), x)
    return jax.make_jaxpr(module.apply)(variables, x), len(jax.tree.leaves(variables))


class Stack(nn.Module):
    """Layers written as tuples: ("conv", features, size, stride, dilation), ("pool", size), ..."""

    layers: tuple

    @nn.compact
    def __call__(self, x):
        for kind, *options in self.layers:
            if kind == "conv":
                features, size, stride, dilation, padding = options
                conv = nn.Conv(
                    features, (size, size), stride, padding=padding, kernel_dilation=dilation
                )
                x = nn.relu(conv(x))
            elif kind == "pool":
                size, stride, padding = options
                x = nn.max_pool(x, (size, size), (stride, stride), padding)
            elif kind == "dense":
                x = nn.Dense(options[0])(x.reshape(x.shape[0], -1) if x.ndim == 4 else x)
        return x


def conv(features, size, stride=1, dilation=1, padding="SAME"):
    return ("conv", features, size, stride, dilation, padding)


def pool(size, stride=None, padding="VALID"):
    return ("pool", size, stride or size, padding)


VGG16 = tuple(
    layer
    for times, width in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
    for layer in (*[conv(width, 3)] * times, pool(2))
)
