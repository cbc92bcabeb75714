"""The roles of Python's tokens, by hand."""

from nets.data import python_tokens

SOURCE = """import os.path as p
from .sys import argv

class A(Base):
    @wrap
    def f(self, x, *rest, key=None) -> int:
        "Not a line of four tokens."
        self.y.z = g(x.size, key=len(rest))  # a comment
        return [a for a in x if a.is_good(
            3)]
"""


def roles(line):
    return " ".join(f"{word}/{tag}" for word, tag in zip(line.words, line.tags, strict=True))


def test_every_role_by_hand():
    lines = list(map(roles, python_tokens.tagged(SOURCE)))
    assert lines[0] == "import/keyword os/module ./operator path/module as/keyword p/module"
    assert lines[1] == "from/keyword ./operator sys/module import/keyword argv/module"
    assert lines[2] == "class/keyword A/class (/operator Base/variable )/operator :/operator"
    assert lines[3] == "@/operator wrap/variable"
    assert lines[4] == (
        "def/keyword f/function (/operator self/parameter ,/operator x/parameter ,/operator "
        "*/operator rest/parameter ,/operator key/parameter =/operator None/keyword )/operator "
        "->/operator int/variable :/operator"
    )
    assert lines[6] == (
        "self/variable ./operator y/attribute ./operator z/attribute =/operator g/call "
        "(/operator x/variable ./operator size/attribute ,/operator key/argument =/operator "
        "len/call (/operator rest/variable )/operator )/operator"
    )
    assert lines[7] == (
        "return/keyword [/operator a/variable for/keyword a/target in/keyword x/variable "
        "if/keyword a/variable ./operator is_good/method (/operator 3/number )/operator ]/operator"
    )
    assert len(lines) == 8 and lines[5].endswith("/string")


def test_modules_of_one_split_are_in_no_other(monkeypatch):
    texts = {f"{k:02}.py": f"name_{k} = call(1)\nx = y + z\n" + "#" * k for k in range(30)}
    texts |= {"long.py": "a = b + c\n" * 10_000, "none.py": ""}
    monkeypatch.setattr(python_tokens.corpora, "modules", lambda: texts)
    python_tokens.sentences.cache_clear()
    splits = python_tokens.sentences()
    python_tokens.sentences.cache_clear()
    names = {k: {s.words[0] for s in rows if s.words[0] != "x"} for k, rows in splits.items()}
    assert {k: len(v) for k, v in names.items()} == {"train": 24, "validation": 3, "test": 3}
    assert len(set.union(*names.values())) == 30
    assert sum(s.words[0] == "x" for rows in splits.values() for s in rows) == 1
