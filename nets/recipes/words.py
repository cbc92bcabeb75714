"""The recipe that the experiments of spoken words share."""

from nets.cldnn import CLDNN
from nets.data.audio import SpokenWords
from nets.optim.optimizer import Optimizer
from nets.optim.rules import AdamW
from nets.optim.schedules import Cosine
from nets.tasks.classify_sound import ClassifySound
from nets.train.experiment import Experiment


def spoken_words(model: CLDNN, steps: int = 1000) -> Experiment:
    """Single words, 32 at a time."""
    return Experiment(
        model=model,
        task=ClassifySound(),
        data=SpokenWords(),
        optimizer=Optimizer(AdamW(weight_decay=1e-2), 2e-3, Cosine(), warmup=50, clip_norm=5.0),
        steps=steps,
        eval_every=200,
        save_every=steps,
        monitor="accuracy",
    )
