"""Mixture density outputs for points of a pen: where it goes next, and whether it is lifted.

A point is [x, y, e_1 .. e_P]: an offset and P bits, the first of which is 1 at the end of a stroke.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from nets.layers.precision import at_least_float32


class Mixture(NamedTuple):
    """M bivariate Gaussians and P Bernoulli variables, of any leading axes [...].

    Attributes:
        log_weights: [..., M], log pi, which sum to 1 as probabilities.
        mean: [..., M, 2].
        log_std: [..., M, 2], log sigma.
        correlation: [..., M], before the tanh: rho = tanh(correlation).
        pen_logits: [..., P].
    """

    log_weights: jax.Array
    mean: jax.Array
    log_std: jax.Array
    correlation: jax.Array
    pen_logits: jax.Array


def output_size(mixtures: int, pens: int = 1) -> int:
    """Outputs that a network must have: 6 M + P.

    >>> output_size(20)
    121
    """
    return 6 * mixtures + pens


def mixture(outputs: jax.Array, pens: int = 1) -> Mixture:
    """The distribution of a point, from outputs [..., 6 M + P] (Graves 2013, equations 17 to 22).

        e = sigmoid(e'),  pi = softmax(pi'),  mu = mu',  sigma = exp(sigma'),  rho = tanh(rho')

    The paper's e is 1 / (1 + exp(e')), the same with the sign of e' turned.

        >>> mixture(jnp.zeros((2, 5, 121))).mean.shape
        (2, 5, 20, 2)

    Raises:
        ValueError: the last axis is not 6 M + P with M at least 1.
    """
    outputs = at_least_float32(outputs)
    mixtures, rest = divmod(outputs.shape[-1] - pens, 6)
    if mixtures < 1 or rest:
        raise ValueError(
            f"outputs must be [..., 6 M + {pens}] with M at least 1, got {list(outputs.shape)}"
        )
    pen, weights, correlation, pairs = jnp.split(
        outputs, [pens, pens + mixtures, pens + 2 * mixtures], axis=-1
    )
    mean, log_std = jnp.split(pairs.reshape(*pairs.shape[:-1], mixtures, 4), 2, axis=-1)
    return Mixture(jax.nn.log_softmax(weights), mean, log_std, correlation, pen)


def log_density(parameters: Mixture, offsets: jax.Array) -> jax.Array:
    """log sum_j pi_j N(offset | mu_j, sigma_j, rho_j), [...], in nats, of offsets [..., 2].

    Graves 2013, equations 23 to 25, the exponent written so that it is never a difference:

        Z / (1 - rho^2) = (d_1 - rho d_2)^2 / (1 - rho^2) + d_2^2,  d = (offset - mu) / sigma

        >>> standard = mixture(jnp.zeros((1, 7)))
        >>> round(float(log_density(standard, jnp.zeros((1, 2)))[0]), 4)  # -log(2 pi)
        -1.8379
    """
    d = (offsets[..., None, :] - parameters.mean) * jnp.exp(-parameters.log_std)
    one, two = d[..., 0], d[..., 1]
    r = jnp.abs(parameters.correlation)
    log_cosh = r + jnp.log1p(jnp.exp(-2 * r)) - jnp.log(2.0)  # -log(1 - rho^2) / 2
    scaled = (one - jnp.tanh(parameters.correlation) * two) * jnp.exp(log_cosh)
    exponent = -(jnp.square(scaled) + jnp.square(two)) / 2
    normaliser = jnp.log(2 * jnp.pi) + parameters.log_std.sum(-1) - log_cosh
    return jax.nn.logsumexp(parameters.log_weights + exponent - normaliser, axis=-1)


def log_likelihood(parameters: Mixture, points: jax.Array) -> jax.Array:
    """The log-likelihood in nats, [...], of points [..., 2 + P] (Graves 2013, equation 26).

    >>> standard = mixture(jnp.zeros((1, 7)))
    >>> round(float(log_likelihood(standard, jnp.zeros((1, 3)))[0]), 4)  # -log(2 pi) - log 2
    -2.531
    """
    pens = points[..., 2:]
    logits = parameters.pen_logits
    bits = pens * jax.nn.log_sigmoid(logits) + (1 - pens) * jax.nn.log_sigmoid(-logits)
    return log_density(parameters, points[..., :2]) + bits.sum(-1)


def biased(parameters: Mixture, bias: ArrayLike) -> Mixture:
    """The distribution that is sampled from with a bias b (Graves 2013, equations 61 and 62).

        sigma = exp(sigma' - b),  pi = softmax(pi' (1 + b))

    0 is the network's own; the larger b, the likelier and the more regular are samples. The bits
    are not changed.

        >>> narrow = biased(mixture(jnp.zeros((3, 7))), 1.0)
        >>> narrow.log_std[0, 0].tolist()
        [-1.0, -1.0]

    Args:
        parameters: of leading axes [...].
        bias: a number, or [...], at least 0.
    """
    bias = jnp.broadcast_to(jnp.asarray(bias), parameters.log_weights.shape[:-1])
    weights = jax.nn.log_softmax(parameters.log_weights * (1 + bias[..., None]))
    log_std = parameters.log_std - bias[..., None, None]
    return parameters._replace(log_weights=weights, log_std=log_std)


def sample(key: jax.Array, parameters: Mixture) -> jax.Array:
    """Points [..., 2 + P], drawn from the distribution.

    >>> sample(jax.random.key(0), mixture(jnp.zeros((4, 121)))).shape
    (4, 3)
    """
    of_component, of_offset, of_pens = jax.random.split(key, 3)
    chosen = jax.random.categorical(of_component, parameters.log_weights)[..., None]
    mean, log_std = (
        jnp.take_along_axis(a, chosen[..., None], -2)[..., 0, :]
        for a in (parameters.mean, parameters.log_std)
    )
    rho = jnp.tanh(jnp.take_along_axis(parameters.correlation, chosen, -1))
    one, two = jnp.split(jax.random.normal(of_offset, mean.shape), 2, axis=-1)
    noise = jnp.concatenate([one, rho * one + jnp.sqrt(1 - rho * rho) * two], axis=-1)
    pens = jax.random.bernoulli(of_pens, jax.nn.sigmoid(parameters.pen_logits))
    return jnp.concatenate([mean + jnp.exp(log_std) * noise, pens.astype(mean.dtype)], axis=-1)
