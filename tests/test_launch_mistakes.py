"""A user's mistake is one line on standard error and exit code 2, before anything is written."""

import re
import subprocess
import sys

import pytest

from nets.cli.checks import check_vocabulary
from nets.errors import UserError
from tests.support.launching import ROOT, launch, main


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--experiment=lenet5_digit"], "no experiment 'lenet5_digit'. Did you mean lenet5_digits"),
        (["trian", "--experiment=mlp_digits"], "unknown command 'trian'"),
        ([], "--experiment=NAME is needed"),
        (["--experiment=mlp_digits", "--step=3"], "unknown flag --step. Did you mean --steps?"),
        (["--experiment=mlp_digits", "--learning_rate=1"], "mean --optimizer.learning_rate?"),
        (
            ["--experiment=mlp_digits", "--seed=-1"],
            "--seed must be at least 0 and at most",
        ),
        (["--experiment=mlp_digits", "--seed=0,2,0"], "--seed has 0 more than once: 0,2,0."),
        (["--experiment=mlp_digits", "--optimizer.learning_rat=3"], "optimizer.learning_rate"),
        (["--experiment=mlp_digits", "--steps=many"], "'many' is not an integer"),
        (
            ["--experiment=mlp_digits", "--steps=-5"],
            "at least 1 and at most 2147483647, got -5.",
        ),
        (["--experiment=mlp_digits", "--steps", "0"], "--steps must be at least 1 and"),
        (["--experiment=mlp_digits", "more"], "unexpected 'more'"),
        (
            ["--experiment=mlp_digits", "--data.batch_size=5000"],
            "--data.batch_size must be at most 1257",
        ),
        (
            ["--experiment=mlp_digits", "--accumulate=3"],
            "must divide over 1 devices x 3",
        ),
        (["--experiment=mlp_digits", "--monitor=f1"], "--monitor=f1 is no metric; there are"),
        (
            ["--experiment=mlp_digits", "--model.num_classes=7"],
            "--model.num_classes must be the data's, 10, or none to take that, got 7.",
        ),
        (
            ["--experiment=mlp_digits", "--steps=5", "--epochs=3"],
            "exactly one of steps and epochs must be given, got steps=5 and epochs=3.0.",
        ),
        (["--experiment=mlp_digits", "--epochs=0"], "--epochs must be above 0, got 0.0."),
        (["--experiment=mlp_digits", "--eval_every=soon"], "'soon' is not a number of steps (500)"),
        (
            ["--experiment=adding", "--epochs=3"],
            "--epochs needs train_examples in the metadata, which Adding has not: use steps.",
        ),
        (
            ["--experiment=char_lstm_python", "--optimizer.warmup=2epochs"],
            "--optimizer.warmup needs train_examples in the metadata, which Text has not",
        ),
        (
            ["--experiment=mlp_digits", "--average=ema", "--average.decay=2"],
            "--average.decay must be above 0 and below 1, got 2.0.",
        ),
        (
            ["--experiment=mlp_digits", "--optimizer.schedule=step"],
            "--optimizer.schedule.milestones must be given: ",
        ),
        (["--experiment=mlp_digits", "--average=mean"], "must be one of none, ema, polyak, ntasgd"),
        (["--experiment=mlp_digits", "--steps=3000000000"], "at most 2147483647, got 3000000000."),
        (["--experiment=mlp_digits", "--seed=0,4294967296"], "at most 4294967295, got 4294967296."),
        (["--experiment=mlp_digits", "--optimizer.learning_rate=nan"], "'nan' is not a finite"),
        (["--experiment=mlp_digits", "--debug_nans=maybe"], "'maybe' is not true or false"),
        (["--experiment=mlp_digits", "--model.widths=0"], "launch.py: the model"),
        (["--experiment=mlp_digits", "--model.widths=-3"], "the model does not take these"),
        (
            ["--experiment=lenet5_digits", "--model.activation=sum"],
            "'sum' is no function of jax.nn or",
        ),
        (
            ["--experiment=char_lstm_python", "--model.cell.features=0"],
            "cell.features must be at least 1, got 0",
        ),
        (["--experiment=char_lstm_python", "--model.embed=0"], "embedding would be empty: ["),
        (
            ["--experiment=mlp_digits", "--model.kernel_init=glorot"],
            "--model.kernel_init=glorot: 'glorot' is not one of zeros, small, xavier_uniform",
        ),
        (
            ["--experiment=mlp_digits", "--optimizer.rule=sdg"],
            "optimizer.rule must be one of sgd",
        ),
        (
            ["--experiment=mlp_digits", "--optimizer.rule=momentum", "--optimizer.rule.momentum=1"],
            "launch.py: --optimizer.rule.momentum must be at least 0 and below 1, got 1.0.",
        ),
        (
            ["--experiment=mlp_digits", "--optimizer.schedule=step"],
            "--optimizer.schedule.milestones must be given: --optimizer.schedule=step needs it.",
        ),
        (["--experiment=mlp_digits", "--optimizer.schedule.milestones=3"], "unknown flag"),
        (["--experiment=mlp_digits", "--init_from=nowhere"], "nowhere holds no intact checkpoint"),
        (["--experiment=lenet5_digits", "--data.image_size=20"], "got [64, 20, 20, 1]"),
        (["--experiment=lenet5_digits", "--data.path=none.npz"], "none.npz"),
        (["--experiment=lenet5_mnist", "--data.data_dir=nowhere"], "array_record"),
        (["--experiment=char_lstm_shakespeare", "--data.data_dir=nowhere"], "array_record"),
        (["--experiment=char_lstm_python", "--data.path=nowhere.txt"], "nowhere.txt"),
        (["--experiment=char_lstm_python", "--data.path={tiny}"], "batch_size="),
        (["--experiment=char_lstm_python", "--data.path={empty}"], "empty.txt has 0 characters"),
        (["eval", "--workdir=nowhere"], "there is no run in nowhere; name one by --workdir"),
        (["sample", "--workdir=nowhere"], "there is no run in nowhere"),
        (["--workdir=nowhere"], "there is no run in nowhere"),
        (["--experiment=lenet5_digits", "--data.path={tiny}"], "is neither an .npz file nor a fol"),
        (["sample", "--experiment=attention_dates"], "--prompt is needed: the sentence"),
        (["eval", "--experiment=mlp_digits", "--workdir=nowhere"], "nowhere holds no run"),
        (["sample", "--experiment=mlp_digits"], "nothing to sample"),
        (["--experiment=mlp_digits", "--workdir={tiny}"], "is a file; a directory is needed"),
        (["--experiment=mlp_digits", "--workdir={folder}"], "holds files that are not a run's"),
        (["show", "--experiment=mlp_digits", "--format=xml"], "not one of text, json"),
        (
            ["show", "--experiment=conv_scheme", "--model.padded=false", "--model.windows=9"],
            "takes images [B, H, W, C] of at least 28 x 28 pixels, not [64, 16, 16, 1]",
        ),
        (
            ["show", "--experiment=conv_scheme", "--model.windows=5,3,3"],
            "ConvScheme.windows must have one entry, or one for each of widths=(16, 32), got (5, 3",
        ),
        (
            ["show", "--experiment=matched_filter", "--model.window=0"],
            "window must be at least 1, got 0",
        ),
        (["show", "--experiment=word_lstm", "--data.path=no.txt"], "--data.path=no.txt cannot be"),
        (
            ["show", "--experiment=attention_multi30k", "--epochs=3"],
            "--data.source=train.de.gz cannot be read",
        ),
        (["--experiment=attention_multi30k"], "--data.source=train.de.gz cannot be read"),
        (["--experiment=attention_dates", "--task.beam=50"], "--task.beam must be at most 12"),
        (
            ["show", "--experiment=lenet5_digits", "--model.dropout=1"],
            "LeNet5.dropout must be in [0, 1)",
        ),
        (
            ["show", "--experiment=lenet5_digits", "--task.smoothing=2"],
            "--task.smoothing must be at least 0 and below 1, got 2.0.",
        ),
    ],
)
def test_a_mistake_is_one_clear_line(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    tiny = tmp_path / "full" / "tiny.txt"
    tiny.parent.mkdir()
    tiny.write_text("too short")
    empty = tiny.with_name("empty.txt")
    empty.touch()
    arguments = [a.format(tiny=tiny, empty=empty, folder=tiny.parent) for a in arguments]
    assert main(*arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1
    assert captured.err.startswith("launch.py: ")
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["empty.txt", "full", "tiny.txt"]


def test_what_is_known_without_its_files_is_shown(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main("show", "--experiment=attention_multi30k") == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("note: --data.source=train.de.gz cannot be read")
    assert re.search(r"^model.num_classes +4000$", captured.out, re.MULTILINE)


def test_a_mistake_leaves_with_2(tmp_path):
    out, err = launch("--experiment=lenet5_digit", cwd=tmp_path, code=2)
    assert out == "" and err.count("\n") == 1


@pytest.mark.parametrize("key", ["vocabulary", "input_symbols", "output_symbols"])
def test_parameters_are_for_the_symbols_that_they_were_trained_with(key):
    check_vocabulary({key: ["a", "b"]}, {key: ["a", "b"]}, "the run")
    with pytest.raises(UserError, match="of 2 symbols, is not that of the run, of 2: its ids"):
        check_vocabulary({key: ["a", "b"]}, {key: ["a", "c"]}, "the run")


def test_an_unknown_tag_is_named():
    message = (
        "the data's set of tags, of 3 symbols, is not that of the run, of 2: its ids would mean "
        "something else. New is 'B'."
    )
    with pytest.raises(UserError, match=f"^{message}$"):
        check_vocabulary({"tags": ["A", "B", "C"]}, {"tags": ["A", "C"]}, "the run")
    with pytest.raises(UserError, match="alphabet, of 1 symbols, .* mean something else.$"):
        check_vocabulary({"alphabet": ["a"]}, {"alphabet": ["a", "b"]}, "the run")


def test_without_what_it_needs_installed_it_says_so_and_still_lists(tmp_path):
    """As by a Python in whose environment nothing was installed."""
    bare = [sys.executable, "-S", str(ROOT / "launch.py")]
    listed = subprocess.run([*bare, "list"], cwd=tmp_path, capture_output=True, text=True)
    assert listed.returncode == 0 and "lenet5_digits" in listed.stdout
    mistake = subprocess.run([*bare, "show"], cwd=tmp_path, capture_output=True, text=True)
    assert mistake.returncode == 2 and mistake.stderr.count("\n") == 1
    assert "absl is not installed" in mistake.stderr and "pip install -e ." in mistake.stderr


def test_a_reader_that_has_enough_is_no_error(tmp_path):
    command = f"{sys.executable} {ROOT / 'launch.py'} list --long | head -n 1"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.startswith("attention_dates") and done.stderr == ""
