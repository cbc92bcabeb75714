"""The recipes that experiments with sounds share."""

import flax.linen as nn

from nets.data.audio import SpokenWords
from nets.data.audio_noise import NoisySpeech
from nets.data.audio_strings import SpokenStrings
from nets.data.dataset import Dataset
from nets.optim.optimizer import Optimizer
from nets.optim.rules import AdamW
from nets.optim.schedules import Cosine
from nets.tasks.classify_sound import ClassifySound
from nets.tasks.enhance import Enhance
from nets.tasks.task import Task
from nets.tasks.transcribe import Transcribe
from nets.train.experiment import Experiment


def enhancement(model: nn.Module, steps: int = 800) -> Experiment:
    """Sounds of 2 s in noise, 16 at a time."""
    return _experiment(model, Enhance(), NoisySpeech(), 2e-3, steps, "si_sdr")


def transcription(model: nn.Module, steps: int = 1000) -> Experiment:
    """Strings of one to five words, 32 at a time."""
    return _experiment(model, Transcribe(), SpokenStrings(), 4e-3, steps, "error_rate")


def classification(model: nn.Module, steps: int = 1000) -> Experiment:
    """Single words, 32 at a time."""
    return _experiment(model, ClassifySound(), SpokenWords(), 2e-3, steps, "accuracy")


def _experiment(
    model: nn.Module, task: Task, data: Dataset, learning_rate: float, steps: int, monitor: str
) -> Experiment:
    rule, schedule = AdamW(weight_decay=1e-2), Cosine()
    return Experiment(
        model=model,
        task=task,
        data=data,
        optimizer=Optimizer(rule, learning_rate, schedule, warmup=50, clip_norm=5.0),
        steps=steps,
        eval_every=200,
        save_every=steps,
        monitor=monitor,
    )
