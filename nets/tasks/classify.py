"""Classification: five criteria, accuracy, area under the ROC curve, rejection, pictures."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from nets.errors import UserError, check_range
from nets.report.figures import Figure
from nets.tasks import classify_figures, rejection
from nets.tasks.losses import (
    binary_cross_entropy,
    cross_entropy,
    map_criterion,
    one_vs_rest,
    squared_error,
)
from nets.tasks.metrics import Metrics, collect, compute, masked_sum, mean, roc_auc
from nets.tasks.task import Batch, Prediction, Predictive, Trained


@runtime_checkable
class AuxiliaryHeads(Protocol):
    """A model that may have auxiliary heads: GoogLeNet, InceptionV3, NASNet.

    Attributes:
        auxiliary: whether it has them; while training its stages aux1, aux2, ... are their logits.
    """

    auxiliary: bool


@dataclasses.dataclass(frozen=True)
class Classify(Predictive):
    """Classification by `model(x, train=...) -> [B, K]`, with one of five criteria.

    Metrics: loss, accuracy, and for more than ten classes top5 (share of examples whose class is
    among the five best); if requested, in evaluation roc_auc. With `rejection`, the closing
    evaluation also has error, the share of wrong answers, and error_rejecting_X of those answers
    that are left when X% are rejected. Auxiliary heads are part of the training loss only.

    Attributes:
        criterion: cross_entropy of logits (softmax); binary (one logit, the sigmoid of which is the
            probability of class 1: log loss); one_vs_rest (K independent sigmoids); squared
            (targets +-1, LeCun 1989); map (distances, the smallest of which is the answer, LeCun
            1998 equation 9).
        smoothing: label smoothing of the cross-entropy.
        j: the constant of the map criterion.
        auxiliary: weight in the training loss of the criterion of each auxiliary head
            (`AuxiliaryHeads`).
        maps: stages of the model whose maps of the first test image are drawn at the end.
        roc_auc: whether evaluations measure the area under the ROC curve too, the mean of each
            class against the rest; the curves are drawn at the end.
        rejection: shares of the examples that are rejected, such as 0.1: those whose two largest
            scores (logits; outputs; distances, negated) differ least, as in LeCun 1989.
    """

    criterion: Literal["cross_entropy", "binary", "one_vs_rest", "squared", "map"] = "cross_entropy"
    smoothing: float = 0.0
    j: float = 1.0
    auxiliary: float = 0.0
    maps: tuple[str, ...] = ()
    roc_auc: bool = False
    rejection: tuple[float, ...] = ()

    maximise: ClassVar[tuple[str, ...]] = ("accuracy", "top5", "roc_auc")

    def __post_init__(self) -> None:
        check_range(self, "auxiliary", at_least=0)
        check_range(self, "smoothing", at_least=0, below=1)
        rejection.check_shares(self.rejection)

    def init(self, model: nn.Module, key: jax.Array, batch: dict) -> tuple[Any, dict]:
        check_auxiliary(model, self.auxiliary)
        if self.maps:
            check_stages(model, batch["inputs"], self.maps)
        collections = flax.core.DenyList("intermediates")
        outputs, variables = model.init_with_output(
            key, batch["inputs"], train=False, mutable=collections
        )
        self._check_outputs(outputs.shape[-1], batch["targets"])
        return variables["params"], {k: v for k, v in variables.items() if k != "params"}

    def _check_outputs(self, outputs: int, targets: jax.Array) -> None:
        if targets.ndim != 1 or not jnp.issubdtype(targets.dtype, jnp.integer):
            raise UserError(
                f"the targets of a classification must be classes, int [B], got {targets.dtype} "
                f"{list(targets.shape)}."
            )
        if (outputs == 1) != (self.criterion == "binary"):
            valid = "must be binary" if outputs == 1 else "must not be binary"
            raise UserError(
                f"{valid} for a model of {outputs} outputs, got {self.criterion}.", "criterion"
            )

    def loss(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        train: bool,
    ) -> tuple[jax.Array, tuple[dict, Metrics]]:
        variables, with_heads = {"params": params, **model_state}, train and self.auxiliary > 0
        outputs, heads, updated = apply(model, variables, batch, key, train, with_heads)
        metrics = self.metrics(outputs, batch)
        loss = mean(metrics["loss"])
        if heads:
            penalties = sum(self.penalty(head, batch["targets"]) for head in heads)
            total, weight = masked_sum(penalties, batch)
            loss += self.auxiliary * total / weight
        return loss, ({**model_state, **updated}, metrics)

    def test(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        final: bool,
    ) -> tuple[dict, Metrics]:
        outputs = model.apply({"params": params, **model_state}, batch["inputs"], train=False)
        metrics, scores = self.metrics(outputs, batch), self.scores(outputs)
        if self.roc_auc:
            shares = jax.nn.softmax(scores) if self.criterion == "cross_entropy" else scores
            metrics["scores"] = collect({"target": batch["targets"], "score": shares}, batch)
        if final:
            rows = rejection.answers(scores, batch["targets"])
            rows["penalty"] = self.penalty(outputs, batch["targets"])
            metrics["predictions"] = collect(rows, batch)
        return model_state, metrics

    def finish(
        self, metrics: Metrics, metadata: dict[str, Any], tokenizer: Any
    ) -> dict[str, float]:
        values = compute(metrics)
        if "scores" in metrics:
            rows = metrics["scores"].values
            values["roc_auc"] = roc_auc(np.array(rows["target"]), np.array(rows["score"]))
        if self.rejection and "predictions" in metrics:
            values |= rejection.errors(metrics["predictions"], self.rejection)
        return values

    def metrics(self, outputs: jax.Array, batch: dict) -> Metrics:
        """The metrics of a model's outputs [B, K]."""
        scores, labels = self.scores(outputs), batch["targets"]
        metrics = {
            "loss": masked_sum(self.penalty(outputs, labels), batch),
            "accuracy": masked_sum(scores.argmax(-1) == labels, batch),
        }
        if scores.shape[-1] > 10:
            among = (jax.lax.top_k(scores, 5)[1] == labels[:, None]).any(-1)
            metrics["top5"] = masked_sum(among, batch)
        return metrics

    def penalty(self, outputs: jax.Array, labels: jax.Array) -> jax.Array:
        """The criterion of each example, [B]."""
        if self.criterion == "binary":
            return binary_cross_entropy(outputs, labels)
        if self.criterion == "one_vs_rest":
            return one_vs_rest(outputs, labels)
        if self.criterion == "squared":
            return squared_error(outputs, labels)
        if self.criterion == "map":
            return map_criterion(outputs, labels, self.j)
        return cross_entropy(outputs, labels, self.smoothing)

    def scores(self, outputs: jax.Array) -> jax.Array:
        """Scores [B, K] of the classes, the largest of which is the answer.

        For one logit z they are -z / 2 and z / 2, whose softmax is 1 - sigmoid(z) and sigmoid(z).
        """
        if self.criterion == "binary":
            return outputs * jnp.array([[-0.5, 0.5]], outputs.dtype)
        return -outputs if self.criterion == "map" else outputs

    def figures(
        self, trained: Trained, batches: Sequence[Batch], metrics: Metrics, final: bool
    ) -> dict[str, Figure]:
        if not final:
            return {}
        model, metadata = trained.model, trained.metadata
        variables = {"params": trained.params, **trained.model_state}
        figures = classify_figures.predictions(metrics["predictions"], batches, metadata)
        if self.roc_auc:
            figures["roc"] = classify_figures.roc(metrics["scores"], metadata["class_names"])
        figures |= classify_figures.filters(model, variables, batches[0]["inputs"])
        if self.maps:
            figures |= classify_figures.feature_maps(
                model, variables, batches[0], self.maps, metadata
            )
        return figures

    def outputs(self, model: nn.Module, params: Any, model_state: dict, batch: Batch) -> jax.Array:
        """Probabilities [1, K] of the classes; of squared and map the model's outputs."""
        outputs = model.apply({"params": params, **model_state}, batch["inputs"], train=False)
        if self.criterion in ("squared", "map"):
            return outputs
        if self.criterion == "one_vs_rest":
            return jax.nn.sigmoid(outputs)
        return jax.nn.softmax(self.scores(outputs))

    def prediction(self, trained: Trained, source: Batch, outputs: Any) -> Prediction:
        unit = {"squared": "output", "map": "distance"}.get(self.criterion, "probability")
        return classify_figures.prediction(trained.metadata, source, outputs[0], unit)


def apply(
    model: nn.Module, variables: dict, batch: Batch, key: jax.Array, train: bool, with_heads: bool
) -> tuple[jax.Array, list[jax.Array], dict]:
    """The outputs of a model, those of its auxiliary heads where requested, and, while training,
    its new model state."""
    outputs, updated = model.apply(
        variables,
        batch["inputs"],
        train=train,
        rngs={"dropout": key},
        mutable=[name for name in variables if name != "params"] if train else [],
        **({"stages": True} if with_heads else {}),
    )
    outputs, stages = outputs if with_heads else (outputs, {})
    return outputs, [head for name, head in stages.items() if name.startswith("aux")], updated


def check_auxiliary(model: nn.Module, weight: float) -> None:
    """Refuses a weight of auxiliary heads for a model without them, and 0 for one with them.

    Raises:
        UserError: it is such; names the field `auxiliary`.
    """
    has_heads = isinstance(model, AuxiliaryHeads) and model.auxiliary
    if bool(weight) != bool(has_heads):
        valid = "above 0" if has_heads else "0"
        given = "with" if has_heads else "without"
        raise UserError(
            f"must be {valid} for {type(model).__name__} {given} auxiliary heads "
            f"(model.auxiliary), got {weight}.",
            "auxiliary",
        )


def check_stages(model: nn.Module, images: jax.Array, wanted: tuple[str, ...]) -> None:
    """Refuses stages that are no maps [B, H, W, C] of the model's.

    Raises:
        UserError: there is such a stage; names those that are.
    """
    init = functools.partial(model.init_with_output, train=False, stages=True)
    try:
        (_, stages), _ = jax.eval_shape(init, jax.random.key(0), images)
    except TypeError as error:  # an unexpected keyword
        message = f"must be empty: {type(model).__name__} hands out no stages ({error})."
        raise UserError(message, "maps") from error
    valid = [name for name, stage in stages.items() if stage.ndim == 4]
    if unknown := [name for name in wanted if name not in valid]:
        raise UserError(
            f"must be among {', '.join(valid) or 'none'}, the stages [B, H, W, C] of "
            f"{type(model).__name__}, got {', '.join(unknown)}.",
            "maps",
        )
