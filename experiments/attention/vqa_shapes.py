"""Seven types of questions about generated scenes, by stacked attention: Yang et al. 2016.

    python launch.py --experiment=vqa_shapes
    python launch.py predict --workdir=runs/vqa_shapes --input=a.png --prompt='Is there a cross?'
    python launch.py compare --experiment=vqa_shapes

Questions of existence, count, colour, shape, size, relation and comparison; the words alone answer
0.386 of them (`nets.data.shape_questions`). The picture `attention` is lit where each of two looks
falls; in_box_1 and in_box_2 are the shares of it inside the boxes of the objects that a question
describes, box_share that of the image that these cover. `compare` trains one look instead of two,
two that are not told where to be, the product of question and image (Antol et al. 2015), and the
question alone.

To the paper's network is added what relations need: in training the first look is told to be at the
object that is named first, the second at the other (`pointing`); the question is the sum of all
states of an LSTM in both directions; where the looks are has a layer and a linear gate of its own;
the layer before the answer is rectified. With all of it relations were at 0.95 after 1,000 steps.
They stay at chance when the looks are not told where (6,000 steps), and were with the last state,
with one layer for what is seen and where, or with tanh in place of linear gate and rectifier
(1,000).

Measured: 0.998 of the test questions; count 0.997, relation 0.991, all other types 1.000; in_box_1
0.931, in_box_2 0.912, box_share 0.117; 12 min 31 s of processor time. One look: 0.939, relation
0.860 and comparison 0.712; 10 min 49 s. Two looks, not told where: 0.894, relation 0.480 and
comparison 0.785, in_box_1 0.528; 14 min 54 s. The product: 0.688; 10 min 44 s. The question alone:
0.392, no type above 0.54; 6 min 35 s. Seed 0, one core of an AMD EPYC (looks not told where: of an
Intel Xeon), both with AVX-512, jax 0.10.2.
"""

from nets.convnet import ConvNet
from nets.data.shape_questions import ShapeQuestions
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.optim.schedules import Cosine
from nets.tasks.answer import AnswerQuestion
from nets.train.experiment import Experiment
from nets.vqa import ProductVQA, QuestionOnly, StackedAttention

EYES = ConvNet(widths=(8, 16, 32, 64), windows=(5, 3, 5, 5), num_classes=0)
WORDS = {"embedding": 32, "features": 128, "hidden": (128,), "dropout": 0.0}


def experiment() -> Experiment:
    return variants()["two looks"]


def variants() -> dict[str, Experiment]:
    """The experiments that `compare` trains, by the name that each has in the table."""
    looks = StackedAttention(
        EYES,
        "conv4",
        looks=2,
        attention=64,
        bidirectional=True,
        summary="sum",
        fusion="product",
        **WORDS,
    )
    joint = {"joint": 128, "layers": 1, **WORDS}
    told, alone = AnswerQuestion(pointing=0.3), AnswerQuestion()
    models = {
        "two looks": (looks, told),
        "one look": (looks.clone(looks=1), told),
        "two looks, not told where": (looks, alone),
        "product": (ProductVQA(EYES, **joint), alone),
        "question only": (QuestionOnly(**joint), alone),
    }
    return {
        name: Experiment(
            model=model,
            task=task,
            data=ShapeQuestions(batch_size=32),
            optimizer=Optimizer(Adam(), 2e-3, Cosine(), warmup=100, clip_norm=1.0),
            steps=6000,
            eval_every=500,
            save_every=500,
            monitor="accuracy",
        )
        for name, (model, task) in models.items()
    }
