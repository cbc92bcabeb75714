"""The recurrent attention model: an image is read by a few glimpses, and the model says where.

Mnih, Heess, Graves and Kavukcuoglu, Recurrent Models of Visual Attention, NIPS 2014.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jax.typing import DTypeLike

from nets.elman import Elman
from nets.layers.checks import check_at_least, check_positive
from nets.layers.glimpse import glimpse
from nets.layers.image_checks import check_images
from nets.layers.linear import dense
from nets.layers.recurrent import Recurrent
from nets.lstm import LSTM


class Glances(NamedTuple):
    """The T glimpses of each image, and the answer after them.

    Attributes:
        logits: [B, num_classes] after the last glimpse, float32 at least.
        locations: x and y [B, T, 2] of the glimpses, from -1 to 1 within the image.
        log_probability: [B, T - 1], of each location but the first, given what was seen before it.
        baseline: [B, T - 1], the reward that is expected when that location is chosen.
    """

    logits: jax.Array
    locations: jax.Array
    log_probability: jax.Array
    baseline: jax.Array


class RecurrentAttention(nn.Module):
    """Classifies images [B, H, W, C] by glimpses at locations of its own choice.

        g_t = relu(relu(P rho(x, l_t)) A + relu(L l_t) B)        glimpse network
        h_t = core(h_{t-1}, g_t)
        l_{t+1} ~ N(tanh(W h_t), location_std^2)
        logits = V h_T

    rho is the retina (`nets.layers.glimpse`). The first glimpse is anywhere. If neither `train` nor
    `sample`, it is in the middle and l the mean: the same each time, but on MNIST more often wrong,
    since the policy has learned to leave some of the looking around to chance. No gradient passes
    from locations and baseline into the core: the former are trained by REINFORCE, the latter, a
    linear layer, by regression.

    >>> model, x, key = RecurrentAttention(num_classes=3), jnp.zeros((2, 28, 28, 1)), jax.random.key
    >>> glances = jax.eval_shape(lambda: model.init_with_output(key(0), x, train=False))[0]
    >>> glances.logits.shape, glances.locations.shape
    ((2, 3), (2, 6, 2))

    Attributes:
        num_classes: number of classes. None means that the data fills it in.
        glimpses: number T of glimpses.
        size: pixels a side of each part of a glimpse.
        scales: number of parts, each twice as wide as the one before.
        location_std: standard deviation of a location.
        cell: the core; the rectifier of the paper's classifiers, or an LSTM.
        hidden: units of each of the two hidden layers of the glimpse network.
        features: units of its output.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    num_classes: int | None = None
    glimpses: int = 6
    size: int = 8
    scales: int = 1
    location_std: float = 0.1
    cell: Elman | LSTM = Elman(256, activation=jax.nn.relu)
    hidden: int = 128
    features: int = 256
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        for field in ("num_classes", "glimpses", "size", "scales", "hidden", "features"):
            check_at_least(f"RecurrentAttention.{field}", getattr(self, field), 1)
        check_positive("RecurrentAttention.location_std", self.location_std)
        dtypes = self.dtype, self.param_dtype
        wide = jnp.promote_types(self.dtype, jnp.float32), self.param_dtype
        self.seen, self.place = dense(self.hidden, *dtypes), dense(self.hidden, *dtypes)
        self.what = dense(self.features, *dtypes)
        self.where = dense(self.features, *dtypes, use_bias=False)
        self.core = Recurrent(self.cell, dtype=self.dtype, param_dtype=self.param_dtype)
        self.location, self.baseline = dense(2, *wide), dense(1, *wide)
        self.output = dense(self.num_classes, *wide)

    def __call__(self, x: jax.Array, *, train: bool, sample: bool = False) -> Glances:
        """Maps images [B, H, W, C] to logits, and says where it has looked.

        Args:
            x: the images.
            train: whether locations are sampled; needs the key `glimpse` then.
            sample: whether they are sampled when not training, too; needs the key then.

        Raises:
            ValueError: x is not [B, H, W, C], or a field is out of its range.
        """
        check_images(self, x, 1)
        carry = self.core.initial_carry((len(x), self.features))
        first = jnp.zeros((len(x), 2), jnp.float32)
        if train or sample:
            first = jax.random.uniform(self.make_rng("glimpse"), first.shape, minval=-1, maxval=1)

        def step(model, state, _):
            carry, location = state
            carry, h = model.core.step(carry, model.glimpsed(x, location))
            mean, baseline = model.policy(h)
            following = mean
            if train or sample:
                noise = jax.random.normal(model.make_rng("glimpse"), mean.shape, mean.dtype)
                following = lax.stop_gradient(mean + self.location_std * noise)
            log_p = log_normal(following, mean, self.location_std)
            return (carry, following), (h, location, log_p, baseline)

        scan = nn.scan(
            step,
            variable_broadcast="params",
            split_rngs={"params": False, "glimpse": True},
            out_axes=1,
            length=self.glimpses,
        )
        _, (h, locations, log_p, baseline) = scan(self, (carry, first), None)
        return Glances(self.output(h[:, -1]), locations, log_p[:, :-1], baseline[:, :-1])

    def glimpsed(self, x: jax.Array, location: jax.Array) -> jax.Array:
        """g [B, features] of images at locations [B, 2]."""
        parts = glimpse(x.astype(self.dtype), location, self.size, self.scales)
        seen = nn.relu(self.seen(parts.reshape(len(x), -1)))
        place = nn.relu(self.place(location.astype(self.dtype)))
        return nn.relu(self.what(seen) + self.where(place))

    def policy(self, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Mean [B, 2] of the next location and baseline [B], after h [B, H]."""
        h = lax.stop_gradient(h)
        return jnp.tanh(self.location(h)), self.baseline(h)[:, 0]


def log_normal(x: jax.Array, mean: jax.Array, std: float) -> jax.Array:
    """Log density [...] of x [..., D] of independent normals.

    >>> round(float(log_normal(jnp.zeros(1), jnp.zeros(1), 1.0)), 4)  # -log(2 pi) / 2
    -0.9189
    """
    return jax.scipy.stats.norm.logpdf(x, mean, std).sum(-1)
