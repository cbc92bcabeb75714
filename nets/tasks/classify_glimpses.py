"""Classification by glimpses, whose locations are learned by REINFORCE."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from nets.errors import check_range
from nets.report.figures import Figure, stored_pixels
from nets.report.path_grid import PathGrid
from nets.tasks import classify_figures, rejection
from nets.tasks.losses import baseline_loss, cross_entropy, reinforce_loss
from nets.tasks.metrics import Metrics, collect, mean
from nets.tasks.sequence import class_metrics
from nets.tasks.sequence_figures import real
from nets.tasks.task import Batch, Prediction, Predictive, Trained, moved_back

_DRAWN = 8  # images whose glimpses are drawn


@dataclasses.dataclass(frozen=True)
class ClassifyGlimpses(Predictive):
    """Classification by `model(x, train=..., sample=...) -> Glances` (`nets.recurrent_attention`).

    The hybrid loss of Mnih et al. 2014, section 3: cross-entropy of the answer; REINFORCE for each
    location, of which the reward is 1 if the answer is right and 0 otherwise; and the squared error
    of the baselines. Locations are sampled in evaluations and predictions too. Metrics: loss (the
    cross-entropy, nats), accuracy (which is the mean reward).

    Attributes:
        reinforce: weight of the second and third part.
    """

    reinforce: float = 1.0

    maximise: ClassVar[tuple[str, ...]] = ("accuracy",)

    def __post_init__(self) -> None:
        check_range(self, "reinforce", at_least=0)

    def init(self, model: nn.Module, key: jax.Array, batch: dict) -> tuple[Any, dict]:
        return model.init(key, batch["inputs"], train=False)["params"], {}

    def loss(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        train: bool,
    ) -> tuple[jax.Array, tuple[dict, Metrics]]:
        glances = model.apply(
            {"params": params}, batch["inputs"], train=train, rngs={"glimpse": key}
        )
        metrics = class_metrics(glances.logits, batch)
        loss = mean(metrics["loss"])
        if train:
            log_p = glances.log_probability  # [B, T - 1]
            right = glances.logits.argmax(-1) == batch["targets"]
            reward = jnp.broadcast_to(right[:, None], log_p.shape).astype(log_p.dtype)
            options = {"reward_weight": 1.0, "entropy_weight": 0.0}
            policy = reinforce_loss(reward, log_p, log_p, glances.baseline, **options)
            learned = policy + baseline_loss(glances.baseline, reward)
            loss += self.reinforce * learned.sum(1).mean()
        return loss, (model_state, metrics)

    def test(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        final: bool,
    ) -> tuple[dict, Metrics]:
        logits = _glances(model, params, batch["inputs"], key).logits
        metrics = class_metrics(logits, batch)
        if final:
            rows = rejection.answers(logits, batch["targets"])
            rows["penalty"] = cross_entropy(logits, batch["targets"])
            metrics["predictions"] = collect(rows, batch)
        return model_state, metrics

    def figures(
        self, trained: Trained, batches: Sequence[Batch], metrics: Metrics, final: bool
    ) -> dict[str, Figure]:
        if not final:
            return {}
        rows = metrics["predictions"]
        figures = classify_figures.predictions(rows, batches, trained.metadata)
        images = real(batches[0])["inputs"][:_DRAWN]
        read = jax.jit(lambda x: _glances(trained.model, trained.params, x, trained.key))
        glances = jax.device_get(read(images))
        places = pixels(glances.locations, images.shape[1:3])
        names = trained.metadata["class_names"]
        target, prediction = np.array(rows.values["target"]), glances.logits.argmax(-1)
        captions = tuple(
            f"{names[target[i]]} read as {names[prediction[i]]}" for i in range(len(images))
        )
        view = PathGrid(
            "Where it looks: the glimpses by number, the last framed",
            stored_pixels(images, trained.metadata)[0],
            places,
            sides(trained.model),
            captions,
        )
        return figures | {"glimpses": view}

    def outputs(self, model: nn.Module, params: Any, model_state: dict, batch: Batch) -> Any:
        """Probabilities [1, K] of the classes, and where the model has looked [1, T, 2]."""
        glances = _glances(model, params, batch["inputs"], jax.random.key(0))
        return jax.nn.softmax(glances.logits), glances.locations

    def prediction(self, trained: Trained, source: Batch, outputs: Any) -> Prediction:
        scores, locations = outputs
        answer = classify_figures.prediction(trained.metadata, source, scores[0])
        read = pixels(locations[0], source["size"])
        path, image = moved_back(read, source["matrix"]), source["image"]
        best = answer.values["top"][0]["class"]
        scale = 1 / float(source["matrix"][0, 0])
        view = PathGrid(
            f"Read as {best}: the glimpses by number, the last framed",
            image[None],
            path[None],
            tuple(scale * side for side in sides(trained.model)),
            ("",),
        )
        values = answer.values | {"glimpses": np.round(path, 2).tolist()}
        return answer._replace(values=values, files={"glimpses": view})


def _glances(model: nn.Module, params: Any, images: jax.Array, key: jax.Array) -> Any:
    """Glimpses of an evaluation: locations are sampled from the policy, as in training."""
    return model.apply({"params": params}, images, train=False, sample=True, rngs={"glimpse": key})


def pixels(locations: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Locations [..., 2] from -1 to 1 as x and y in pixels of an image of height and width `size`.

    >>> pixels(np.array([0.0, -1.0]), (20, 30)).tolist()
    [15.0, 0.0]
    """
    height, width = size
    return (locations + 1) / 2 * np.array([width, height])


def sides(model: nn.Module) -> tuple[int, ...]:
    """Sides in pixels of the parts of a model's glimpse."""
    return tuple(model.size * 2**k for k in range(model.scales))
