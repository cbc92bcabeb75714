"""Every experiment is built and shape-checked; one of each family is trained, reduced."""

import contextlib
import dataclasses
import re
from pathlib import Path

import pytest

from nets.errors import UserError
from nets.train import catalogue, flags, loop, verbs
from nets.train.experiment import Experiment, batch_struct, load, resolve
from nets.train.reporter import Reporter
from nets.train.show import describe
from nets.train.signals import Signals

FOLDER = Path(__file__).parent.parent / "experiments"
NAMES = [entry.name for entry in catalogue.listing(FOLDER)]


def resolved(experiment: Experiment) -> Experiment:
    try:
        return resolve(experiment, experiment.data.facts())
    except UserError:  # a set that is not prepared on this machine: its outline is known
        return experiment


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_fits_together(name):
    experiment = verbs.checked(resolved(load(name, FOLDER)))
    described = describe(
        experiment.model,
        experiment.task,
        experiment.optimizer.build(experiment.steps),
        batch_struct(experiment.data),
        flags.config(experiment),
    )
    assert described["parameters"] > 0 and described["multiply_adds"] > 0
    assert sum(layer["parameters"] for layer in described["layers"]) == described["parameters"]


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_advertises_itself(name):
    entry = next(entry for entry in catalogue.listing(FOLDER) if entry.name == name)
    assert entry.summary and f"--experiment={name}" in (FOLDER / f"{name}.py").read_text()
    assert re.search(r"\d", entry.measured) and "pending" not in entry.measured


@pytest.mark.parametrize("name", NAMES)
def test_every_flag_has_a_help(name):
    silent = [leaf.path for leaf in flags.leaves(load(name, FOLDER)) if not leaf.help]
    assert silent == []


REDUCED = {
    "mlp_digits": {"model.widths": (16,)},
    "lenet5_digits": {},
    "zipnet_digits": {},
    "char_lstm_python": {"model.cell.features": 16, "data.length": 8, "data.batch_size": 4},
    "adding": {"data.length": 5, "data.eval_size": 20},
    "permuted_mnist": {"data.name": "digits", "data.image_size": 4, "model.cell.features": 8},
    "one_to_many": {"model.cell.features": 8},
    "many_to_many": {"data.length": 6, "data.eval_size": 20, "task.k1": 2, "task.k2": 3},
    "seq_to_seq": {"data.greatest": 40, "data.eval_size": 10, "model.cell.features": 8},
}


@pytest.mark.parametrize("name", REDUCED)
def test_one_of_each_family_learns_a_little(name, tmp_path):
    experiment = load(name, FOLDER)
    changes = {"steps": 4, "eval_every": 1000, "log_every": 2, "data.batch_size": 16}
    if name.startswith("char"):
        experiment = flags.replace(experiment, {"data.path": __file__, "task.sample_length": 9})
    experiment = resolved(flags.replace(experiment, changes | REDUCED[name]))
    record = {"experiment": name, "config": {}, "facts": {}, "environment": {}}
    with contextlib.closing(Reporter(tmp_path, record)) as reporter:
        progress = loop.fit(experiment, tmp_path, Signals(), reporter)
    assert progress.evaluated == 4 and (tmp_path / "report.html").is_file()


def test_what_the_model_leaves_open_comes_from_the_data():
    experiment = load("lenet5_digits", FOLDER)
    assert experiment.model.num_classes is None
    assert resolve(experiment, {"num_classes": 7}).model.num_classes == 7
    fixed = dataclasses.replace(experiment, model=experiment.model.clone(num_classes=3))
    with pytest.raises(UserError, match="--model.num_classes=3, but the data has 7"):
        resolve(fixed, {"num_classes": 7})
    assert resolve(experiment, {}).model.num_classes is None
