"""`launch.py predict` of a detector and of a segmenter: photographs of other sizes than trained."""

import json

import jax
import numpy as np
import pytest
from PIL import Image

from nets.cli import runs
from tests.support.detection_files import COLOURS, write_voc
from tests.support.launching import launch, main
from tests.support.pictures import pixels
from tests.support.segmentation_sets import write_folder

SIZES = {"wide": (96, 128), "tall": (100, 60), "small": (20, 24)}
"""By name the height and width of a photograph; 64 x 64 and 48 x 64 pixels are trained on."""

COMMON = ("--steps=8", "--eval_every=8", "--save_every=8", "--optimizer.warmup=2")
DETECTOR = (
    "--experiment=yolo_blood_cells", "--workdir=detector", "--data.path=voc", "--model.form=small",
    f"--data.classes={','.join(COLOURS)}", "--data.image_size=64,64", "--data.batch_size=2",
    "--data.eval_batch_size=1", "--data.max_boxes=4", "--model.min_score=0.0",
)  # fmt: skip
SEGMENTER = (
    "--experiment=unet_camvid", "--workdir=segmenter", "--data.path=masks", "--model.widths=4,8",
    "--data.classes=ground,thing,other", "--data.void=255", "--data.image_size=48,64",
    "--data.crop=none", "--data.batch_size=2", "--data.eval_batch_size=2",
)  # fmt: skip


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A directory with a run of each, and a folder of photographs: noise, and coloured boxes."""
    folder = tmp_path_factory.mktemp("predict")
    write_voc(folder / "voc")
    write_folder(folder / "masks", size=(48, 64))
    rng = np.random.default_rng(0)
    (folder / "photos").mkdir()
    for name, (height, width) in SIZES.items():
        photo = rng.integers(0, 60, (height, width, 3), dtype=np.uint8)
        photo[height // 5 : height // 2, width // 5 : width // 2] = COLOURS["cat"]
        photo[height // 2 : -height // 8, width // 2 : -width // 8] = COLOURS["dog"]
        Image.fromarray(photo).save(folder / "photos" / f"{name}.png")
    (folder / "photos" / "notes.txt").write_text("no image")
    launch(*DETECTOR, *COMMON, cwd=folder)
    launch(*SEGMENTER, *COMMON, cwd=folder)
    return folder


def fitted(path, size, background=128):
    """A photograph in an image of that size at the upper left, and by how much it is smaller."""
    photo = Image.open(path)
    scale = min(size[0] / photo.height, size[1] / photo.width)
    width, height = round(photo.width * scale), round(photo.height * scale)
    resized = np.asarray(photo.resize((width, height), Image.Resampling.BILINEAR), np.float32)
    image = np.full((*size, 3), background, np.float32)
    image[:height, :width] = resized
    return image, (height / photo.height, width / photo.width)


def compiled(folder, workdir, method):
    """What the run's model makes of an image of pixels 0 to 255, by the run's own metadata."""
    run = runs.load(folder / workdir)
    mean, std = (np.float32(run.metadata[name]) for name in ("mean", "std"))
    variables = {"params": run.params, **run.model_state}
    options = {"train": False} if method == "__call__" else {}
    apply = jax.jit(lambda x: run.model.apply(variables, x, method=method, **options))
    return lambda image: apply(np.float32((image / 255 - mean) / std)[None])


def test_a_detector_names_and_places_the_objects_of_a_folder(room):
    out, err = launch("predict", "--workdir=detector", "--input=photos", cwd=room)
    *lines, last = out.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [f"photos/{n}.png" for n in sorted(SIZES)]
    assert last == "pictures and JSON  detector/predictions" and err == ""
    written = {path.name for path in (room / "detector" / "predictions").iterdir()}
    assert written == {f"{name}.{kind}" for name in SIZES for kind in ("png", "json")}
    detect = compiled(room, "detector", "detect")
    for name, (height, width) in SIZES.items():
        assert pixels(room / "detector" / "predictions" / f"{name}.png").std() > 10
        values = json.loads((room / "detector" / "predictions" / f"{name}.json").read_text())
        assert (values["height"], values["width"], values["step"]) == (height, width, 8)
        assert values["input"] == f"photos/{name}.png" and values["files"] == [f"{name}.png"]
        image, (down, across) = fitted(room / "photos" / f"{name}.png", (64, 64))
        expected = detect(image)
        count = int((expected.classes[0] >= 0).sum())
        rows = values["objects"]
        assert len(rows) == count > 0
        classes = expected.classes[0, :count].tolist()
        assert [(row["id"], row["class"]) for row in rows] == [(k, [*COLOURS][k]) for k in classes]
        np.testing.assert_allclose(
            [r["score"] for r in rows], expected.scores[0, :count], atol=1e-4
        )
        boxes = np.array([row["box"] for row in rows])
        limits = np.array([width, height] * 2)
        assert (boxes >= 0).all() and (boxes <= limits).all()
        assert (boxes[:, :2] <= boxes[:, 2:]).all()
        theirs = np.asarray(expected.boxes[0, :count]) / [across, down, across, down]
        np.testing.assert_allclose(boxes, np.clip(theirs, 0, limits), atol=0.05)


def test_a_segmenter_names_every_pixel_of_a_folder(room, capsys):
    output, photos = room / "out", room / "photos"
    run = f"--workdir={room / 'segmenter'}"
    assert main("predict", run, f"--input={photos}", f"--output={output}") == 0
    lines = capsys.readouterr().out.splitlines()
    kinds = (".json", ".png", "_mask.png")
    assert {p.name for p in output.iterdir()} == {
        f"{name}{kind}" for name in SIZES for kind in kinds
    }
    logits = compiled(room, "segmenter", "__call__")
    for name, (height, width) in SIZES.items():
        assert pixels(output / f"{name}.png").std() > 10
        values = json.loads((output / f"{name}.json").read_text())
        assert (values["height"], values["width"]) == (height, width)
        assert values["files"] == [f"{name}.png", f"{name}_mask.png"]
        image, scales = fitted(photos / f"{name}.png", (48, 64))
        classes = np.asarray(logits(image))[0].argmax(-1)
        rows, columns = (
            ((np.arange(n) + 0.5) * s).astype(int)
            for n, s in zip((height, width), scales, strict=True)
        )
        mask = Image.open(output / f"{name}_mask.png")
        assert mask.mode == "P" and mask.size == (width, height)
        ids = np.asarray(mask)
        assert (ids == classes[rows][:, columns]).mean() > 0.99
        names = ("ground", "thing", "other")
        shares = {row["class"]: row["share"] for row in values["classes"]}
        counts = {names[k]: np.mean(ids == k) for k in np.unique(ids)}
        assert shares == pytest.approx(counts, abs=1e-6)
        assert [row["share"] for row in values["classes"]] == sorted(shares.values(), reverse=True)
        line = next(line for line in lines if line.startswith(f"{photos / name}.png: "))
        best, share = next(iter(shares.items()))
        assert line.partition(": ")[2].startswith(f"{best} {share:.1%}")
