r"""VQA v2: questions of people about photographs, by stacked attention: Yang et al. 2016.

    python launch.py --experiment=vqa_v2 --data.images=train2014 \
        --data.questions=v2_OpenEnded_mscoco_train2014_questions.json \
        --data.annotations=v2_mscoco_train2014_annotations.json --data.validation_images=val2014 \
        --data.validation_questions=v2_OpenEnded_mscoco_val2014_questions.json \
        --data.validation_annotations=v2_mscoco_val2014_annotations.json

Two looks at the 14 x 14 positions that ResNet-50 makes of 448 pixels (the paper has VGG-16), the
1,000 most frequent answers. vqa_accuracy is min(n / 3, 1), n of the ten people having given the
answer; vqa_accuracy_nine is the figure that the published evaluation code gives. The paper's image
network has ImageNet's weights and is not trained; this command trains all of it from the beginning,
and the paper's way starts from a run of `resnet50_imagenet`:

    --init_from=runs/resnet50_imagenet --init_include='backbone/*' --init_exclude='backbone/fc/*' \
        --init_rename==backbone --optimizer.freeze='backbone/*'

Measured: not trained here, for want of the data; 39,976,808 parameters.
"""

from nets.data.questions import Questions
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.optim.schedules import Cosine
from nets.resnet import ResNet50
from nets.tasks.answer import AnswerQuestion
from nets.train.experiment import Experiment
from nets.vqa import StackedAttention


def experiment() -> Experiment:
    return Experiment(
        model=StackedAttention(ResNet50(num_classes=0), "layer4", looks=2),
        task=AnswerQuestion(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
        data=Questions(
            image_size=448, short_side=448, min_count=5, batch_size=100, eval_batch_size=100
        ),
        optimizer=Optimizer(Adam(), 3e-4, Cosine(), warmup=1000, clip_norm=10.0),
        steps=80_000,
        eval_every=4000,
        save_every=2000,
        monitor="vqa_accuracy",
    )
