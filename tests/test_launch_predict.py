"""`launch.py predict`: files of one's own through a trained run, and mistakes."""

import json

import numpy as np
import pytest
from PIL import Image

from nets.cli import runs
from nets.data.images import Images
from tests.support.launching import SMALL, launch, main
from tests.support.pictures import pixels


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A directory with a finished run on digits, and a folder of images."""
    folder = tmp_path_factory.mktemp("predict")
    out, _ = launch(*SMALL, "--workdir=run", cwd=folder)
    assert "apply it       python launch.py predict --workdir=run --input=FILE" in out
    stored = Images(name="digits", normalise="unit").evaluate("test")[0]["inputs"][:3, ..., 0]
    digits = (stored * 255).round().astype(np.uint8)
    photos = folder / "photos"
    photos.mkdir()
    Image.fromarray(digits[0]).save(photos / "b.png")
    Image.fromarray(digits[1]).save(photos / "a.png")
    Image.fromarray(digits[2]).resize((300, 300)).save(photos / "a.bmp")
    Image.new("RGB", (40, 500), (10, 200, 30)).save(photos / "tall.JPG")
    (photos / "notes.txt").write_text("no image")
    return folder


def test_a_folder_of_images_becomes_pictures_and_json(room):
    out, err = launch("predict", "--workdir=run", "--input=photos", cwd=room)
    *lines, last = out.splitlines()
    names = ["a.bmp", "a.png", "b.png", "tall.JPG"]
    assert [line.partition(": ")[0] for line in lines] == [f"photos/{name}" for name in names]
    assert last == "pictures and JSON  run/predictions" and err == ""
    written = {path.name for path in (room / "run" / "predictions").iterdir()}
    stems = ("a.bmp", "a.png", "b", "tall")  # whole names, where stems are the same
    assert written == {f"{stem}.{kind}" for stem in stems for kind in ("png", "json")}
    for stem in stems:
        assert pixels(room / "run" / "predictions" / f"{stem}.png").std() > 10


def test_the_classes_are_those_of_the_model(room, capsys):
    """By numpy from the logits of the loaded model; the same file by PIL alone."""
    one = room / "photos" / "b.png"
    out = room / "out" / "deep"
    arguments = (f"--workdir={room / 'run'}", f"--input={one}", f"--output={out}")
    assert main("predict", *arguments, "--checkpoint=latest") == 0
    line = capsys.readouterr().out.splitlines()[0]
    values = json.loads((out / "b.json").read_text())
    run = runs.load(room / "run", checkpoint="latest")
    image = Image.open(one).resize((28, 28), Image.Resampling.BILINEAR)
    shades = np.asarray(image, np.float32)[None, ..., None] / 255
    inputs = (shades - run.metadata["mean"][0]) / run.metadata["std"][0]
    variables = {"params": run.params, **run.model_state}
    logits = np.float64(run.model.apply(variables, np.float32(inputs), train=False)[0])
    shares = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    best = np.argsort(-shares)[:5]
    assert [row["id"] for row in values["top"]] == best.tolist()
    assert [row["class"] for row in values["top"]] == [str(k) for k in best]
    found = [row["score"] for row in values["top"]]
    np.testing.assert_allclose(found, shares[best], rtol=1e-4)
    assert values["score"] == "probability" and values["step"] == 60
    assert values["input"] == str(one)
    assert line == f"{one}: " + "  ".join(f"{k} {shares[k]:.3f}" for k in best)


def test_one_that_cannot_be_read_is_left_out(room, tmp_path, capsys):
    (tmp_path / "broken.png").write_text("no image")
    Image.new("L", (9, 9)).save(tmp_path / "whole.png")
    run, output = f"--workdir={room / 'run'}", f"--output={tmp_path / 'out'}"
    assert main("predict", run, f"--input={tmp_path}", output) == 2
    out, err = capsys.readouterr()
    assert err.count("\n") == 1 and "warning: " in err and "broken.png cannot be read as" in err
    assert out.count("\n") == 2 and "whole.png: " in out
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"whole.png", "whole.json"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workdir={run}"], "--input is needed: a file, or a folder of files."),
        (
            ["--workdir={run}", "--prompt=a"],
            "--prompt=a: this run reads no text, but files",
        ),
        (["--workdir={run}", "--input=no.png"], "--input=no.png: no such file or folder."),
        (["--workdir={run}", "--input={notes}"], "notes.txt cannot be read as an image: "),
        (["--workdir={run}", "--input={empty}"], "has no files to predict for (.png .jpg"),
        (["--workdir={run}", "--input={photos}", "--output={photos}"], "is the folder of the inpu"),
        (["--workdir={run}", "--input={photos}", "--output={notes}"], "is a file; a folder is nee"),
        (["--workdir=nowhere", "--input={photos}"], "there is no run in nowhere; name one by"),
        (["--experiment=mlp_digits", "--input={photos}"], "runs/mlp_digits holds no run"),
        (["--workdir={run}", "--input={photos}", "--checkpoint=7"], "--checkpoint must be one of"),
        (["--experiment=adding", "--input={photos}"], "adding has nothing to predict for files"),
        (["--experiment=char_lstm_python", "--prompt=a"], "one's own; `sample` generates from it."),
        (["--workdir={run}", "--inptu={photos}"], "Did you mean --input?"),
    ],
)
def test_a_mistake_is_one_clear_line(arguments, message, room, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    photos = room / "photos"
    places = {"run": room / "run", "photos": photos, "notes": photos / "notes.txt"}
    arguments = [a.format(empty=tmp_path / "empty", **places) for a in arguments]
    assert main("predict", *arguments) == 2
    out, err = capsys.readouterr()
    assert message in err and err.count("\n") == 1 and err.startswith("launch.py: ") and out == ""
    assert [p.name for p in tmp_path.rglob("*")] == ["empty"]
