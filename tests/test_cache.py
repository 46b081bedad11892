import os
import resource
import subprocess
import sys
import textwrap
import time

import pytest
import torch

from designspace.errors import StorageError
from designspace.storage import files
from designspace.storage.cache import Cache
from designspace.storage.files import content_key

TENSORS = {
    "pixels": torch.arange(48, dtype=torch.uint8).reshape(2, 1, 4, 6),
    "nfe": torch.tensor(35.0, dtype=torch.float64),
    "none": torch.zeros(0, 3),
}
KEY = content_key("a", 1)


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path)


def stored(cache):
    cache.put("images", KEY, TENSORS)
    return cache.path("images", KEY)


def test_what_is_put_is_got(cache):
    stored(cache)
    found = cache.get("images", KEY)
    assert found.keys() == TENSORS.keys()
    for key, tensor in TENSORS.items():
        assert found[key].dtype == tensor.dtype
        assert torch.equal(found[key], tensor)
    assert cache.get("features", KEY) is None
    assert cache.get("images", content_key("a", 2)) is None


def test_keys_depend_on_values_and_types_not_on_the_order_of_fields():
    assert content_key({"a": 1, "b": 2}) == content_key({"b": 2, "a": 1})
    assert len({content_key(part) for part in (1, "1", 1.0, [1], {"1": 1}, None)}) == 6
    assert content_key("a", "b") != content_key("ab")


def every_bit(data):
    """Flip one bit in each byte in turn, cycling through the 8 positions."""
    for place in range(len(data)):
        yield place, bytes([*data[:place], data[place] ^ (1 << place % 8), *data[place + 1 :]])


@pytest.mark.filterwarnings("ignore:.*damaged")
def test_no_flipped_bit_gives_other_tensors(cache):
    path = stored(cache)
    detected = 0
    for place, data in every_bit(path.read_bytes()):
        path.write_bytes(data)
        found = cache.get("images", KEY)
        detected += found is None
        # A bit of the header's padding may differ; the tensors may not.
        assert found is None or all(torch.equal(found[k], TENSORS[k]) for k in TENSORS), place
    assert detected > 0.9 * len(data)


@pytest.mark.parametrize("kept", [0, 7, 8, 100, -1])
def test_a_truncated_file_is_set_aside_and_made_again(cache, kept):
    path = stored(cache)
    data = path.read_bytes()
    path.write_bytes(data[:kept])
    with pytest.warns(UserWarning, match=f"{path}: damaged .* set aside"):
        found = cache.get_or_make("images", KEY, lambda: TENSORS)
    assert torch.equal(found["pixels"], TENSORS["pixels"])
    assert [file.read_bytes() for file in (cache.root / "damaged").iterdir()] == [data[:kept]]
    assert path.read_bytes() == data


def test_a_file_under_another_name_is_not_believed(cache):
    other = cache.path("images", content_key("b"))
    other.parent.mkdir(parents=True)
    stored(cache).replace(other)
    with pytest.warns(UserWarning, match="sha256"):
        assert cache.get("images", content_key("b")) is None


def run_limited(code, folder, limit):
    """Run ``code`` with files limited to ``limit`` bytes, which looks like a full disk to a program."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), folder],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )


def test_a_full_disk_is_a_clear_error_and_leaves_nothing_behind(cache):
    path = stored(cache)
    before = path.read_bytes()
    code = """
        import sys, torch
        from pathlib import Path
        from designspace.storage.cache import Cache
        from designspace.errors import StorageError
        try:
            Cache(Path(sys.argv[1])).put("images", "KEY", {"x": torch.zeros(5000)})
        except StorageError as error:
            print(error)
    """.replace("KEY", KEY)
    done = run_limited(code, cache.root, 10_000)
    assert done.stdout == f"cannot write {path}: File too large\n", done.stderr
    assert [file for file in path.parent.iterdir()] == [path]
    assert path.read_bytes() == before


def test_a_place_that_is_no_folder_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    cache = Cache(tmp_path / "file")
    with pytest.raises(StorageError, match=r"cannot write .*file/images/.*: Not a directory"):
        cache.put("images", KEY, TENSORS)
    with pytest.raises(StorageError, match=r"cannot write .*file/locks/a.lock"), cache.lock("a"):
        pass


def test_the_root_is_taken_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path))
    assert Cache().root == tmp_path
    monkeypatch.delenv("DESIGNSPACE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert Cache().root.name == "designspace"


def ended():
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_a_killed_process_was_writing_is_removed(tmp_path):
    """When a process writes to the same folder. Files of other machines are removed by their age."""
    here, old = files._host(), time.time() - 2 * files.ABANDONED
    parts = {
        f".a.{here}-{ended()}-0.part": False,
        f".a.{here}-{os.getpid()}-0.part": True,
        f".a.{here}-{os.getpid()}-1.part": False,
        f".a.elsewhere-{ended()}-0.part": True,
        f".a.elsewhere-{ended()}-1.part": False,
        ".a.part": True,
        "a.part": True,
    }
    for name in parts:
        (tmp_path / name).touch()
        if name.endswith("1.part"):
            os.utime(tmp_path / name, (old, old))
    (tmp_path / ".b.part").symlink_to("nowhere")
    files.write_whole(tmp_path / "b", b"content")
    left = {path.name for path in tmp_path.iterdir()} - {"b", ".b.part"}
    assert left == {name for name, stays in parts.items() if stays}


@pytest.mark.parametrize(
    ("mode", "above", "open"),
    [(0o755, 0o755, None), (0o777, 0o755, "root"), (0o755, 0o777, "above"), (0o755, 0o1777, None)],
)
def test_a_cache_that_others_can_change_is_warned_of(tmp_path, recwarn, mode, above, open):
    folder = tmp_path / "above"
    root = folder / "root"
    root.mkdir(parents=True)
    root.chmod(mode)
    folder.chmod(above)
    for _ in range(2):
        Cache(root)
    said = [str(warning.message) for warning in recwarn]
    folder.chmod(0o700)
    if open is None:
        assert said == []
    else:
        (text,) = said
        assert f"chmod o-w {root if open == 'root' else folder}, or name another folder" in text


def test_a_lock_is_no_symbolic_link(cache, tmp_path):
    """Otherwise another user could have any file of this one truncated."""
    victim = tmp_path / "victim"
    victim.write_text("content")
    (cache.root / "locks").mkdir()
    (cache.root / "locks" / "trial.lock").symlink_to(victim)
    with pytest.raises(StorageError, match=r"cannot write .*trial\.lock"), cache.lock("trial"):
        pass
    assert victim.read_text() == "content"


def test_a_lock_is_held_by_one_and_freed_when_its_holder_is_killed(cache):
    code = """
        import sys
        from pathlib import Path
        from designspace.storage.cache import Cache
        with Cache(Path(sys.argv[1])).lock("trial") as mine:
            print(mine, flush=True)
            sys.stdin.read()
    """
    command = [sys.executable, "-c", textwrap.dedent(code), cache.root]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "True\n"
        with cache.lock("trial", wait=False) as mine:
            assert not mine
        with cache.lock("other", wait=False) as mine:
            assert mine
        holder.kill()
        holder.wait()
        with cache.lock("trial", wait=False) as mine:
            assert mine
