"""Files appear whole or not at all, in folders and in object stores alike; copies are as new as what they copy."""

import pytest
from upath import UPath

from rayner.errors import ConfigError, DataError
from rayner.runs.storage import (
    atomic_writer,
    list_folder,
    local_copy,
    local_model_name,
    move_folder_over,
    remove_temporary_files,
    storage_path,
)


@pytest.fixture(params=["folder", "object store"])
def root(request, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if request.param == "folder":
        yield storage_path(str(tmp_path / "root"))
        return
    yield storage_path(f"memory://{request.node.name}")
    UPath("memory://").fs.store.clear()


def put(path, data=b"x"):
    with atomic_writer(path) as stream:
        stream.write(data)


def test_a_file_appears_when_it_is_whole(root):
    with atomic_writer(root / "a" / "b.txt") as stream:
        stream.write("楚".encode())
        assert not (root / "a" / "b.txt").exists()
    assert (root / "a" / "b.txt").read_text(encoding="utf-8") == "楚"
    assert [entry.name for entry in list_folder(root / "a")] == ["b.txt"]


def test_an_error_leaves_what_was_there(root):
    put(root / "a.txt", b"old")

    def broken():
        with atomic_writer(root / "a.txt") as stream:
            stream.write(b"new")
            raise ValueError("halfway")

    with pytest.raises(ValueError, match="halfway"):
        broken()
    assert (root / "a.txt").read_bytes() == b"old"
    assert [entry.name for entry in list_folder(root)] == ["a.txt"]


def test_what_a_kill_cut_off_is_swept_away_and_nothing_else(root):
    kept = [f".{'0' * 32}.tmp", ".b.tmp", f"{'0' * 32}.tmp", "a.tmp"]
    for name in (f".rayner-{'0a' * 16}.tmp", f"deep/.rayner-{'f' * 32}.tmp", *kept):
        put(root / name)
    remove_temporary_files(root)
    left = [entry.name for entry in list_folder(root) if not entry.is_folder]  # an object store keeps no empty folders
    assert left == kept
    assert not list_folder(root / "deep")
    remove_temporary_files(root / "none")


def test_entries_are_in_the_order_of_whole_paths(root):
    for name in ("b/x", "b.txt", "b-/y", "c", "a"):
        put(root / name)
    assert list_folder(root) == [("a", False), ("b-", True), ("b.txt", False), ("b", True), ("c", False)]
    assert list_folder(root / "none") == []


def test_a_folder_takes_the_place_of_another(root, tmp_path):
    put(root / "model" / "old")
    (tmp_path / "new" / "deep").mkdir(parents=True)
    (tmp_path / "new" / "deep" / "w").write_bytes(b"1")
    (tmp_path / "new" / "c").write_bytes(b"2")
    move_folder_over(tmp_path / "new", root / "model")
    copy = local_copy(root / "model")
    assert {path.relative_to(copy).as_posix(): path.read_bytes() for path in copy.rglob("*") if path.is_file()} == {
        "deep/w": b"1",
        "c": b"2",
    }


def test_a_copy_is_as_new_as_what_it_copies(root):
    put(root / "m" / "a", b"one")
    first = local_copy(root / "m")
    assert (first / "a").read_bytes() == b"one"
    assert local_copy(root / "m") == first
    put(root / "m" / "a", b"three")
    assert (local_copy(root / "m") / "a").read_bytes() == b"three"
    assert local_copy(root / "m" / "a").read_bytes() == b"three"


def test_nothing_to_copy():
    with pytest.raises(FileNotFoundError):
        local_copy(storage_path("memory://nothing/there"))


def test_an_object_whose_name_leads_out_of_its_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    store = UPath("memory://").fs.store
    put(storage_path("memory://c/a"))
    store["/c/../../../../../escaped"] = store["/c/a"]
    try:
        with pytest.raises(DataError, match="names of files below"):
            local_copy(storage_path("memory://c"))
        assert not list(tmp_path.rglob("escaped"))
        assert not (tmp_path.parent / "escaped").exists()
    finally:
        store.clear()


def test_a_path_is_left_alone():  # for names on the hub see tests/fetching
    assert local_model_name("/models/slm") == "/models/slm"
    assert local_model_name("models/my/slm") == "models/my/slm"


def test_secrets_do_not_belong_into_urls():
    with pytest.raises(ConfigError, match="environment"):
        storage_path("s3://KEY:SECRET@bucket/run")


def test_a_file_system_that_shows_half_written_files_is_refused(tmp_path):
    with pytest.raises(
        ConfigError, match=r"expected a local folder or an object store \(s3://, gs://\), found file://"
    ):
        put(storage_path(f"file://{tmp_path}/a"))
    assert not (tmp_path / "a").exists()
