"""Identities that change the gradient in the backward pass."""

import functools

import jax
import jax.numpy as jnp

from nets.layers.checks import check_at_least


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def clip_gradient(x: jax.Array, bound: float) -> jax.Array:
    """x, whose gradient is clipped in the backward pass, each entry to [-bound, bound].

    Graves 2013 clips that of the loss by the outputs of the network to 100, and by the inputs of
    LSTM layers, before the gates, to 10 (sections 2.1 and 4). Reverse mode only.

        >>> jax.grad(lambda x: 7 * clip_gradient(x, 2.0))(1.0).item()
        2.0

    Raises:
        ValueError: the bound is below 0.
    """
    check_at_least("bound", bound, 0)
    return x


def _forward(x, bound):
    return clip_gradient(x, bound), None


def _backward(bound, _, gradient):
    return (jnp.clip(gradient, -bound, bound),)


clip_gradient.defvjp(_forward, _backward)


@jax.custom_vjp
def scale_gradient(x: jax.Array, factor: jax.Array) -> jax.Array:
    """x, whose gradient is multiplied by a factor, a scalar, in the backward pass.

    >>> jax.grad(lambda x: 7 * scale_gradient(x, jnp.array(0.5)))(1.0).item()
    3.5
    """
    return x


def _scale_forward(x, factor):
    return x, factor


def _scale_backward(factor, gradient):
    return (gradient * factor).astype(gradient.dtype), jnp.zeros_like(factor)


scale_gradient.defvjp(_scale_forward, _scale_backward)
