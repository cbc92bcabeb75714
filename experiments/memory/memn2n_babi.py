r"""Twenty kinds of questions about stories, by a memory network: Sukhbaatar et al. 2015.

    python launch.py --experiment=memn2n_babi --data.path=BABI
    python launch.py compare --experiment=memn2n_babi --data.path=BABI
    python launch.py --experiment=memn2n_babi --data.path=BABI --data.task=2 --model.features=20 \
        --seed=0,1,2,3 --eval_train=true
    python launch.py predict --workdir=RUN --prompt='Mary went to the garden. Where is Mary?'

BABI is the folder of bAbI's English tasks with 1,000 questions each. One network learns all tasks
together; with --data.task=N it learns one. `mean_error` is the mean of the tasks' errors; the
authors' own program has 0.124 for all together, and 0.138 for one at a time. The learning rate is
the paper's, 0.01 for the sum over a batch of 32, in the linear start too, where it has half of it;
the authors' program has half of it throughout. The gradient is clipped to less.

Measured: trained on all tasks at once, a mean test error of 0.123, 9 tasks above 0.05; 12 min 21 s
of processor time. 2 hops 0.160, 1 hop 0.262, layer-wise tying 0.168, a bag of words 0.172, without
noise 0.141; 6 min 35 s to 13 min 25 s. One task at a time a mean of 0.154, and of 0.146 by those of
four seeds that have the lowest loss in training (the paper chooses among ten), at most 113 s for
the four; each task's error is in nets/README.md. Seed 0, one core of an AMD EPYC (3 hops and 1 hop)
or an Intel Xeon (the others), both with AVX-512, jax 0.10.2.
"""

import dataclasses

from nets.data.babi import Babi
from nets.memory_network import MemN2N
from nets.optim.optimizer import Optimizer
from nets.optim.rules import SGD
from nets.optim.schedules import Step
from nets.tasks.answer_stories import AnswerStories
from nets.train.experiment import Experiment
from nets.types import Epochs, epochs


def experiment() -> Experiment:
    return variants()["3 hops"]


def variants() -> dict[str, Experiment]:
    """The experiments that `compare` trains, by the name that each has in the table."""
    model = MemN2N(features=50)
    models = {"3 hops": model, "2 hops": model.clone(hops=2), "1 hop": model.clone(hops=1)}
    models |= {
        "layerwise": model.clone(tying="layerwise"),
        "bag of words": model.clone(encoding="bag"),
        "no noise": model.clone(noise=0.0),
    }
    base = Experiment(
        model=model,
        task=AnswerStories(linear=Epochs(30)),
        data=Babi(path="BABI", widths=()),
        optimizer=Optimizer(SGD(), 0.32, Step(epochs(45, 60, 75), 0.5), clip_norm=1.25),
        epochs=90,
        eval_every=Epochs(5),
        save_every=Epochs(20),
        monitor="mean_error",
    )
    return {name: dataclasses.replace(base, model=model) for name, model in models.items()}
