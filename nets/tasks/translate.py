"""Translation: a sequence of symbols into another, written by itself, and how well (BLEU)."""

import dataclasses
import functools
import math
from collections.abc import Iterable
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from nets.errors import UserError, missing
from nets.layers.decoding import Decoded, decode
from nets.report.figures import Figure
from nets.tasks import translate_figures
from nets.tasks.classify import cross_entropy
from nets.tasks.metrics import compute, exact_match, masked_sum, mean
from nets.tasks.sequence_figures import real
from nets.tasks.task import Generative, Trained


@dataclasses.dataclass(frozen=True)
class Translate(Generative):
    """Joins `nets.seq2seq.Bahdanau`, `nets.luong.Luong` or `nets.sequence.Seq2Seq` to a loss.

    The loss is the cross-entropy of the targets, each given those before it. In evaluation the
    model also writes by itself, the likeliest symbol at each step: accuracy is the share of right
    symbols then, exact that of right sequences. Where batches have "spans", in_span is the share of
    the attention that falls into them, in exact sequences, at targets that have one. Metrics: loss
    (nats a symbol), perplexity; those; at the end of a run and by `eval` also BLEU (`judge`).

    Attributes:
        smoothing: label smoothing of what is minimised (Szegedy et al. 2016, section 7).
        beam: slots of the search for BLEU, for what is shown at the end of a run, and in `sample`;
            1 takes the likeliest symbol at each step, as all else does.
        length_penalty: of that search (`nets.layers.decoding.beam_search`); above 0 prefers what
            is longer.
        coverage_penalty: of that search; above 0 prefers what looks at all of the source.
    """

    smoothing: float = 0.0
    beam: int = 1
    length_penalty: float = 0.0
    coverage_penalty: float = 0.0

    maximise: ClassVar[tuple[str, ...]] = ("accuracy", "exact", "in_span")
    needs_prompt: ClassVar[bool] = True

    def __post_init__(self):
        if not 0 <= self.smoothing < 1:
            raise UserError(
                f"--task.smoothing={self.smoothing} is not possible; "
                "at least 0 and below 1 is valid."
            )
        for field, least in {"beam": 1, "length_penalty": 0, "coverage_penalty": 0}.items():
            if not getattr(self, field) >= least:
                raise UserError(
                    f"--task.{field}={getattr(self, field)} is not possible; {least} is the least."
                )

    def init(self, model: nn.Module, key: jax.Array, batch: dict) -> tuple[Any, dict]:
        if model.num_classes is not None and self.beam > model.num_classes:
            raise UserError(
                f"--task.beam={self.beam} is more than the {model.num_classes} symbols that the "
                "model writes."
            )
        return model.init(key, batch["inputs"], batch["targets"], train=False)["params"], {}

    def loss(self, model, params, model_state, batch, key, train):
        inputs, targets = batch["inputs"], batch["targets"]
        variables, noise = {"params": params}, {"dropout": key}
        logits = model.apply(variables, inputs, targets, train=train, rngs=noise)
        metrics = {"loss": masked_sum(cross_entropy(logits, targets), batch)}
        loss = metrics["loss"]
        if train and self.smoothing:
            loss = masked_sum(cross_entropy(logits, targets, self.smoothing), batch)
        if not train:
            written = decode(model, variables, inputs, targets.shape[1])
            right = written.symbols == targets
            metrics |= {"accuracy": masked_sum(right, batch), "exact": exact_match(right, batch)}
            if "spans" in batch and written.weights.shape[-1]:
                metrics["in_span"] = in_span(written.weights, right, batch)
        return mean(loss), (model_state, metrics)

    def finish(self, sums: dict) -> dict[str, float]:
        found = compute(sums)
        return found | {"perplexity": math.exp(min(found["loss"], 700.0))}

    def judge(self, trained: Trained, data: Any, split: str) -> dict[str, float]:
        """BLEU, by sacrebleu's defaults (13a, cased), of what the search writes for a split.

        Of data that has `references`, its whole target sentences, alone; of others nothing.
        """
        if not hasattr(data, "references"):
            return {}
        corpus_bleu, symbols, lines = _bleu(), data.metadata()["output_symbols"], []
        for batch in map(real, data.evaluate(split)):
            written = np.asarray(self.written(trained.model, trained.params, batch).symbols)
            lines += [translate_figures.decoded(ids, symbols) for ids in written]
        return {"bleu": corpus_bleu(lines, [data.references(split)]).score}

    def written(self, model, params, batch: dict) -> Decoded:
        """What the search finds for a batch's sources, of at most as many symbols as targets."""
        return _write(model, params, batch["inputs"], batch["targets"].shape[1], self)

    def sample(
        self,
        trained: Trained,
        prompt: list[int],
        length: int,
        temperature: float,
        top_k: int | None = None,
    ) -> str:
        """What the search finds for a source, of at most `length` symbols. It draws nothing: a
        temperature changes nothing.

        Raises:
            UserError: there is a `top_k`, which is for models that draw.
        """
        if top_k is not None:
            raise UserError(f"--top_k={top_k} is for language models; here it is --task.beam.")
        source = np.array([prompt], np.int32)
        written = _write(trained.model, trained.params, source, length, self)
        symbols = trained.metadata["output_symbols"]
        return f" -> {translate_figures.decoded(np.asarray(written.symbols)[0], symbols)}"

    def figures(self, trained: Trained, batches: Iterable[dict], final: bool) -> dict[str, Figure]:
        rows = real(next(iter(batches)))
        task = self if final else dataclasses.replace(self, beam=1)
        written = jax.tree.map(np.asarray, task.written(trained.model, trained.params, rows))
        found = translate_figures.translations(rows, written.symbols, trained.metadata)
        if final and written.weights.shape[-1]:
            found |= translate_figures.alignments(rows, written, trained.metadata)
        return found


def in_span(weights: jax.Array, right: jax.Array, batch: dict) -> tuple[jax.Array, jax.Array]:
    """Sum and weight of the attention [B, U, S] inside spans, at targets of exact rows that have
    one."""
    first, last = batch["spans"][..., :1], batch["spans"][..., 1:]
    places = jnp.arange(weights.shape[-1])[None, None]
    inside = jnp.where((first <= places) & (places < last), weights, 0).sum(-1)  # [B, U]
    counts = (last > first)[..., 0] & right.all(1, keepdims=True)
    return masked_sum(jnp.where(counts, inside, 0), batch)[0], masked_sum(counts, batch)[0]


@functools.partial(jax.jit, static_argnames=("model", "length", "search"))
def _write(model, params, inputs, length, search: "Translate") -> Decoded:
    return decode(
        model,
        {"params": params},
        inputs,
        length,
        beam=search.beam,
        length_penalty=search.length_penalty,
        coverage_penalty=search.coverage_penalty,
    )


def _bleu():
    try:
        from sacrebleu import corpus_bleu
    except ImportError as error:
        raise missing("BLEU", "sacrebleu", "translate") from error
    return corpus_bleu
