"""Translation: a sequence of symbols into another, decoded, and its score (BLEU)."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from nets.errors import UserError, check_range, missing
from nets.layers.decoding import Decoded, decode
from nets.report.figures import Figure
from nets.tasks import translate_figures
from nets.tasks.losses import cross_entropy
from nets.tasks.metrics import Metrics, collect, compute, exact_match, masked_sum, mean
from nets.tasks.sequence_figures import real
from nets.tasks.task import Batch, Generative, Trained


@dataclasses.dataclass(frozen=True)
class Translate(Generative):
    """Translation by `nets.seq2seq.Bahdanau`, `nets.luong.Luong`, `nets.encoder_decoder.Seq2Seq` or
    `nets.transformer.Transformer`.

    The loss is the cross-entropy of each target, given the previous ones. In an evaluation the
    model also decodes without the targets: it takes the likeliest symbol at each step, and in the
    evaluation at the end of a run and in `eval` it searches with a beam. Metrics:

        loss         nats per symbol
        perplexity   its exponential
        accuracy     share of decoded symbols that are right
        exact_match  share of decoded sequences that are
        in_span      share of the attention inside "spans", where batches have them, in sequences
                     that are right, at targets that have one
        bleu         where batches have "references", whole target sentences, at the end of a run
                     and in `eval`: sacrebleu's defaults (13a, cased)

    Attributes:
        smoothing: label smoothing of the training loss (Szegedy et al. 2016, section 7).
        beam: size of the beam at the end of a run, in `eval` and in `sample`; 1 takes the likeliest
            symbol at each step.
        length_penalty: of the beam search (`nets.layers.decoding.beam_search`); above 0 prefers
            longer sequences.
        coverage_penalty: of the beam search; above 0 prefers attention to all of the source.
    """

    smoothing: float = 0.0
    beam: int = 1
    length_penalty: float = 0.0
    coverage_penalty: float = 0.0

    maximise: ClassVar[tuple[str, ...]] = ("accuracy", "exact_match", "in_span", "bleu")
    needs_prompt: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_range(self, "smoothing", at_least=0, below=1)
        check_range(self, "beam", at_least=1)
        check_range(self, "length_penalty", "coverage_penalty", at_least=0)

    def init(self, model: nn.Module, key: jax.Array, batch: dict) -> tuple[Any, dict]:
        if model.num_classes is not None and self.beam > model.num_classes:
            raise UserError(
                f"must be at most {model.num_classes}, the model's symbols, got {self.beam}.",
                "beam",
            )
        return model.init(key, batch["inputs"], batch["targets"], train=False)["params"], {}

    def loss(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        train: bool,
    ) -> tuple[jax.Array, tuple[dict, Metrics]]:
        inputs, targets = batch["inputs"], batch["targets"]
        variables, noise = {"params": params}, {"dropout": key}
        logits = model.apply(variables, inputs, targets, train=train, rngs=noise)
        metrics = {"loss": masked_sum(cross_entropy(logits, targets), batch)}
        loss = metrics["loss"]
        if train and self.smoothing:
            loss = masked_sum(cross_entropy(logits, targets, self.smoothing), batch)
        return mean(loss), (model_state, metrics)

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
        targets = batch["targets"]
        task = self if final else dataclasses.replace(self, beam=1)
        decoded = task.decode(model, params, batch["inputs"], targets.shape[1])
        right = decoded.symbols == targets
        metrics |= {"accuracy": masked_sum(right, batch), "exact_match": exact_match(right, batch)}
        if "spans" in batch and decoded.weights.shape[-1]:
            metrics["in_span"] = in_span(decoded.weights, right, batch)
        if final and "references" in batch:
            rows = {"decoded": decoded.symbols, "references": batch["references"]}
            metrics["sentences"] = collect(rows, batch)
        return model_state, metrics

    def finish(
        self, metrics: Metrics, metadata: dict[str, Any], tokenizer: Any
    ) -> dict[str, float]:
        values = compute(metrics)
        values["perplexity"] = math.exp(min(values["loss"], 700.0))
        if "sentences" in metrics:
            rows = metrics["sentences"].values
            decoded = [tokenizer.decode(ids) for ids in rows["decoded"]]
            references = [tokenizer.decode(ids) for ids in rows["references"]]
            values["bleu"] = _bleu()(decoded, [references]).score
        return values

    def decode(self, model: nn.Module, params: Any, inputs: jax.Array, length: int) -> Decoded:
        """The result of the search for inputs [B, S], of at most `length` symbols a row."""
        return decode(
            model,
            {"params": params},
            inputs,
            length,
            beam=self.beam,
            length_penalty=self.length_penalty,
            coverage_penalty=self.coverage_penalty,
        )

    def sample(
        self,
        trained: Trained,
        prompt: list[int],
        length: int,
        temperature: float,
        top_k: int | None = None,
    ) -> str:
        """The translation of a source, at most `length` symbols. The search samples nothing: the
        temperature has no effect.

        Raises:
            UserError: there is a `top_k`, which is for models that draw, or the model does not read
                a source of this length.
        """
        if top_k is not None:
            raise UserError(f"is for language models (here: task.beam), got {top_k}.", "top_k")
        source = np.array([prompt], np.int32)
        try:
            decoded = _decode(self, trained.model, trained.params, source, length)
        except ValueError as error:
            raise UserError(f"cannot be translated: {error}.", "prompt") from error
        return f" -> {trained.target_tokenizer.decode(np.asarray(decoded.symbols)[0])}"

    def figures(
        self, trained: Trained, batches: Sequence[Batch], metrics: Metrics, final: bool
    ) -> dict[str, Figure]:
        rows = real(batches[0])
        task = self if final else dataclasses.replace(self, beam=1)
        inputs, length = rows["inputs"], rows["targets"].shape[1]
        decoded = jax.device_get(_decode(task, trained.model, trained.params, inputs, length))
        tokenizers = trained.tokenizer, trained.target_tokenizer
        figures = translate_figures.translations(rows, decoded.symbols, *tokenizers)
        if final and decoded.weights.shape[-1]:
            figures |= translate_figures.alignments(rows, decoded, *tokenizers)
        return figures


def in_span(weights: jax.Array, right: jax.Array, batch: dict) -> tuple[jax.Array, jax.Array]:
    """Sum and weight of the attention [B, U, S] inside the spans of targets that have one, in rows
    without a mistake."""
    first, last = batch["spans"][..., :1], batch["spans"][..., 1:]
    positions = jnp.arange(weights.shape[-1])[None, None]
    inside = jnp.where((first <= positions) & (positions < last), weights, 0).sum(-1)  # [B, U]
    counts = (last > first)[..., 0] & right.all(1, keepdims=True)
    return masked_sum(jnp.where(counts, inside, 0), batch)[0], masked_sum(counts, batch)[0]


_decode = jax.jit(Translate.decode, static_argnames=("self", "model", "length"))


def _bleu():
    try:
        from sacrebleu import corpus_bleu
    except ImportError as error:
        raise missing("BLEU", "sacrebleu", "translate") from error
    return corpus_bleu
