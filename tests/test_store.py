"""Files that survive: written whole or not at all, and refused when they are not what they say."""

import errno
import gzip
import io
import json
import os
import pickle
import re

import numpy as np
import pytest
import torch
from earlystop.store import SCHEMA, Checkpoint, StoreError, digest, plain, read_json, write_atomically, write_json

CONTENT = {
    "schema": SCHEMA,
    "title": "ρ and ε₀",
    "numbers": [0.1, 2, -3.5e-7],
    "cells": [{"seed": 0, "curve": [1.0, 0.5]}, {"seed": 1, "curve": []}],
    "nothing": None,
    "empty": {},
}
both = pytest.mark.parametrize("name", ["result.json", "result.json.gz"])


def one_line(error):
    """The message, which has to be a single line."""
    assert "\n" not in str(error.value)
    return str(error.value)


# ------------------------------------------------------------------------ writing


def no_space(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_is_written_with_its_folders_and_replaced(tmp_path):
    path = tmp_path / "a" / "b" / "file"
    write_atomically(path, b"first")
    assert path.read_bytes() == b"first"
    write_atomically(path, b"second")
    assert path.read_bytes() == b"second"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("step", ["open", "write", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_no_part_of_the_new_one(tmp_path, monkeypatch, step):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with monkeypatch.context() as patch, pytest.raises(StoreError) as error:
        if step == "open":
            patch.setattr("pathlib.Path.open", no_space)
        elif step == "write":
            patch.setattr("pathlib.Path.open", full_file)
        else:
            patch.setattr(os, step, no_space)
        write_atomically(path, b"new content" * 1000)
    message = one_line(error)
    assert str(path) in message and "No space left on device" in message and "--out" in message
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


class FullFile(io.FileIO):
    """A file whose disk is full after 3,000 bytes."""

    def write(self, content):
        room = 3000 - self.tell()
        if not room:
            no_space()
        return super().write(bytes(content[:room]))


def full_file(path, mode):
    return io.BufferedWriter(FullFile(path, "w"))


def test_the_new_content_is_on_disk_before_it_takes_the_place_of_the_old(tmp_path, monkeypatch):
    path, steps = tmp_path / "file", []
    path.write_bytes(b"old")
    synced, replaced = os.fsync, os.replace

    def fsync(number):
        steps.append("fsync")
        synced(number)

    def replace(source, target):
        steps.append((source.read_bytes(), path.read_bytes(), source.parent == target.parent))
        replaced(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    write_atomically(path, b"new")
    assert steps == ["fsync", (b"new", b"old", True)] and path.read_bytes() == b"new"


def test_an_interruption_leaves_the_old_file_and_no_part_of_the_new_one(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "fsync", interrupt)
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "folder").write_text("I am a file")
    with pytest.raises(StoreError, match="cannot write .*--out") as error:
        write_atomically(tmp_path / "folder" / "result.json", b"new")
    one_line(error)
    assert (tmp_path / "folder").read_text() == "I am a file"


# ------------------------------------------------------------------------ numbers as text


def test_numbers_are_kept_with_six_significant_digits():
    assert plain(0.123456789) == 0.123457 and plain(-1234567.89) == -1234570.0
    assert plain(1.5e-30) == 1.5e-30 and plain(7) == 7 and plain(True) is True
    assert plain(None) is None and plain("0.123456789") == "0.123456789"
    nested = plain({"a": torch.tensor([[1 / 3], [0.1]]), "b": (torch.tensor(2), [2 / 3])})
    assert nested == {"a": [[0.333333], [0.1]], "b": [2, [0.666667]]}
    for value in np.random.default_rng(0).normal(size=100) * 10.0 ** np.arange(-50, 50):
        assert plain(float(value)) == pytest.approx(value, rel=5e-6)
        assert len(re.sub(r"e.*|[-.]", "", repr(plain(float(value)))).strip("0")) <= 6


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_none_are_refused(value):
    for one in (value, [0.0, [value]], {"a": torch.tensor([1.0, value])}):
        with pytest.raises(ValueError, match=f"{value} cannot be stored: the run diverged"):
            plain(one)


def test_the_digest_depends_on_the_value_and_not_on_the_order_of_keys():
    assert digest({"a": 1, "b": [2]}) == digest({"b": (2,), "a": 1})
    assert re.fullmatch("[0-9a-f]{12}", digest([]))
    values = ({"a": 1}, {"a": 2}, {"b": 1}, {"a": "1"}, {"a": [1]}, [], {})
    assert len({digest(value) for value in values}) == len(values)


# ------------------------------------------------------------------------ result files


@both
def test_what_is_written_is_read_again(tmp_path, name):
    path = tmp_path / name
    write_json(path, CONTENT)
    assert read_json(path) == CONTENT
    data = path.read_bytes()
    text = (gzip.decompress(data) if name.endswith("gz") else data).decode()
    assert json.loads(text) == CONTENT
    assert '"numbers": [0.1, 2, -3.5e-07],\n' in text and "ρ and ε₀" in text
    write_json(path, CONTENT)
    assert path.read_bytes() == data  # the same bytes again: no date inside


@both
@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(tmp_path, name, share):
    path = tmp_path / name
    write_json(path, CONTENT)
    whole = path.read_bytes()
    path.write_bytes(whole[: min(int(share * len(whole)), len(whole) - 1)])
    with pytest.raises(StoreError, match="is damaged .*delete it and run again") as error:
        read_json(path)
    assert str(path) in one_line(error)


@both
def test_a_file_with_a_damaged_byte_is_refused(tmp_path, name):
    path = tmp_path / name
    write_json(path, CONTENT)
    whole = path.read_bytes()
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x80]) + whole[place + 1 :])
        try:
            read = read_json(path)
        except StoreError as error:
            assert str(path) in str(error) and "delete it" in str(error)
        else:  # a byte of the header of gzip that means nothing
            assert name.endswith("gz") and read == CONTENT and place < 10


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({}, "None"),
        ([1, 2], "None"),
        ({**CONTENT, "schema": "earlystop result, version 0"}, "'earlystop result, version 0'"),
        ({**CONTENT, "schema": {"version": 1}}, "{'version': 1}"),
    ],
)
@both
def test_a_file_of_another_schema_is_refused(tmp_path, name, content, found):
    path = tmp_path / name
    data = json.dumps(content).encode()
    path.write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    with pytest.raises(StoreError) as error:
        read_json(path)
    message = one_line(error)
    assert f"{path} has the schema {found}" in message and SCHEMA in message
    assert "delete it and run again" in message


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(StoreError, match="there is no file .*result.json"):
        read_json(tmp_path / "result.json")
    with pytest.raises(StoreError, match="cannot read .*try again"):  # it may be good: keep it
        read_json(tmp_path)


def test_a_checkpoint_that_memory_is_too_small_for_is_not_called_damaged(tmp_path, monkeypatch):
    Checkpoint(tmp_path, "me").save(STATE)

    def too_large(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(torch, "load", too_large)
    with pytest.raises(StoreError, match="no memory is left") as error:
        Checkpoint(tmp_path, "me").load()
    assert "delete" not in one_line(error)


# ------------------------------------------------------------------------ checkpoints

STATE = {"weights": torch.arange(5.0), "epoch": 3, "history": {"loss": [torch.tensor(0.5)]}}


def test_a_checkpoint_is_read_again(tmp_path):
    checkpoint = Checkpoint(tmp_path / "run", "me")
    assert checkpoint.load() is None and not (tmp_path / "run").exists()
    checkpoint.save(STATE)
    loaded = Checkpoint(tmp_path / "run", "me").load()
    assert torch.equal(loaded["weights"], STATE["weights"]) and loaded["epoch"] == 3
    assert loaded["history"] == STATE["history"]
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["training.pt"]


def test_the_seconds_of_an_ended_run_count(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    first = Checkpoint(tmp_path, "me")
    clock[0] += 50
    first.save(STATE)
    clock[0] += 7  # lost: it was not saved again
    second = Checkpoint(tmp_path, "me")
    second.load()
    clock[0] += 30
    assert second.seconds() == 80


def test_a_checkpoint_is_saved_when_it_is_due(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    checkpoint = Checkpoint(tmp_path, "me", every=10)

    def saved(now=False):
        (tmp_path / "training.pt").unlink(missing_ok=True)
        checkpoint.save_when_due(lambda: STATE, now)
        return (tmp_path / "training.pt").exists()

    assert not saved() and saved(now=True) and not saved()
    clock[0] = 109.9
    assert not saved()
    clock[0] = 110.0
    assert saved() and not saved()


def test_saving_takes_no_more_than_a_twentieth_of_the_time(tmp_path, monkeypatch):
    clock, save = [0.0], torch.save

    def slow(*arguments):
        clock[0] += 3
        save(*arguments)

    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    monkeypatch.setattr(torch, "save", slow)
    checkpoint, saved = Checkpoint(tmp_path, "me", every=10), []
    for _ in range(500):  # a second of training each
        clock[0] += 1
        before = clock[0]
        checkpoint.save_when_due(lambda: STATE)
        saved += [before] * (clock[0] > before)
    assert saved[0] == 10 and 3 * len(saved) <= 0.05 * clock[0] + 6
    assert len(saved) >= 0.04 * clock[0] / 3


def test_a_stage_is_computed_once(tmp_path):
    calls = []

    def compute():
        calls.append(1)
        return {"value": len(calls)}

    for _ in range(2):
        assert Checkpoint(tmp_path, "me").keep("stage", compute) == {"value": 1}
    assert Checkpoint(tmp_path, "me").keep("other", compute) == {"value": 2}


def test_a_disk_that_fills_up_within_a_checkpoint_keeps_the_one_before(tmp_path, monkeypatch):
    checkpoint = Checkpoint(tmp_path, "me")
    checkpoint.save(STATE)
    with monkeypatch.context() as patch, pytest.raises(StoreError, match="free some spa") as error:
        patch.setattr("pathlib.Path.open", full_file)
        checkpoint.save({"epoch": 4, "weights": torch.zeros(100_000)})
    one_line(error)
    assert checkpoint.load()["epoch"] == 3
    assert [p.name for p in tmp_path.iterdir()] == ["training.pt"]


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_a_truncated_checkpoint_is_refused(tmp_path, share):
    checkpoint = Checkpoint(tmp_path, "me")
    checkpoint.save(STATE)
    path = tmp_path / "training.pt"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(StoreError, match="is not a whole checkpoint") as error:
        checkpoint.load()
    message = one_line(error)
    assert str(path) in message and f"delete {tmp_path}" in message


@pytest.mark.parametrize("content", [[1, 2], {"state": STATE}, {"identity": "me"}, "text"])
def test_a_foreign_checkpoint_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "training.pt")
    with pytest.raises(StoreError, match=f"not a whole checkpoint .*delete {tmp_path}") as error:
        Checkpoint(tmp_path, "me").load()
    one_line(error)


def test_the_checkpoint_of_another_run_is_refused(tmp_path):
    Checkpoint(tmp_path, "another").save(STATE)
    with pytest.raises(StoreError, match=f"belongs to another run: delete {tmp_path}") as error:
        Checkpoint(tmp_path, "me").load()
    one_line(error)


class Bomb:
    """Unpickling it creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_no_code_in_a_checkpoint_is_executed(tmp_path):
    created, path = tmp_path / "created", tmp_path / "training.pt"
    torch.save({"identity": "me", "state": Bomb(created)}, path)
    with pytest.raises(StoreError, match="not a whole checkpoint"):
        Checkpoint(tmp_path, "me").load()
    path.write_bytes(pickle.dumps(Bomb(created), protocol=2))
    with pytest.raises(StoreError, match="not a whole checkpoint"):
        Checkpoint(tmp_path, "me").load()
    assert not created.exists()
    pickle.loads(path.read_bytes())  # the bomb is a real one
    assert created.exists()
