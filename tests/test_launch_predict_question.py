"""`launch.py predict` of a task that needs an image and a question, and mistakes."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.support.launching import launch, main
from tests.support.pictures import pixels

TINY = (
    "--experiment=vqa_shapes", "--steps=2", "--eval_every=2", "--save_every=2",
    "--data.batch_size=4", "--data.eval_size=8", "--data.eval_batch_size=4",
    "--optimizer.warmup=1", "--model.features=8", "--model.embedding=4", "--model.attention=4",
    "--model.hidden=8", "--model.backbone.widths=2,2,2,2",
)  # fmt: skip


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A directory with a finished run, and a folder of two images."""
    folder = tmp_path_factory.mktemp("ask")
    out, _ = launch(*TINY, "--workdir=run", cwd=folder)
    assert "predict --workdir=run --input=FILE --prompt='...'" in out
    (folder / "photos").mkdir()
    for name, level in (("a", 40), ("b", 200)):
        Image.fromarray(np.full((64, 64, 3), level, np.uint8)).save(folder / f"photos/{name}.png")
    return folder


def test_every_image_is_asked(room, capsys):
    folder = room / "answers"
    question = "Is there a small red circle?"
    where = (f"--workdir={room / 'run'}", f"--input={room / 'photos'}", f"--output={folder}")
    assert main("predict", *where, f"--prompt={question}") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and lines[0].startswith(f"{room / 'photos' / 'a.png'}: ")
    values = json.loads((folder / "b.json").read_text())
    assert values["prompt"] == question and values["question"] == "is there a small red circle?"
    assert values["files"] == ["b.png", "b_attention.png"]
    shares = [row["probability"] for row in values["top"]]
    assert values["answer"] == values["top"][0]["answer"] and shares == sorted(shares)[::-1]
    assert pixels(folder / "b_attention.png").std() > 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--input={one}"], "--prompt is needed: the question about the input."),
        (["--prompt=is it"], "--input is needed: an image, or a folder of images, to ask about."),
        ([], "--input is needed: an image"),
        (["--input={one}", "--prompt=Is it a purple zebra?"], "has it, purple, zebra, not among"),
        (["--input={photos}", "--prompt=a purple zebra"], "has purple, zebra, not among"),
        (["--input={one}", "--prompt=?"], "--prompt must have from 1 to 16 words, got 0"),
    ],
)
def test_a_mistake_is_one_clear_line(arguments, message, room, capsys):
    photos = room / "photos"
    arguments = [a.format(one=photos / "a.png", photos=photos) for a in arguments]
    assert main("predict", f"--workdir={room / 'run'}", *arguments) == 2
    out, err = capsys.readouterr()
    assert message in err and err.count("\n") == 1 and err.startswith("launch.py: ") and out == ""
