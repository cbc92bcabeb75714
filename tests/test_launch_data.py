"""A run on data other than its own: what it is normalised by, and which classes it has."""

import re

import numpy as np
import pytest
from PIL import Image

from nets.cli.resolve import as_trained
from nets.data.images import Images
from tests.support.launching import launch, main

RUN = ("--experiment=mlp_digits", "--steps=30", "--eval_every=30", "--data.path=own.npz")


def pictures(seed, n, brightness):
    """Images [n, 6, 6] of three classes, told by the row that is lit."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    images = rng.integers(0, brightness, (n, 6, 6), dtype=np.uint8)
    images[np.arange(n), labels] = 200
    return images, labels


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A folder with two sets that share their test images, and a run on the first."""
    folder = tmp_path_factory.mktemp("sets")
    x_test, y_test = pictures(0, 60, 150)
    for name, brightness in (("own", 150), ("dark", 10)):
        x, y = pictures(1, 90, brightness)
        np.savez(folder / f"{name}.npz", x_train=x, y_train=y, x_test=x_test, y_test=y_test)
    launch(*RUN, "--workdir=run", cwd=folder)
    return folder


def losses(out):
    return {m[1]: m[2] for m in re.finditer(r"(\w+): accuracy \S+  loss (\S+)", out)}


def test_other_data_is_normalised_as_the_run_was(room):
    own, _ = launch("eval", "--workdir=run", cwd=room)
    other, err = launch("eval", "--workdir=run", "--data.path=dark.npz", cwd=room)
    assert losses(own)["test"] == losses(other)["test"] and err == ""
    assert losses(own)["validation"] != losses(other)["validation"]  # that are darker


def test_the_statistics_of_a_run_fill_what_is_not_given(room):
    own, dark = (Images(path=str(room / f"{name}.npz"), batch_size=8) for name in ("own", "dark"))
    metadata, test = own.metadata(), own.evaluate("test")[0]["inputs"]
    assert not np.allclose(dark.evaluate("test")[0]["inputs"], test)
    np.testing.assert_array_equal(as_trained(dark, metadata).evaluate("test")[0]["inputs"], test)
    given = Images(path=dark.path, batch_size=8, mean=(0.5,), std=(0.25,))
    assert as_trained(given, metadata) == given
    pixels = np.load(room / "dark.npz")["x_test"]
    want = (pixels[..., None] / 255 - 0.5) / 0.25
    np.testing.assert_allclose(given.evaluate("test")[0]["inputs"][:60], want, atol=1e-5)


def test_a_table_of_ones_own_is_learned_and_another_is_read_as_it_was(tmp_path, capsys):
    """The target is the sum of both columns; in the larger table all is ten times as large."""
    rng = np.random.default_rng(0)
    for name, columns, scale in (("own", "ab", 1), ("large", "ab", 10), ("other", "ac", 1)):
        x = scale * rng.normal(5, 2, (200, 2))
        lines = [f"{p},{q},{p + q}" for p, q in x]
        text = "\n".join([",".join([*columns, "sum"]), *lines])
        (tmp_path / f"{name}.csv").write_text(text)
    run = f"--workdir={tmp_path / 'run'}"
    path = f"--data.path={tmp_path}/{{}}.csv".format
    arguments = ["--experiment=regression_diabetes", path("own"), "--data.target=sum", run]
    assert main(*arguments, "--steps=300", "--eval_every=300") == 0
    assert main("eval", run, path("large")) == 0
    found = re.findall(r"test: .* rmse (\S+)  r2 (\S+)", capsys.readouterr().out)
    assert np.array(found[-2:], float) == pytest.approx(np.array([[0, 1], [0, 1]]), abs=0.01)
    assert main("eval", run, path("other")) == 2
    assert "the data's inputs are a, c, those of the run a, b." in capsys.readouterr().err
    assert main(*arguments[:2], "--data.target=total") == 2
    assert "--data.target must be of the columns of" in capsys.readouterr().err


@pytest.mark.slow
def test_classes_of_other_names_are_told_and_of_another_number_refused(room, tmp_path):
    for classes in (("ant", "bee", "cat"), ("ant", "bee")):
        folder = tmp_path / "".join(classes)
        for split in ("train", "test"):
            for name in classes:
                (folder / split / name).mkdir(parents=True)
                for k in range(9):
                    pixels = np.full((6, 6), 20 * k, np.uint8)
                    Image.fromarray(pixels).save(folder / split / name / f"{k}.png")
    arguments = ("eval", "--workdir=run", f"--data.path={tmp_path}/antbeecat")
    _, err = launch(*arguments, cwd=room)
    assert "warning: the data's classes are ant, bee, cat, those of the run 0, 1, 2: they" in err
    _, err = launch(*arguments[:2], f"--data.path={tmp_path}/antbee", cwd=room, code=2)
    assert "the data has 2 classes (ant, bee), the run 3 (0, 1, 2)." in err
    plain = [*RUN[:-1], f"--data.path={tmp_path}/antbeecat/train", "--data.validation=0"]
    out, _ = launch(*plain, "--data.batch_size=8", "--workdir=blind", cwd=room)
    assert "not evaluated  the data has no validation and no test split" in out
    assert "best step" not in out and "launch.py eval" not in out
    _, err = launch("eval", "--workdir=blind", cwd=room, code=2)
    assert "no validation and no test split: nothing to evaluate" in err
