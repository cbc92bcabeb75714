"""Arrays in .npz files: read, and whatever is none refused in one line."""

import numpy as np
import pytest

from nets.data import npz_files
from nets.errors import UserError


def test_arrays_by_name(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.arange(3), y=np.eye(2, dtype=np.float32))
    arrays = npz_files.read(tmp_path / "a.npz", "path=a.npz")
    assert arrays.keys() == {"x", "y"} and arrays["y"].dtype == np.float32
    np.testing.assert_array_equal(arrays["x"], [0, 1, 2])


@pytest.mark.parametrize("content", [None, b"", b"no arrays", b"PK\x03\x04 and more", "array"])
def test_what_is_no_archive_is_refused(content, tmp_path):
    path = tmp_path / "a.npz"
    if content == "array":
        with open(path, "wb") as file:
            np.save(file, np.ones(3))
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match="^path=a.npz cannot be read as .npz: it is not a complete"):
        npz_files.read(path, "path=a.npz")


def test_every_damage_is_refused(tmp_path):
    path, refused = tmp_path / "a.npz", 0
    np.savez_compressed(path, x=np.arange(50), y=np.array([{}], object))
    with pytest.raises(UserError, match="cannot be read as .npz of plain arrays: Object arrays"):
        npz_files.read(path, "path=a.npz")
    np.savez_compressed(path, x=np.arange(50))
    whole = path.read_bytes()
    for k in range(0, len(whole), 3):
        path.write_bytes(whole[:k] + bytes([whole[k] ^ 255]) + whole[k + 1 :])
        try:
            np.testing.assert_array_equal(
                npz_files.read(path, "path=a.npz").get("x", np.arange(50)), np.arange(50)
            )
        except UserError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > len(whole) // 6
