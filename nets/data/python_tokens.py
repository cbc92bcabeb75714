"""Lines of Python's standard library as sentences: its tokens, tagged by their role."""

import ast
import functools
import io
import keyword
import tokenize

from nets.data import corpora
from nets.data.column_files import Tagged

_SIZE = 30_000  # characters, at most, of a module that is read
_SHORTEST = 4  # tokens of a line
_MARKS = {tokenize.OP: "operator", tokenize.NUMBER: "number", tokenize.STRING: "string"}


@functools.cache
def sentences() -> dict[str, list[Tagged]]:
    """The logical lines of modules, by split: each module goes whole to one.

    Tags are keyword, operator, number and string, and of names what they are: function and class
    (where they are defined), parameter, argument (the name of one in a call), call (a function that
    is called), method (an attribute that is), attribute, module (imported, where it is imported),
    target (assigned to), and variable. What a name is shows in what follows it, often one token
    later: a bracket, a dot, an equals sign. Lines of fewer than 4 tokens are left out, and a line
    that occurs more than once is there once.
    """
    splits: dict[str, list[Tagged]] = {"train": [], "validation": [], "test": []}
    names = ("test", "validation", *["train"] * 8)
    texts = {name: text for name, text in corpora.modules().items() if 0 < len(text) <= _SIZE}
    unique: set[tuple[str, ...]] = set()
    for rank, name in enumerate(sorted(texts, key=lambda name: (-len(texts[name]), name))):
        for line in tagged(texts[name]):
            if line.words not in unique and len(line.words) >= _SHORTEST:
                unique.add(line.words)
                splits[names[rank % len(names)]].append(line)
    return splits


def tagged(source: str) -> list[Tagged]:
    """The logical lines of a source, in ASCII; comments are left out.

    >>> tagged("x = f(y.z, key=1)")[0].tags[:6]
    ('target', 'operator', 'call', 'operator', 'variable', 'operator')
    """
    roles, lines, line = _roles(ast.parse(source)), [], []
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type == tokenize.NEWLINE:
            if line:
                lines.append(Tagged(*zip(*line, strict=True)))
            line = []
        elif token.type == tokenize.NAME:
            line.append((token.string, _role(before, token, roles)))
        elif token.type in _MARKS:
            line.append((token.string, _MARKS[token.type]))
    return lines


def _role(before: tokenize.TokenInfo | None, token: tokenize.TokenInfo, roles: dict) -> str:
    """The kind of a name, by the syntax tree where it has its place, or the token before it."""
    if token.start in roles:
        return roles[token.start]
    if keyword.iskeyword(token.string):
        return "keyword"
    previous = before.string if before is not None else ""
    if previous in ("def", "class"):
        return "function" if previous == "def" else "class"
    if previous == "." and token.end in roles:
        return roles[token.end]
    return "module"


def _roles(tree: ast.Module) -> dict[tuple[int, int], str]:
    """Roles by the position of a name's first character, or of an attribute's end."""
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    roles = {}
    for node in ast.walk(tree):
        match node:
            case ast.Name():
                role = "call" if id(node) in called else "variable"
                stored = isinstance(node.ctx, ast.Store)
                roles[node.lineno, node.col_offset] = "target" if stored else role
            case ast.Attribute():
                role = "method" if id(node) in called else "attribute"
                roles[node.end_lineno, node.end_col_offset] = role
            case ast.arg():
                roles[node.lineno, node.col_offset] = "parameter"
            case ast.keyword(arg=str()):
                roles[node.lineno, node.col_offset] = "argument"
    return roles
