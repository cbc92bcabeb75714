"""Convolution, normalisation and nonlinearity in one block, as most image networks have them."""

import dataclasses
from collections.abc import Callable

import jax
from flax import linen as nn

from nets.layers.conv_windows import Padding
from nets.types import Activation


def conv_norm_act(
    x: jax.Array,
    features: int,
    window: tuple[int, ...] = (1, 1),
    strides: int = 1,
    padding: Padding = "SAME",
    *,
    conv: Callable[..., nn.Module],
    norm: Callable[..., nn.Module] | None,
    activation: Activation | None = nn.relu,
    groups: int = 1,
    drop: Callable[[], nn.Module] | None = None,
    names: tuple[str, str] = ("conv", "bn"),
) -> jax.Array:
    """Maps x [B, H, W, C] to [B, H', W', features], inside a compact method.

    The convolution and the normalisation belong to the calling module, under `names`;
    `ConvNormAct` is a module of its own.

    Args:
        x: images.
        features, window, strides, padding, groups: as in `nets.layers.conv.Conv`.
        conv: makes the convolution (`nets.layers.classification_head.conv_and_norm`).
        norm: makes the normalisation. None means there is none.
        activation: the nonlinearity. None means there is none.
        drop: makes a dropout between convolution and normalisation. None means there is none.
        names: names of the convolution and of the normalisation.
    """
    x = conv(features, window, strides, padding, groups=groups, name=names[0])(x)
    x = x if drop is None else drop()(x)
    x = x if norm is None else norm(name=names[1])(x)
    return x if activation is None else activation(x)


class ConvNormAct(nn.Module):
    """Convolution, normalisation and nonlinearity (`conv_norm_act`) as one module.

        >>> from nets.layers.classification_head import conv_and_norm
        >>> conv, norm = conv_and_norm(jnp.float32, jnp.float32, train=False)
        >>> block = ConvNormAct(8, (3, 3), conv=conv, norm=norm)
        >>> block.init_with_output(jax.random.key(0), jnp.zeros((1, 4, 4, 3)))[0].shape
        (1, 4, 4, 8)

    Attributes:
        features, window, strides, padding, conv, norm, activation, groups, drop, names: as in
            `conv_norm_act`.
    """

    features: int
    window: tuple[int, ...] = (1, 1)
    strides: int = 1
    padding: Padding = "SAME"
    _: dataclasses.KW_ONLY
    conv: Callable[..., nn.Module]
    norm: Callable[..., nn.Module] | None
    activation: Activation | None = nn.relu
    groups: int = 1
    drop: Callable[[], nn.Module] | None = None
    names: tuple[str, str] = ("conv", "bn")

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps x [B, H, W, C] to [B, H', W', features]."""
        return conv_norm_act(
            x,
            self.features,
            self.window,
            self.strides,
            self.padding,
            conv=self.conv,
            norm=self.norm,
            activation=self.activation,
            groups=self.groups,
            drop=self.drop,
            names=self.names,
        )
