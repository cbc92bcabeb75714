"""Music: which keys of a piano sound in the next frame."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from nets.errors import UserError, check_range, missing
from nets.report.figures import Figure, Panels
from nets.report.piano_roll import PianoRoll
from nets.tasks.metrics import Metrics, compute
from nets.tasks.task import Batch, Generative, Sample, Trained

_LOWEST = 21  # the pitch of the lowest key of a piano


@dataclasses.dataclass(frozen=True)
class NextNotes(Generative):
    """The next frame of a piano roll, by `model(inputs, targets, carry, reset, train=...) ->
    logits, carry`: `nets.piano_roll.PianoRollRNN` or `nets.biaxial.Biaxial`.

    The loss is the negative log-likelihood of a frame in nats, the binary cross-entropy summed over
    its keys. That of a split is the sum over all predicted frames of all pieces over their number,
    as in Bai et al. 2018 (evaluate in their poly_music/music_test.py); every frame but a piece's
    first is predicted. Gradients pass back through a segment, and the carry goes on from segment to
    segment: truncated back-propagation through time. Metrics:

        loss         nats a frame
        accuracy     keys that sound and were more likely to than not, over all that sound or were
                     (true positives over those with the false ones and the negatives, Bay et al.
                     2009)
        independent  nats a frame where every key sounds as often as in training, whatever came
                     before
        repeat       nats a frame where every key goes on sounding, or not, as often as it did in
                     training

    Attributes:
        length: frames of a sample.
        temperature: temperature of the samples that are drawn in an evaluation.
        samples: pieces that are sampled.
        given: frames of a test piece that the last sample begins with.
    """

    length: int = 200
    temperature: float = 1.0
    samples: int = 2
    given: int = 64

    maximise: ClassVar[tuple[str, ...]] = ("accuracy",)
    default_prompt: ClassVar[str] = ""

    def __post_init__(self) -> None:
        check_range(self, "length", "samples", "given", at_least=1)
        check_range(self, "temperature", at_least=0)

    def init(self, model: nn.Module, key: jax.Array, batch: dict) -> tuple[Any, dict]:
        carry = model.initial_carry(len(batch["inputs"]))
        arrays = batch["inputs"], batch["targets"], carry, batch["reset"]
        return model.init(key, *arrays, train=False)["params"], {"carry": carry}

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
        logits, carry = model.apply(
            {"params": params},
            batch["inputs"],
            targets,
            lax.stop_gradient(model_state["carry"]),
            batch["reset"],
            train=train,
            rngs={"dropout": key},
        )
        nats = optax.sigmoid_binary_cross_entropy(logits, targets).sum(-1)  # [B, T]
        on, likely, counts = targets > 0, logits > 0, mask[..., None]
        either = jnp.sum((on | likely) * counts)
        metrics = {
            "loss": (jnp.sum(nats * mask), mask.sum()),
            "accuracy": (jnp.sum((on & likely) * counts), either),
        }
        if not train:
            metrics["counts"] = _key_counts(batch), mask.sum()
        loss = metrics["loss"][0] / jnp.maximum(mask.sum(), 1)
        return loss, ({"carry": carry}, metrics)

    def finish(
        self, metrics: Metrics, metadata: dict[str, Any], tokenizer: Any
    ) -> dict[str, float]:
        values = compute(metrics)
        if "rates" in metadata and "counts" in metrics:
            rates, stays, starts = (np.array(metadata[k]) for k in ("rates", "stays", "starts"))
            counts, frames = metrics["counts"]
            values["independent"] = baseline(counts, rates, rates) / frames
            values["repeat"] = baseline(counts, stays, starts) / frames
        return values

    def sample(
        self,
        trained: Trained,
        prompt: list[int],
        length: int,
        temperature: float,
        top_k: int | None = None,
    ) -> Sample:
        """Pieces of so many frames, as MIDI files and pictures.

        Raises:
            UserError: there is a `top_k`, or mido is not installed.
        """
        if top_k is not None:
            raise UserError(f"is for language models, got {top_k}.", "top_k")
        beat = trained.metadata["frames_per_beat"]
        rolls = self.draw(trained, length, temperature)
        figures: dict[str, Figure] = {}
        for i, roll in enumerate(rolls):
            figures[f"sample_{i}"] = PianoRoll(f"Written by the model, {i}", roll, beat=beat)
            figures[f"music_{i}"] = Midi(f"Written by the model, {i}", roll, beat)
        return Sample(f"{len(rolls)} pieces of {length} frames, {beat} a beat", figures)

    def draw(
        self,
        trained: Trained,
        length: int,
        temperature: float,
        given: np.ndarray | None = None,
    ) -> np.ndarray:
        """Pieces [samples, length, keys] of 0 and 1, or one that begins with frames [G, keys]."""
        rows = self.samples if given is None else 1
        keys = trained.model.keys
        room = np.zeros((rows, length, keys), np.float32)
        if given is not None:
            room[0, : len(given)] = given[:length]
        count = 0 if given is None else len(given)
        drawn = _draw(trained.model, trained.params, trained.key, room, count, temperature)
        return np.asarray(drawn)

    def figures(
        self, trained: Trained, batches: Sequence[Batch], metrics: Metrics, final: bool
    ) -> dict[str, Figure]:
        beat = trained.metadata["frames_per_beat"]
        rolls = self.draw(trained, self.length, self.temperature)
        panels = [PianoRoll("from silence", roll, beat=beat) for roll in rolls]
        if final:
            piece = batches[0]["targets"][0][: self.given]
            (roll,) = self.draw(trained, self.length, self.temperature, piece)
            title = "after the first frames of a test piece (grey)"
            panels.append(PianoRoll(title, roll, beat=beat, given=len(piece)))
        return {"music": Panels("Written by the model", tuple(panels), columns=1)}


def _key_counts(batch: Batch) -> jax.Array:
    """How often each key sounds and does not, [4, keys] (`nets.data.piano_rolls.key_counts`)."""
    before, after = batch["inputs"], batch["targets"]
    pairs = [(a, b) for a in (before, 1 - before) for b in (after, 1 - after)]
    return jnp.stack([jnp.einsum("btk,btk,bt->k", a, b, batch["mask"]) for a, b in pairs])


def baseline(counts: np.ndarray, stays: np.ndarray, starts: np.ndarray) -> float:
    """Nats of keys that sound with these probabilities after a frame in which they did, and not.

    Args:
        counts: [4, keys], frames: after it sounded, in which it does and not; after it did not.
        stays: [keys].
        starts: [keys].
    """
    logs = np.stack([np.log(stays), np.log1p(-stays), np.log(starts), np.log1p(-starts)])
    return -float(np.sum(np.asarray(counts) * logs))


def _draw_rows(
    model: nn.Module,
    params: Any,
    key: jax.Array,
    given: jax.Array,
    count: jax.Array,
    temperature: jax.Array,
) -> jax.Array:
    """Pieces [N, L, keys], after silence; the first `count` frames are those of `given`."""
    rows, length, keys = given.shape

    def step(state, inputs):
        carry, frame = state
        key, t, known = inputs
        carry, drawn = model.apply(
            {"params": params}, carry, frame, key, temperature, method="draw"
        )
        frame = jnp.where(t < count, known, drawn)
        return (carry, frame), frame

    start = model.initial_carry(rows), jnp.zeros((rows, keys))
    xs = jax.random.split(key, length), jnp.arange(length), given.swapaxes(0, 1)
    return lax.scan(step, start, xs)[1].swapaxes(0, 1)


_draw = jax.jit(_draw_rows, static_argnames="model")


@dataclasses.dataclass(frozen=True, eq=False)
class Midi(Figure):
    """A piano roll [T, 88] as a MIDI file: a key that sounds in several frames is one note.

    Attributes:
        roll: frames of 0 and 1.
        beat: frames of a quarter note, of half a second each.
    """

    roll: np.ndarray
    beat: int

    def write(self, folder: Path, name: str) -> Path:
        """Writes NAME.mid.

        Raises:
            UserError: mido is not installed.
        """
        try:
            import mido
        except ImportError as error:
            raise missing("a MIDI file", "mido", "music") from error
        frame = 480 // self.beat  # ticks
        midi = mido.MidiFile(ticks_per_beat=frame * self.beat)
        track, last = mido.MidiTrack(), 0
        edges = np.diff(np.pad(np.asarray(self.roll, int), ((1, 1), (0, 0))), axis=0)  # [T + 1, 88]
        for t, key in np.argwhere(edges):
            kind = "note_on" if edges[t, key] > 0 else "note_off"
            time, last = int(t - last) * frame, t
            track.append(mido.Message(kind, note=int(key) + _LOWEST, velocity=70, time=time))
        midi.tracks.append(track)
        path = folder / f"{name}.mid"
        midi.save(path)
        return path
