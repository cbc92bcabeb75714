"""The recipe that experiments with Turing machines share."""

from flax import linen as nn

from nets.data.algorithms import BitProblem
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.optim.schedules import Cosine
from nets.tasks.answer_bits import AnswerBits
from nets.train.experiment import Experiment


def compared(data: BitProblem, steps: int, models: dict[str, nn.Module]) -> dict[str, Experiment]:
    """An experiment with each of `nets.ntm.compared_models`, an LSTM at a lower rate."""
    return {
        name: Experiment(
            model=model,
            task=AnswerBits(),
            data=data,
            optimizer=Optimizer(
                Adam(), 3e-4 if name == "lstm" else 1e-3, Cosine(), warmup=100, clip_norm=10.0
            ),
            steps=steps,
            eval_every=500,
            save_every=1000,
            monitor="loss",
        )
        for name, model in models.items()
    }
