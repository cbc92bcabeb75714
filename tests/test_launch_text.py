"""`launch.py` on sentences: trained from files, applied to a sentence, and mistakes."""

import json

import pytest

from tests.support.launching import launch, main

SENTENCES = ("a good film", "a very good film indeed", "a bad film", "a very bad film that is bad")
TAGGED = "The D\ngood A\nfilm N\n\nA D\nbad A\nfilm N\n\n"


COMMON = (
    "--steps=30", "--eval_every=15", "--optimizer.warmup=1", "--data.batch_size=8",
    "--data.max_length=8", "--data.widths=5", "--data.eval_batch_size=8", "--model.cell.features=8",
    "--model.embedding=8", "--model.dropout=0.1",
)  # fmt: skip


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A directory with a short run on sentences, and a file of tagged words."""
    folder = tmp_path_factory.mktemp("sentences")
    lines = [f"{'neg' if 'bad' in s else 'pos'}\t{s}\n" for s in SENTENCES]
    (folder / "films.tsv").write_text("".join(lines * 30))
    (folder / "words.txt").write_text(TAGGED * 20)
    out, _ = launch("--experiment=sentiment_polarity", "--data.path=films.tsv", "--workdir=run",
                    "--model.pooling=attention", *COMMON, cwd=folder)  # fmt: skip
    assert "apply it       python launch.py predict --workdir=run --prompt='...'" in out
    assert out.index("step 15  ") < out.index("compiled for 2 shapes of training batches")
    return folder


def test_a_sentence_becomes_classes_with_probabilities(room, capsys):
    out = room / "out"
    arguments = (f"--workdir={room / 'run'}", "--prompt=A bad film!", f"--output={out}")
    assert main("predict", *arguments) == 0
    line, last = capsys.readouterr().out.splitlines()
    values = json.loads((out / "prompt.json").read_text())
    assert values["prompt"] == "A bad film!" and values["words"] == ["a", "bad", "film", "!"]
    assert sum(row["probability"] for row in values["top"]) == pytest.approx(1)
    assert sum(values["weights"]) == pytest.approx(1)
    assert line == "  ".join(f"{row['class']} {row['probability']:.3f}" for row in values["top"])
    assert last == f"pictures and JSON  {out}"
    names = {"prompt.png", "prompt_words.png", "prompt_words.html", "prompt.json"}
    assert {path.name for path in out.iterdir()} == names


@pytest.mark.slow
def test_a_sentence_becomes_tags(room, capsys):
    words = f"--data.path={room / 'words.txt'}"
    launch("--experiment=tagging_ud", words, "--workdir=tagged", "--epochs=none",
           "--optimizer.learning_rate=0.02", *COMMON, cwd=room)  # fmt: skip
    arguments = (f"--workdir={room / 'tagged'}", "--prompt=The good film", f"--output={room / 'o'}")
    assert main("predict", *arguments) == 0
    assert capsys.readouterr().out.splitlines()[0] == "The/D good/A film/N"
    values = json.loads((room / "o" / "prompt.json").read_text())
    assert [row["tag"] for row in values["words"]] == ["D", "A", "N"]
    (room / "odd.txt").write_text("film B\n\n")
    odd = f"--data.test_path={room / 'odd.txt'}"
    assert main("eval", f"--workdir={room / 'tagged'}", odd) == 2
    assert "set of tags, of 4 symbols, is not that of the run, of 3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "--workdir={run}", "--prompt=a b c d e f g h i"],
         "--prompt must have from 1 to max_length=8 words, got 9."),
        (["predict", "--workdir={run}", "--prompt= "], "must have from 1 to max_length=8 words"),
        (["predict", "--workdir={run}", "--prompt=a", "--input=b"],
         "--input=b: this run reads no files, but a text by --prompt."),
        (["predict", "--workdir={run}"], "--prompt is needed: a text like those that the run has"),
        (["--experiment=sentiment_polarity"], "--data.path is needed: a file with a class and a"),
        (["--experiment=tagging_ud"], "--data.path is needed: a file of words and their tags"),
        (["--experiment=sentiment_polarity", "--data.path={run}/../words.txt"],
         "line 1 must be two columns with a tab between them, a class and a sentence; it has 1."),
        (["--experiment=chunking_conll2000", "--data.path={run}/../films.tsv",
          "--data.tag_column=5"], "line 1 has 2 columns, from 0, and tag_column is 5."),
    ],
)  # fmt: skip
def test_a_mistake_is_one_clear_line(arguments, message, room, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(*(a.format(run=room / "run") for a in arguments)) == 2
    out, err = capsys.readouterr()
    assert message in err and err.count("\n") == 1 and err.startswith("launch.py: ") and out == ""
