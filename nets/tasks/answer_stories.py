"""Questions about stories: one word as the answer, and the sentences that were looked at."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from nets.errors import UserError, check_range
from nets.report.figures import Figure
from nets.tasks import answer_stories_figures
from nets.tasks.losses import cross_entropy
from nets.tasks.metrics import Metrics, compute, masked_sum, mean, weights
from nets.tasks.task import Batch, Prediction, Predictive, Trained
from nets.types import Steps

_NUMBERS = 21  # of tasks, from 0
_SENTENCES = 8  # of a story that is drawn, if there is one as short
FAILED = 0.05  # error above which a task is failed (Weston et al. 2015)


@dataclasses.dataclass(frozen=True)
class AnswerStories(Predictive):
    """One word for each question, by `nets.memory_network.MemN2N`.

    The loss is the cross-entropy. Metrics:

        loss         nats per question
        accuracy     share of questions with the right answer
        mean_error   mean of the tasks' shares of wrong answers
        failed       tasks with an error above 5%

    and at the end of a run and in `eval` error_N of each task.

    Attributes:
        linear: steps, or epochs, in which the softmax over memories is left out ("linear start",
            Sukhbaatar et al. 2015, section 4.1).
    """

    linear: Steps = 0

    maximise: ClassVar[tuple[str, ...]] = ("accuracy",)
    measure: ClassVar[str] = "probability"  # of an answer, in a prediction

    def __post_init__(self) -> None:
        check_range(self, "linear", at_least=0)

    def init(self, model: nn.Module, key: jax.Array, batch: dict) -> tuple[Any, dict]:
        variables = model.init(key, batch["inputs"], batch["question"], train=False)
        return variables["params"], {"step": jnp.zeros((), jnp.int32)}

    def loss(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        train: bool,
    ) -> tuple[jax.Array, tuple[dict, Metrics]]:
        logits = model.apply(
            {"params": params},
            batch["inputs"],
            batch["question"],
            linear=self._linear(model_state),
            train=train,
            rngs={"dropout": key},
        )
        each = cross_entropy(logits, batch["targets"])
        metrics = answer_metrics(logits, each, batch, train)
        return mean(metrics["loss"]), ({"step": model_state["step"] + train}, metrics)

    def test(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        final: bool,
    ) -> tuple[dict, Metrics]:
        _, (model_state, metrics) = self.loss(model, params, model_state, batch, key, train=False)
        if final:
            metrics["final"] = jnp.zeros(1), jnp.ones(1)
        return model_state, metrics

    def finish(
        self, metrics: Metrics, metadata: dict[str, Any], tokenizer: Any
    ) -> dict[str, float]:
        values = compute(metrics)
        if "tasks" in metrics:
            errors = task_errors(metrics)
            values["mean_error"] = float(np.mean([*errors.values()]))
            values["failed"] = float(sum(error > FAILED for error in errors.values()))
            if "final" in metrics:
                values |= {f"error_{k}": error for k, error in errors.items()}
        return values

    def figures(
        self, trained: Trained, batches: Sequence[Batch], metrics: Metrics, final: bool
    ) -> dict[str, Figure]:
        if not final:
            return {}
        apply = jax.jit(lambda batch: self.outputs(
            trained.model, trained.params, trained.model_state, batch
        ))  # fmt: skip
        shown: dict[int, Batch] = {}
        for batch in batches:
            for row in np.flatnonzero(np.asarray(batch["mask"])):
                task = int(batch["task"][row])
                if task not in shown or batch["inputs"][row].any(1).sum() <= _SENTENCES:
                    shown[task] = {k: np.asarray(a)[row : row + 1] for k, a in batch.items()}
        chosen = [shown[k] for k in sorted(shown)][:6]
        words = trained.metadata["vocabulary"]
        seen = [
            (row, *jax.device_get(apply({k: row[k] for k in ("inputs", "question")})))
            for row in chosen
        ]
        return {
            **answer_stories_figures.table(
                task_errors(metrics), trained.metadata["task_names"], FAILED
            ),
            **answer_stories_figures.hops(seen, words, self._linear(trained.model_state)),
        }

    def outputs(self, model: nn.Module, params: Any, model_state: dict, batch: Batch) -> Any:
        """Probabilities [1, V] of answers, and the weights [1, K, S] of the sentences."""
        logits, stages = model.apply(
            {"params": params},
            batch["inputs"],
            batch["question"],
            linear=self._linear(model_state),
            train=False,
            stages=True,
        )
        return jax.nn.softmax(logits), stages["hops"]

    def prediction(self, trained: Trained, source: Batch, outputs: Any) -> Prediction:
        *story, question = source["words"].tolist()
        words = trained.metadata["vocabulary"]
        return answer_stories_figures.prediction(
            story, question, *outputs, words, self.measure, self._linear(trained.model_state)
        )

    def _linear(self, model_state: dict) -> jax.Array:
        """Whether the run is in its linear start."""
        return model_state["step"] < self.linear


@dataclasses.dataclass(frozen=True)
class AnswerWithSupport(AnswerStories):
    """The same by `nets.memory_network.MemoryNetwork`, which is told which sentences lead there.

    The loss is the margin ranking loss of Weston et al. 2014, equations 6 to 8, summed over all
    wrong sentences and answers: max(0, margin - s_right + s_wrong). In training later sentences
    follow those that are right, in an evaluation those that were chosen.

    Attributes:
        linear: must be 0; these networks have no softmax.
        margin: of the loss.
    """

    margin: float = 0.1

    measure: ClassVar[str] = "score"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "margin", above=0)
        if self.linear:
            raise UserError(f"must be 0 for a MemoryNetwork, got {self.linear}.", "linear")

    def loss(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        train: bool,
    ) -> tuple[jax.Array, tuple[dict, Metrics]]:
        support = batch["support"]
        if support.shape[1] < model.hops:
            raise UserError(
                f"the model's hops must be at most {support.shape[1]}, the supporting sentences of "
                f"a batch, got {model.hops}."
            )
        support = support[:, : model.hops]
        answers, memories = model.apply(
            {"params": params},
            batch["inputs"],
            batch["question"],
            support if train else None,
            train=train,
        )
        none = memories.shape[-1] - 1
        before = jnp.pad(support[:, :-1], ((0, 0), (1, 0)))  # the hop before found something
        each = ranking_loss(answers, batch["targets"], self.margin)
        hops = ranking_loss(memories, jnp.where(support < 0, none, support), self.margin)
        metrics = answer_metrics(
            answers, each + jnp.where(before < 0, 0, hops).sum(1), batch, train
        )
        return mean(metrics["loss"]), ({"step": model_state["step"] + train}, metrics)

    def outputs(self, model: nn.Module, params: Any, model_state: dict, batch: Batch) -> Any:
        """Scores [1, V] of answers, and 1 at the sentence [1, K, S] that each hop chose, if any."""
        answers, scores = model.apply(
            {"params": params}, batch["inputs"], batch["question"], train=False
        )
        best, none = scores.argmax(-1), scores.shape[-1] - 1
        best = jnp.where(jnp.cumsum(best == none, axis=1) > 0, none, best)
        return answers, jax.nn.one_hot(best, none)


def ranking_loss(scores: jax.Array, right: jax.Array, margin: float) -> jax.Array:
    """sum_wrong max(0, margin - s_right + s_wrong) [...], of scores [..., N] and right [...] (int).

    A score of -inf is not counted.

    >>> ranking_loss(jnp.array([1.0, 0.5, 2.0]), jnp.array(0), 1.0).tolist()
    2.5
    """
    chosen = jnp.take_along_axis(scores, right[..., None], axis=-1)
    wrong = jax.nn.one_hot(right, scores.shape[-1]) == 0
    counted = wrong & jnp.isfinite(scores)
    return jnp.where(counted, jnp.maximum(0, margin - chosen + scores), 0).sum(-1)


def answer_metrics(logits: jax.Array, each: jax.Array, batch: Batch, train: bool) -> Metrics:
    """Metrics of logits [B, V] and losses [B]; in an evaluation errors and questions by task."""
    wrong = logits.argmax(-1) != batch["targets"]
    metrics = {"loss": masked_sum(each, batch), "accuracy": masked_sum(~wrong, batch)}
    if not train:
        tasks = jax.nn.one_hot(batch["task"], _NUMBERS) * weights(each, batch)[:, None]
        metrics["tasks"] = wrong @ tasks, tasks.sum(0)
    return metrics


def task_errors(metrics: Metrics) -> dict[int, float]:
    """The share of wrong answers of each task of which there are questions."""
    wrong, counts = map(np.asarray, metrics["tasks"])
    return {int(k): float(wrong[k] / counts[k]) for k in np.flatnonzero(counts)}
