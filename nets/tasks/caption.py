"""Captioning: words after words, and whether attention lies where the words are true."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from nets.errors import UserError, check_choice, check_range
from nets.layers.decoding import Decoded, decode
from nets.report.figures import Figure
from nets.tasks import caption_figures
from nets.tasks.caption_metrics import caption_metrics, grid, matched, symbol_mask
from nets.tasks.colours import check_colours, standardised
from nets.tasks.losses import doubly_stochastic_loss, moving_baseline, reinforce_loss
from nets.tasks.metrics import Metrics, masked_sum, mean
from nets.tasks.sequence_figures import real
from nets.tasks.task import Batch, Prediction, Predictive, Trained

_WORDS = 50  # maximum of a prediction


@runtime_checkable
class AttentionModel(Protocol):
    """A captioner with attention: Show, Attend and Tell.

    Attributes:
        hard: whether it is sampled while training, which needs a baseline in the model state.
    """

    hard: bool


@dataclasses.dataclass(frozen=True)
class Caption(Predictive):
    """Captions of images by `model(images, captions, train=..., stages=True) -> logits, stages`.

    Batches have "inputs" [B, H, W, 3] uint8, "targets" [B, C, U] int32 (words, then zeros) and
    "caption_lengths" [B, C] (numbers of words). If boxes are known, they also have "boxes"
    [B, O, 4] (top, left, bottom, right in pixels, the last two exclusive) and "named" [B, C, U],
    the index of the object that a word names, or -1.

    The loss, in nats per image, is the negative log-likelihood of the words and the end:

        references="all"    -mean_c log p(caption c)
        references="any"    -log sum_c p(caption c)

    With "any", one of the captions has to be likely, whichever the model prefers. The training loss
    also has the doubly stochastic regulariser (Xu et al. 2015, equation 14) and, for hard
    attention, REINFORCE (section 4.1), whose baseline is part of the model state.

    Metrics: loss. In an evaluation the model also decodes, taking the likeliest word at each step.
    A decoded caption is compared, position by position, with the true one that it shares most words
    with:

        exact_match  share of captions that are right from the first word to the end
        attributes   share of captions whose words that name an object are right
        relation     share of captions whose other words are right
        in_box       share of the attention inside an object's box when a word names it, in captions
                     that are right; the attention to a cell is spread evenly over its pixels
        box_share    share of the image that the box covers, over the same words

    Attributes:
        references: whether the loss is of all true captions, or of any one.
        doubly_stochastic: weight of the doubly stochastic regulariser, a mean over captions.
        reward_weight: lambda_r of REINFORCE.
        entropy_weight: lambda_e of REINFORCE, weight of the entropy of the attention.
        baseline_decay: decay of the moving baseline of REINFORCE.
        mean: mean of each colour, 0 to 1, subtracted from the images.
        std: standard deviation of each colour; the images are divided by it.
    """

    references: Literal["all", "any"] = "all"
    doubly_stochastic: float = 0.0
    reward_weight: float = 1.0
    entropy_weight: float = 0.002
    baseline_decay: float = 0.9
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)

    maximise: ClassVar[tuple[str, ...]] = ("exact_match", "attributes", "relation", "in_box")

    def __post_init__(self) -> None:
        check_choice(self, "references", ("all", "any"))
        check_range(self, "doubly_stochastic", "reward_weight", "entropy_weight", at_least=0)
        check_range(self, "baseline_decay", at_least=0, below=1)
        check_colours(self.std)

    def init(self, model: nn.Module, key: jax.Array, batch: dict) -> tuple[Any, dict]:
        variables = model.init(key, self.pixels(batch["inputs"]), batch["targets"], train=False)
        state = {k: v for k, v in variables.items() if k != "params"}
        attends = isinstance(model, AttentionModel)
        if attends:  # soft too, so that a hard one can begin with its parameters
            state["baseline"] = jnp.zeros(())
        if self.doubly_stochastic and not (attends and not model.hard):
            raise UserError(
                f"must be 0 for {type(model).__name__}, which has no soft attention here, got "
                f"{self.doubly_stochastic}.",
                "doubly_stochastic",
            )
        return variables["params"], state

    def loss(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        train: bool,
    ) -> tuple[jax.Array, tuple[dict, Metrics]]:
        images, captions = self.pixels(batch["inputs"]), batch["targets"]
        variables = _variables(params, model_state)
        noise = dict(zip(("dropout", "attention"), jax.random.split(key), strict=True))
        (logits, stages), updated = model.apply(
            variables,
            images,
            captions,
            train=train,
            stages=True,
            rngs=noise,
            mutable=[k for k in variables if k != "params"] if train else [],
        )
        model_state = {**model_state, **updated}
        counted = symbol_mask(batch)
        each = optax.softmax_cross_entropy_with_integer_labels(logits, captions)
        nats = jnp.where(counted, each, 0).sum(-1)  # [B, C]
        penalty = self.penalty(nats)
        metrics = {"loss": masked_sum(penalty, batch)}
        if not train:
            return mean(metrics["loss"]), (model_state, metrics)
        if "log_probability" in stages:
            sampled = [
                jnp.where(counted, stages[k], 0).sum(-1) for k in ("log_probability", "entropy")
            ]
            baseline = model_state["baseline"]
            model_state["baseline"] = moving_baseline(baseline, -penalty, self.baseline_decay)
            penalty = self.reinforced(nats, sampled, baseline)
        if self.doubly_stochastic:
            weights, steps = (a.reshape(-1, *a.shape[2:]) for a in (stages["weights"], counted))
            missing = doubly_stochastic_loss(weights, steps).reshape(nats.shape).mean(-1)
            penalty += self.doubly_stochastic * missing
        return mean(masked_sum(penalty, batch)), (model_state, metrics)

    def test(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        final: bool,
    ) -> tuple[dict, Metrics]:
        model_state, metrics = super().test(model, params, model_state, batch, key, final)
        images, length = self.pixels(batch["inputs"]), batch["targets"].shape[-1]
        decoded = decode(model, _variables(params, model_state), images, length)
        return model_state, metrics | caption_metrics(decoded, batch)

    def penalty(self, nats: jax.Array) -> jax.Array:
        """The loss of each image [B], from the nats of each of its captions, [B, C]."""
        return nats.mean(-1) if self.references == "all" else -jax.nn.logsumexp(-nats, axis=-1)

    def reinforced(self, nats: jax.Array, sampled: list, baseline: jax.Array) -> jax.Array:
        """`reinforce_loss` of each image [B]: the mean over its captions, or of all as one."""
        weights = {"reward_weight": self.reward_weight, "entropy_weight": self.entropy_weight}
        if self.references == "all":
            return reinforce_loss(-nats, *sampled, baseline, **weights).mean(-1)
        sampled = [a.sum(-1) for a in sampled]
        return reinforce_loss(-self.penalty(nats), *sampled, baseline, **weights)

    def pixels(self, image: jax.Array) -> jax.Array:
        """Images as the model takes them, float32.

        Raises:
            UserError: there is not one mean and one std for each of its colours.
        """
        return standardised(image, self.mean, self.std)

    def figures(
        self, trained: Trained, batches: Sequence[Batch], metrics: Metrics, final: bool
    ) -> dict[str, Figure]:
        rows = real(batches[0])
        variables = _variables(trained.params, trained.model_state)
        results = _decode(self, trained.model, variables, rows)
        decoded, chosen, same = jax.tree.map(np.asarray, results)
        keys, size = decoded.weights.shape[-1], rows["inputs"].shape[1:3]
        maps = decoded.weights.reshape(*decoded.symbols.shape, *grid(keys, *size)) if keys else None
        return caption_figures.captions(
            rows, decoded.symbols, maps, chosen, same, trained.target_tokenizer
        )

    def outputs(
        self, model: nn.Module, params: Any, model_state: dict, batch: Batch
    ) -> tuple[jax.Array, Decoded]:
        """The image [1, H, W, 3] that is read, and its caption."""
        images = batch["inputs"]
        variables = _variables(params, model_state)
        return images, decode(model, variables, self.pixels(images), _WORDS)

    def prediction(self, trained: Trained, source: Batch, outputs: Any) -> Prediction:
        (image,), decoded = outputs
        keys, size = decoded.weights.shape[-1], image.shape[:2]
        maps = decoded.weights[0].reshape(-1, *grid(keys, *size)) if keys else None
        return caption_figures.prediction(
            image, decoded.symbols[0], maps, float(decoded.score[0]), trained.target_tokenizer
        )


@functools.partial(jax.jit, static_argnames=("task", "model"))
def _decode(task: Caption, model, variables, rows) -> tuple[Decoded, jax.Array, jax.Array]:
    images = task.pixels(rows["inputs"])
    decoded = decode(model, variables, images, rows["targets"].shape[-1])
    return decoded, *matched(decoded.symbols, rows)


def _variables(params: Any, model_state: dict) -> dict:
    return {"params": params} | {k: v for k, v in model_state.items() if k != "baseline"}
