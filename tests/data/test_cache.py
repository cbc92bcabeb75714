"""The cache of decoded arrays: used, renewed, and never trusted when damaged."""

import shutil

import numpy as np
from PIL import Image

from nets.data import cache
from nets.data.images import Images
from tests.support.image_sets import forget, write_folder


def test_a_second_start_decodes_nothing(tmp_path, cache_dir, monkeypatch):
    write_folder(tmp_path / "pets")
    data = Images(path=str(tmp_path / "pets"), batch_size=8)
    before, digest = data.train(0)[0], data.metadata()["digest"]
    (entry,) = cache_dir.glob("pets-*.npz")
    forget()
    convert, decoded = Image.Image.convert, []
    monkeypatch.setattr(Image.Image, "convert", lambda *a: decoded.append(1) or convert(*a))
    assert np.array_equal(data.train(0)[0]["inputs"], before["inputs"])
    assert data.metadata()["digest"] == digest and not decoded
    # a changed file, and a damaged entry, are read anew
    changed = tmp_path / "pets" / "test" / "dog" / "1.png"
    stat = changed.stat()
    content = changed.read_bytes()
    shutil.copyfile(changed.with_name("2.png"), changed)
    changed.write_bytes(changed.read_bytes()[: len(content)].ljust(len(content), b"\0"))
    assert changed.stat().st_size == stat.st_size
    forget()
    assert data.metadata()["digest"] != digest
    assert decoded and len(list(cache_dir.glob("pets-*.npz"))) == 2
    assert not list(cache_dir.glob("*.tmp"))
    assert entry.exists()


def test_a_damaged_entry_is_made_again(cache_dir, monkeypatch):
    given = {"a": np.arange(300, dtype=np.uint8), "b": np.array("words")}
    calls = []

    def make():
        calls.append(1)
        return given

    def same(found):
        return found.keys() == given.keys() and all(
            np.array_equal(found[k], given[k]) for k in given
        )

    assert same(cache.arrays("x/y:1", "s", make)) and same(cache.arrays("x/y:1", "s", make))
    assert len(calls) == 1
    path = cache.entry("x/y:1", "s")
    content = path.read_bytes()
    for place in range(0, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 8]) + content[place + 1 :])
        assert same(cache.arrays("x/y:1", "s", make)), place
    for end in (0, 10, len(content) - 1):
        path.write_bytes(content[:end])
        calls.clear()
        assert same(cache.arrays("x/y:1", "s", make)) and calls
        assert path.read_bytes()[:2] == b"PK"
    calls.clear()
    assert same(cache.arrays("x/y:1", "other", make)) and calls
    blocked = cache_dir / "file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert same(cache.arrays("x/y:1", "s", make))
