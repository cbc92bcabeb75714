"""The flags of each command, beside those of its experiment."""

import dataclasses
import os
from typing import Literal

from nets.errors import UserError, check_range


@dataclasses.dataclass(frozen=True)
class Options:
    """The flags of every command.

    Attributes:
        experiment: name of a file in experiments/, or the path of a .py file.
        variant: which of the experiments that the file's variants() returns. None means that of
            its experiment().
        workdir: the run's directory; runs/<experiment> with its overrides unless given.
        compilation_cache: folder that keeps compiled programs from run to run. None means no cache.
        distributed: join the other processes of this job (jax.distributed.initialize); SLURM, TPU
            pods and Open MPI tell it all it needs, elsewhere give coordinator, num_processes and
            process_id too.
        coordinator: host:port of process 0.
        num_processes: number of processes.
        process_id: number of this process, from 0.
        help: print the flags and leave.
    """

    experiment: str | None = None
    variant: str | None = None
    workdir: str | None = None
    compilation_cache: str | None = os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "nets", "compilation"
    )
    distributed: bool = False
    coordinator: str | None = None
    num_processes: int | None = None
    process_id: int | None = None
    help: bool = False


@dataclasses.dataclass(frozen=True)
class Train(Options):
    """The flags of `train`.

    Attributes:
        seed: seed of the run; several, with commas, run in turn and end with mean and spread.
        allow_changed_code: resume a run although its code was edited since.
    """

    seed: tuple[int, ...] = ()
    allow_changed_code: bool = False

    def __post_init__(self) -> None:
        for seed in self.seed:
            if self.seed.count(seed) > 1:
                seeds = ",".join(map(str, self.seed))
                raise UserError(f"has {seed} more than once: {seeds}.", "seed")


@dataclasses.dataclass(frozen=True)
class Compare(Train):
    """The flags of `compare`.

    Attributes:
        variants: names of those that are compared. Empty means all that the file has.
    """

    variants: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.variant is not None:
            raise UserError("is not of compare, which takes --variants.", "variant")


@dataclasses.dataclass(frozen=True)
class Show(Options):
    """The flags of `show`.

    Attributes:
        format: text, or json for programs.
    """

    format: Literal["text", "json"] = "text"


@dataclasses.dataclass(frozen=True)
class Evaluate(Options):
    """The flags of `eval`.

    Attributes:
        checkpoint: best, latest, or a step.
    """

    checkpoint: str = "best"


@dataclasses.dataclass(frozen=True)
class Sample(Evaluate):
    """The flags of `sample`.

    Attributes:
        prompt: text to continue (None means a newline), the sentence to translate, or the text to
            write by hand.
        length: characters, words, points or frames to write.
        temperature: 0 takes the likeliest symbol, 1 samples from the model's probabilities.
        top_k: number of likeliest symbols that are sampled from. None means all.
    """

    prompt: str | None = None
    length: int = 1000
    temperature: float = 0.8
    top_k: int | None = None

    def __post_init__(self) -> None:
        check_range(self, "length", "top_k", at_least=1)
        check_range(self, "temperature", at_least=0)


@dataclasses.dataclass(frozen=True)
class Predict(Evaluate):
    """The flags of `predict`.

    Attributes:
        input: file to predict for, such as an image, or a folder of them.
        prompt: sentence to predict for, where the data is text, instead of a file; the question,
            where the data has questions about files.
        output: folder for the pictures and JSON. None means predictions in the work directory.
    """

    input: str | None = None
    prompt: str | None = None
    output: str | None = None


COMMANDS: dict[str, type[Options]] = {
    "train": Train,
    "compare": Compare,
    "show": Show,
    "eval": Evaluate,
    "sample": Sample,
    "predict": Predict,
    "verify-resume": Options,
}
