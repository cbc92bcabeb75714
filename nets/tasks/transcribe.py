"""Transcription: a sound into symbols, by connectionist temporal classification."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from nets.errors import check_range
from nets.layers import ctc
from nets.report.figures import Figure
from nets.tasks import transcribe_figures
from nets.tasks.metrics import Metrics, Rows, collect, compute, edit_distance, masked_sum, mean
from nets.tasks.task import Batch, Prediction, Predictive, Trained


@dataclasses.dataclass(frozen=True)
class Transcribe(Predictive):
    """Transcription by `nets.transcriber.Transcriber` (Graves et al. 2006).

    Metrics:

        loss             nats of a sound's labelling
        error_rate       edits from what the most probable path says to the targets, over the number
                         of targets
        exact_match      share of the sounds without an edit
        error_rate_beam  of the prefix beam search, at the end of a run and in `eval`
        delay_ms         mean time from the end of a word to when a stream could have written it, in
                         sounds without an edit, where batches have "ends"

    Attributes:
        beam: prefixes that the search follows.
    """

    beam: int = 8

    maximise: ClassVar[tuple[str, ...]] = ("exact_match",)

    def __post_init__(self) -> None:
        check_range(self, "beam", at_least=1)

    def init(self, model: nn.Module, key: jax.Array, batch: dict) -> tuple[Any, dict]:
        return model.init(key, batch["inputs"], batch["lengths"], train=False)["params"], {}

    def loss(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        train: bool,
    ) -> tuple[jax.Array, tuple[dict, Metrics]]:
        metrics, _ = self._metrics(model, params, batch, key, train)
        return mean(metrics["loss"]), (model_state, metrics)

    def _metrics(
        self, model: nn.Module, params: Any, batch: Batch, key: jax.Array, train: bool
    ) -> tuple[Metrics, tuple[jax.Array, jax.Array]]:
        logits, steps = model.apply(
            {"params": params}, batch["inputs"], batch["lengths"], train=train,
            rngs={"dropout": key},
        )  # fmt: skip
        return {"loss": masked_sum(ctc_loss(logits, steps, batch["targets"]), batch)}, (
            logits,
            steps,
        )

    def test(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        final: bool,
    ) -> tuple[dict, Metrics]:
        metrics, (logits, steps) = self._metrics(model, params, batch, key, train=False)
        decoded = ctc.greedy(logits, steps)
        rows = {"target": batch["targets"], "decoded": decoded.symbols}
        if final:
            length = min(logits.shape[1], 2 * batch["targets"].shape[1])
            rows["beam"] = ctc.prefix_beam(logits, steps, self.beam, length).prefixes[:, 0]
        if "ends" in batch:
            rows["needed"] = model.samples_needed(decoded.steps, batch["lengths"])
            rows["ends"] = batch["ends"]
        return model_state, metrics | {"sounds": collect(rows, batch)}

    def finish(
        self, metrics: Metrics, metadata: dict[str, Any], tokenizer: Any
    ) -> dict[str, float]:
        values = compute(metrics)
        if "sounds" in metrics:
            values |= scores(metrics["sounds"], metadata["rate"])
        return values

    def figures(
        self, trained: Trained, batches: Sequence[Batch], metrics: Metrics, final: bool
    ) -> dict[str, Figure]:
        names = trained.metadata["class_names"]
        figures = transcribe_figures.examples(metrics["sounds"], names)
        if not final:
            return figures
        batch = {k: np.asarray(a) for k, a in batches[len(batches) // 2].items()}
        outputs = jax.jit(lambda *x: self.outputs(trained.model, *x))
        row = {name: array[:1] for name, array in batch.items()}
        logits, steps = jax.device_get(outputs(trained.params, {}, row))
        sound = row["inputs"][0, : row["lengths"][0]]
        return figures | transcribe_figures.over_time(
            sound,
            trained.metadata["rate"],
            logits[0, : steps[0]],
            names,
            times(trained.model, steps),
        )

    def outputs(self, model: nn.Module, params: Any, model_state: dict, batch: Batch) -> Any:
        """Logits [1, T, K], and the number of steps [1]."""
        return model.apply({"params": params}, batch["inputs"], batch["lengths"], train=False)

    def prediction(self, trained: Trained, source: Batch, outputs: Any) -> Prediction:
        logits, steps = outputs
        written = jax.device_get(ctc.greedy(logits, steps))
        beam = ctc.prefix_beam(logits, steps, self.beam, max(1, min(int(steps[0]), 200)))
        return transcribe_figures.prediction(
            source["audio"],
            int(source["rate"]),
            trained.metadata["class_names"],
            (written.symbols[0], times(trained.model, steps)[written.steps[0]]),
            (np.asarray(beam.prefixes[0]), np.asarray(beam.score[0])),
        )


def ctc_loss(logits: jax.Array, steps: jax.Array, targets: jax.Array) -> jax.Array:
    """Negative log-likelihood [B] in nats of labellings, by optax.

    Args:
        logits: [B, T, K], of which class 0 is the blank.
        steps: [B], steps of each row that count.
        targets: [B, U], then 0.
    """
    padding = jnp.arange(logits.shape[1])[None] >= steps[:, None]
    with jax.numpy_rank_promotion("allow"):
        return optax.ctc_loss(
            logits, padding.astype(logits.dtype), targets, (targets == 0).astype(logits.dtype)
        )


def times(model: nn.Module, steps: np.ndarray) -> np.ndarray:
    """The middle [T] in seconds of each step that a model reads."""
    middle = np.arange(int(steps[0])) * model.stack * model.hop + model.reach / 2
    return np.append(middle, 0.0) / model.rate if len(middle) == 0 else middle / model.rate


def scores(rows: Rows, rate: int) -> dict[str, float]:
    """Error rates, exact match and delay.

    Args:
        rows: of each sound "target" and "decoded" and maybe "beam" symbols, then 0; maybe "ends"
            and "needed", samples at which words end and at which they are known.
        rate: samples per second.
    """
    columns = rows.values
    targets = [row[row > 0].tolist() for row in columns["target"]]
    total, values = max(1, sum(map(len, targets))), {}
    for column, name in (("decoded", "error_rate"), ("beam", "error_rate_beam")):
        if column in columns:
            decoded = [row[row > 0].tolist() for row in columns[column]]
            edits = np.array([edit_distance(*pair) for pair in zip(decoded, targets, strict=True)])
            values[name] = float(edits.sum() / total)
            if column == "decoded":
                right = np.flatnonzero(edits == 0)
    values["exact_match"] = len(right) / len(targets)
    if "ends" in columns:
        late = [
            columns["needed"][i][: len(targets[i])] - columns["ends"][i][: len(targets[i])]
            for i in right
        ]
        if late and sum(map(len, late)):
            values["delay_ms"] = float(1000 / rate * np.mean(np.concatenate(late)))
    return values
