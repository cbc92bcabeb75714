"""Questions about generated stories, in the form of bAbI, by an end-to-end memory network.

    python launch.py --experiment=memn2n_stories
    python launch.py --experiment=memn2n_stories --data.task=2 --model.hops=1
    python launch.py predict --workdir=RUN --prompt='Ben went to the hall. Where is Ben?'

People walk about and carry things: where is a person, where is a thing, is a person at a place?
Pictures show which sentences each hop looks at (Sukhbaatar et al. 2015).

Measured: not trained to its end here, for want of time; 6,800 parameters.
"""

from nets.data.babi import Babi
from nets.memory_network import MemN2N
from nets.optim.optimizer import Optimizer
from nets.optim.rules import SGD
from nets.optim.schedules import Step
from nets.tasks.answer_stories import AnswerStories
from nets.train.experiment import Experiment
from nets.types import Epochs, epochs


def experiment() -> Experiment:
    return Experiment(
        model=MemN2N(features=20),
        task=AnswerStories(linear=Epochs(10)),
        data=Babi(),
        optimizer=Optimizer(
            SGD(), 0.3, Step(epochs(30, 45), 0.5), warmup=Epochs(10), clip_norm=1.25
        ),
        epochs=60,
        eval_every=Epochs(5),
        save_every=Epochs(20),
        monitor="mean_error",
    )
