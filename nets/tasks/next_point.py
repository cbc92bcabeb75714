"""Handwriting and drawings: the next point of a pen, by its log-likelihood."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from nets.errors import UserError, check_range
from nets.handwriting import written
from nets.layers import mixture_density
from nets.layers.gradients import scale_gradient
from nets.layers.recurrent_bptt import truncated_scan
from nets.report.figures import Figure
from nets.tasks import next_point_figures
from nets.tasks.metrics import Metrics, compute
from nets.tasks.task import Batch, Generative, Sample, Trained


class Drawn(NamedTuple):
    """Drawings of a model, given points first.

    Attributes:
        points: [N, L, 2 + P], zeros after the end.
        lengths: [N] int32, points up to the end, or L.
        weights: [N, L, U], the window over the text, U is 0 without.
    """

    points: jax.Array
    lengths: jax.Array
    weights: jax.Array


@dataclasses.dataclass(frozen=True)
class NextPoint(Generative):
    """The next point, by `model(inputs, text, carry, train=...) -> outputs, carry`.

    The loss is the negative log-likelihood of each point by a mixture density
    (`nets.layers.mixture_density`), as of `nets.handwriting.Handwriting`. Gradients inside the
    model are those of the sum over all points, as published, so that its bounds mean the same; the
    gradient of the parameters is that of the mean. Metrics:

        loss               nats a point, of points as the data scales them
        nats_per_sequence  the same summed over a drawing: the log-loss of Graves 2013
        sse                squared distance of a point from the mixture's mean
        baseline           nats a point of one Gaussian and one Bernoulli variable for each bit,
                           fitted to the points to train on

    Attributes:
        k1: steps of a segment of truncated back-propagation through time
            (`nets.layers.recurrent_bptt.truncated_scan`). None means the whole drawing.
        k2: steps that gradients pass back, at least k1. None means k1.
        length: maximum of points of a sample.
        biases: biases of the samples that are drawn (`nets.layers.mixture_density.biased`).
        samples: drawings for each bias.
    """

    k1: int | None = None
    k2: int | None = None
    length: int = 300
    biases: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0)
    samples: int = 3

    default_prompt: ClassVar[str] = ""

    def __post_init__(self) -> None:
        check_range(self, "k1", "k2", "length", "samples", at_least=1)
        for bias in self.biases:
            if not (math.isfinite(bias) and bias >= 0):
                raise UserError(f"must be at least 0, got {bias}.", "biases")
        if not self.biases:
            raise UserError("must have a bias, got none.", "biases")
        if self.k2 is not None and (self.k1 is None or self.k2 < self.k1):
            raise UserError(f"must be at least k1={self.k1}, got {self.k2}.", "k2")

    def init(self, model: nn.Module, key: jax.Array, batch: dict) -> tuple[Any, dict]:
        return model.init(key, batch["inputs"], batch.get("text"), train=False)["params"], {}

    def loss(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        train: bool,
    ) -> tuple[jax.Array, tuple[dict, Metrics]]:
        targets, mask = batch["targets"], batch["mask"]
        points = mask.sum()
        if train:
            params = jax.tree.map(lambda p: scale_gradient(p, 1 / points), params)
        outputs = self._outputs(model, {"params": params}, batch, train)
        mixture = mixture_density.mixture(outputs, targets.shape[-1] - 2)
        nats = -mixture_density.log_likelihood(mixture, targets)
        total = jnp.sum(jnp.where(mask > 0, nats, 0) * mask)
        mean = jnp.einsum("btm,btmd->btd", jnp.exp(mixture.log_weights), mixture.mean)
        errors = jnp.square(mean - targets[..., :2]).sum(-1)
        metrics = {
            "loss": (total, points),
            "nats_per_sequence": (total, mask.max(1).sum()),
            "sse": (jnp.sum(errors * mask), points),
        }
        if not train:
            metrics["moments"] = _moments(targets, mask), points
        return (total if train else total / points), (model_state, metrics)

    def finish(
        self, metrics: Metrics, metadata: dict[str, Any], tokenizer: Any
    ) -> dict[str, float]:
        values = compute(metrics)
        if "moments" in metadata and "moments" in metrics:
            sums, points = metrics["moments"]
            values["baseline"] = baseline(np.asarray(sums) / points, metadata["moments"])
        return values

    def _outputs(self, model: nn.Module, variables: Any, batch: Batch, train: bool) -> jax.Array:
        inputs, text = batch["inputs"], batch.get("text")
        rows, length, _ = inputs.shape
        if self.k1 is None or length <= self.k1:
            return model.apply(variables, inputs, text, train=train)[0]

        def run(carry, xs):  # time first
            outputs, carry = model.apply(variables, xs.swapaxes(0, 1), text, carry, train=train)
            return carry, outputs.swapaxes(0, 1)

        whole = jnp.pad(inputs, ((0, 0), (0, -length % self.k1), (0, 0))).swapaxes(0, 1)
        carry, k2 = model.initial_carry(rows), self.k2 or self.k1
        _, outputs = truncated_scan(run, carry, whole, self.k1, k2)
        return outputs.swapaxes(0, 1)[:, :length]

    def sample(
        self,
        trained: Trained,
        prompt: list[int],
        length: int,
        temperature: float,
        top_k: int | None = None,
    ) -> Sample:
        """Drawings of at most `length` points with each bias, of a text if the model reads one. The
        temperature has no effect: a bias has its part.

        Raises:
            UserError: there is a `top_k`, no text for a model that reads one, or a text for one
                that does not.
        """
        if top_k is not None:
            raise UserError(f"is for language models (here: task.biases), got {top_k}.", "top_k")
        if trained.model.window and not prompt:
            raise UserError("is needed: the text to write.", "prompt")
        if prompt and not trained.model.window:
            raise UserError("is for a model with a window (--model.window).", "prompt")
        rows = self.samples * len(self.biases)
        text = np.tile(np.array([[*prompt, 0]], np.int32), (rows, 1))
        biases = np.repeat(np.array(self.biases, np.float32), self.samples)
        drawn = jax.device_get(self.draw(trained, text, biases, length))
        title = trained.tokenizer.decode(prompt) if prompt else "Drawings"
        grid = next_point_figures.by_bias(title, drawn, biases, self.samples)
        points = ", ".join(map(str, drawn.lengths))
        return Sample(f"{rows} drawings, of {points} points", {"sample": grid})

    def draw(
        self,
        trained: Trained,
        text: np.ndarray,
        biases: np.ndarray,
        length: int,
        given: np.ndarray | None = None,
        given_lengths: np.ndarray | None = None,
    ) -> Drawn:
        """One drawing for each bias [N], of texts [N, U], after `given` points [N, G, 2 + P]."""
        pens = trained.model.pens or 1
        if given is None:
            given, given_lengths = np.zeros((len(biases), 0, 2 + pens)), np.zeros(len(biases), int)
        room = np.zeros((len(biases), length, 2 + pens), np.float32)
        given = given[:, :length]
        room[:, : given.shape[1]] = given
        arrays = text, biases, room, np.minimum(given_lengths, length)
        return _draw(trained.model, trained.params, trained.key, *arrays)

    def figures(
        self, trained: Trained, batches: Sequence[Batch], metrics: Metrics, final: bool
    ) -> dict[str, Figure]:
        middle = batches[len(batches) // 2]  # of drawings of middle length, where those are sorted
        return next_point_figures.figures(self, trained, middle, final)


def _moments(targets: jax.Array, mask: jax.Array) -> jax.Array:
    """The sums over the points of x, y, xx, xy, yy and the bits, [5 + P]."""
    x, y, bits = jnp.split(targets, [1, 2], axis=-1)
    each = jnp.concatenate([x, y, x * x, x * y, y * y, bits], axis=-1)
    return jnp.einsum("btk,bt->k", each, mask)


def baseline(means: np.ndarray, moments: dict[str, Any]) -> float:
    """Nats a point of one Gaussian and Bernoulli variables of these moments.

    Args:
        means: [5 + P], of the points, of x, y, xx, xy, yy and the bits.
        moments: "mean" [2], "covariance" [2, 2] and "bits" [P] of the distributions.
    """
    mean, covariance = np.array(moments["mean"]), np.array(moments["covariance"])
    second = means[[2, 3, 3, 4]].reshape(2, 2)
    about = second - np.outer(mean, means[:2]) - np.outer(means[:2], mean) + np.outer(mean, mean)
    gaussian = np.linalg.slogdet(2 * np.pi * covariance)[1]
    gaussian += np.trace(np.linalg.solve(covariance, about))
    p, q = np.clip(moments["bits"], 1e-9, 1 - 1e-9), means[5:]
    return float(gaussian / 2 - np.sum(q * np.log(p) + (1 - q) * np.log1p(-p)))


def _draw_rows(
    model: nn.Module,
    params: Any,
    key: jax.Array,
    text: jax.Array,
    biases: jax.Array,
    given: jax.Array,
    given_lengths: jax.Array,
) -> Drawn:
    """Drawings [N, L, 2 + P]; the first of each are `given`, [N, L, 2 + P]."""
    rows, length, size = given.shape
    variables, ends = {"params": params}, (text > 0).sum(1)
    memory, carry = model.apply(variables, text, rows, method="start")

    def step(state, inputs):
        carry, point, running = state
        key, t, known = inputs
        carry, outputs, weights = model.apply(variables, memory, carry, point, method="step")
        mixture = mixture_density.biased(mixture_density.mixture(outputs, size - 2), biases)
        drawn = mixture_density.sample(key, mixture)
        is_given = t < given_lengths
        if weights.shape[-1]:  # the point after the window has left the text is not drawn
            running &= is_given | ~written(weights, ends)
        point = jnp.where(is_given[:, None], known, drawn) * running[:, None]
        after = running
        if size > 3:
            after = running & (is_given | (point[:, 3] == 0))
        return (carry, point, after), (point, running, weights)

    start = (carry, jnp.zeros((rows, size)), jnp.ones(rows, bool))
    xs = (jax.random.split(key, length), jnp.arange(length), given.swapaxes(0, 1))
    _, (points, running, weights) = lax.scan(step, start, xs)
    lengths = running.sum(0, dtype=jnp.int32)
    return Drawn(points.swapaxes(0, 1), lengths, weights.swapaxes(0, 1))


_draw = jax.jit(_draw_rows, static_argnames="model")
