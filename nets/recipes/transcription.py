"""The recipe that the experiments of transcription share."""

from nets.data.audio import SpokenStrings
from nets.optim.optimizer import Optimizer
from nets.optim.rules import AdamW
from nets.optim.schedules import Cosine
from nets.tasks.transcribe import Transcribe
from nets.train.experiment import Experiment
from nets.transcriber import Transcriber


def spoken_strings(model: Transcriber, steps: int = 600) -> Experiment:
    """Strings of one to five words, 32 at a time."""
    return Experiment(
        model=model,
        task=Transcribe(),
        data=SpokenStrings(),
        optimizer=Optimizer(AdamW(weight_decay=1e-2), 4e-3, Cosine(), warmup=50, clip_norm=5.0),
        steps=steps,
        eval_every=200,
        save_every=steps,
        monitor="error_rate",
    )
