"""`launch.py sample` of drawings and of music: files in the work directory, and mistakes."""

import pytest

from tests.support.launching import launch, main

COMMON = ("--steps=2", "--eval_every=5", "--optimizer.warmup=1", "--data.batch_size=4")
WRITER = (
    "--experiment=handwriting_letters", *COMMON, "--model.cell.features=6", "--model.layers=2",
    "--model.mixtures=2", "--data.size=20", "--data.widths=", "--task.length=9",
    "--task.samples=1", "--task.biases=0,1", "--data.eval_batch_size=500",
)  # fmt: skip
MUSIC = (
    "--experiment=music_canon", *COMMON, "--model.cell.features=6", "--data.length=20",
    "--task.length=9", "--task.samples=1",
)  # fmt: skip


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample")
    out, _ = launch(*WRITER, "--workdir=writer", cwd=folder)
    assert "sample it               python launch.py sample --workdir=writer --prompt='...'" in out
    return folder


def test_a_text_is_written_as_png_and_svg(room, capsys):
    assert main("sample", f"--workdir={room / 'writer'}", "--prompt=hi you", "--length=12") == 0
    samples = room / "writer" / "samples"
    assert f"{samples / 'sample.png'}\n2 drawings, of " in capsys.readouterr().out
    assert (samples / "sample.svg").read_text().startswith("<svg ")
    assert (samples / "sample.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--prompt is needed: the text to write"),
        (("--prompt=",), "--prompt must have symbols, got ''"),
        (("--prompt=HI",), "'HI' has 'HI', which the vocabulary lacks"),
        (("--prompt=hi", "--top_k=3"), "--top_k is for language models"),
    ],
)
def test_what_cannot_be_written_is_refused(room, capsys, arguments, message):
    assert main("sample", f"--workdir={room / 'writer'}", *arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_music_is_written_as_midi_and_has_no_prompt(tmp_path, capsys):
    pytest.importorskip("mido")
    out, _ = launch(*MUSIC, "--workdir=music", cwd=tmp_path)
    assert "python launch.py sample --workdir=music\n" in out
    folder = tmp_path / "music"
    assert main("sample", f"--workdir={folder}", "--length=12") == 0
    assert (folder / "samples" / "music_0.mid").read_bytes()[:4] == b"MThd"
    assert (folder / "samples" / "sample_0.png").stat().st_size > 1000
    assert "1 pieces of 12 frames, 4 a beat" in capsys.readouterr().out
    assert main("sample", f"--workdir={folder}", "--prompt=la") == 2
    assert "--prompt is for models of text, got 'la'" in capsys.readouterr().err
