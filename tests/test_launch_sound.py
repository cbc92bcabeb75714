"""Sounds of one's own through trained runs, and the mistakes that are one line."""

import json

import numpy as np
import pytest
from scipy.io import wavfile

from tests.support.launching import launch, main
from tests.support.sounds import tone

TINY = (
    "--steps=2", "--eval_every=5", "--log_every=2", "--optimizer.warmup=1", "--data.batch_size=4",
)  # fmt: skip
RUNS = {
    "enhance_tones": (
        "--model.network.cell.features=8", "--data.duration=0.2", "--data.eval_size=2",
    ),
    "transcribe_tones": (
        "--model.cell.features=8", "--data.seconds=0.9", "--data.eval_size=4",
        "--data.eval_batch_size=4",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A directory with a run that enhances and one that transcribes, and sounds of all kinds."""
    folder = tmp_path_factory.mktemp("sounds")
    for name, options in RUNS.items():
        launch(f"--experiment={name}", *TINY, *options, f"--workdir={name}", cwd=folder)
    sounds = folder / "sounds"
    sounds.mkdir()
    wavfile.write(sounds / "good.wav", 8000, tone(600, 0.7))
    wavfile.write(folder / "fast.wav", 44100, tone(600, 0.7, 44100))
    wavfile.write(folder / "stereo.wav", 8000, np.stack([tone(600)] * 2, 1))
    wavfile.write(folder / "empty.wav", 8000, np.zeros(0, np.int16))
    (folder / "text.wav").write_text("a text that is no sound, whatever its name may say of it")
    return folder


def test_a_sound_is_enhanced(room, capsys):
    out = room / "enhanced"
    run, file = f"--workdir={room / 'enhance_tones'}", room / "sounds" / "good.wav"
    assert main("predict", run, f"--input={file}", f"--output={out}") == 0
    assert "good.wav: enhanced; " in capsys.readouterr().out
    names = {"good.png", "good.json", "good_enhanced.wav", "good_removed.wav"}
    assert {path.name for path in out.iterdir()} == names
    rate, before = wavfile.read(file)
    parts = [wavfile.read(out / f"good_{part}.wav") for part in ("enhanced", "removed")]
    assert all(part[0] == rate for part in parts)
    np.testing.assert_allclose(sum(part[1].astype(int) for part in parts), before, atol=3)


def test_a_folder_of_sounds_is_transcribed(room, capsys):
    out = room / "read"
    run = f"--workdir={room / 'transcribe_tones'}"
    assert main("predict", run, f"--input={room / 'sounds'}", f"--output={out}") == 0
    values = json.loads((out / "good.json").read_text())
    assert {*values["text"]} <= {*"0123456789"} and values["seconds"] == 0.7
    assert len(values["words"]) == len(values["text"]) and len(values["beam"]) == 3
    line = capsys.readouterr().out.splitlines()[0]
    assert line.endswith(f"good.wav: {values['text'] or '(nothing)'}")


def test_the_page_of_a_run_plays_its_sounds(room):
    page = (room / "enhance_tones" / "report.html").read_text()
    assert page.count("<audio controls") == 9  # noisy, enhanced, clean at three ratios
    assert {f"sound_{snr}db_{part}.wav" for snr in (-5, 0, 5) for part in ("noisy", "clean")} < {
        path.name for path in (room / "enhance_tones" / "pictures").iterdir()
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--input=fast.wav"],
            "fast.wav has 44100 samples per second, not 8000; set resample=true",
        ),
        (["--input=stereo.wav"], "stereo.wav has 2 channels; mono is needed."),
        (["--input=empty.wav"], "empty.wav is empty: it has no samples."),
        (["--input=text.wav"], "text.wav cannot be read as WAV: "),
    ],
)
def test_a_mistake_is_one_clear_line(arguments, message, room, monkeypatch, capsys):
    monkeypatch.chdir(room)
    assert main("predict", "--workdir=transcribe_tones", *arguments) == 2
    out, err = capsys.readouterr()
    assert message in err and err.count("\n") == 1 and err.startswith("launch.py: ") and out == ""


@pytest.mark.parametrize(
    ("experiment", "flags", "message"),
    [
        ("transcribe_tones", ["--data.path=nowhere"], "--data.path=nowhere cannot be used: "),
        ("enhance_tones", ["--data.noise=nowhere"], "--data.noise=nowhere cannot be used: "),
        ("spoken_tones", ["--data.held_out_speaker=eve"], "--data.held_out_speaker must be one of"),
        ("spoken_tones", ["--data.labels=0,1"], "--data.labels must have all of the recordings'"),
        ("enhance_tones", ["--model.hop=100"], "hop must divide the window of 256 samples"),
        ("transcribe_tones", ["--data.words=3,1"], "--data.words must rise from at least 1"),
    ],
)
def test_a_run_that_cannot_be_is_refused(experiment, flags, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(f"--experiment={experiment}", *flags) == 2
    out, err = capsys.readouterr()
    assert message in err and err.count("\n") == 1 and out == "" and not [*tmp_path.iterdir()]
