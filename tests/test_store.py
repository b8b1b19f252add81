"""Files that survive: written whole or not at all, and refused when they are not what they say."""

import errno
import gzip
import io
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from earlystop.runs import store
from earlystop.runs.store import SCHEMA, Checkpoint, StoreError, digest, plain, read_json, write_atomically, write_json

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
    return one_line_of(error.value)


def one_line_of(error):
    assert "\n" not in str(error)
    return str(error)


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
        steps.append(("fsync", os.fstat(number).st_size))  # none of it waits in a buffer any more
        synced(number)

    def replace(source, target):
        steps.append((source.read_bytes(), path.read_bytes(), source.parent == target.parent))
        replaced(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    write_atomically(path, b"new")
    assert steps == [("fsync", 3), (b"new", b"old", True)] and path.read_bytes() == b"new"


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
    values = ({"a": 1}, {"a": 2}, {"b": 1}, {"a": "1"}, {"a": [1]}, [], {}, {"a": 0.3}, {"a": 0.3000001})
    assert len({digest(value) for value in values}) == len(values)


# ------------------------------------------------------------------------ result files


@both
def test_what_is_written_is_read_again(tmp_path, monkeypatch, name):
    path = tmp_path / name
    write_json(path, CONTENT)
    assert read_json(path) == CONTENT
    data = path.read_bytes()
    text = (gzip.decompress(data) if name.endswith("gz") else data).decode()
    assert json.loads(text) == CONTENT
    assert '"numbers": [0.1, 2, -3.5e-07],\n' in text and "ρ and ε₀" in text
    tomorrow = time.time() + 86_400
    monkeypatch.setattr("time.time", lambda: tomorrow)
    write_json(path, CONTENT)
    assert path.read_bytes() == data  # the same bytes again: no date inside


@both
@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(tmp_path, name, share):
    path = tmp_path / name
    write_json(path, CONTENT)
    whole = path.read_bytes()
    path.write_bytes(whole[: min(int(share * len(whole)), len(whole) - 1)])
    with pytest.raises(StoreError, match="is damaged") as error:
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
            assert str(path) in one_line_of(error)
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
    assert "delete" not in message  # it may be somebody's notes


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for read in (read_json, store.read_state):
        for path, cause in ((tmp_path / "result", "No such file"), (tmp_path, "Is a directory")):
            with pytest.raises(StoreError, match=f"cannot read {path} .{cause}") as error:
                read(path)
            assert "delete" not in one_line(error)  # it may be good


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
def test_a_number_that_is_none_is_not_read(tmp_path, number):
    (tmp_path / "x.json").write_text(f'{{"schema": "{SCHEMA}", "cells": [{{"curve": [0.1, {number}]}}]}}')
    with pytest.raises(StoreError, match=r"x\.json is damaged"):
        read_json(tmp_path / "x.json")


def test_wrong_content_is_named_with_its_file_and_what_to_do():
    for use in (lambda c: c["curve"], lambda c: c[0], lambda c: c + 1, lambda c: c.size, lambda c: 1 / len(c)):
        with (
            pytest.raises(StoreError, match="a.pt does not hold .*: delete it and run again"),
            store.sound(Path("a.pt")),
        ):
            use({})


def test_left_overs_of_another_day_are_deleted_and_those_of_writers_at_work_are_not(tmp_path):
    for name, days in ((".a.json.1.part", 1.01), (".b.json.2.part", 0.99), ("c.json", 2)):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (time.time() - days * 86_400,) * 2)
    store.remove_left_overs(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".b.json.2.part", "c.json"]


# ------------------------------------------------------------------------ one at a time

ALONE = """
import sys, time
from pathlib import Path
from earlystop.runs.store import alone
folder, name, seconds = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
with alone(folder / "x.lock", "the cells"):
    (folder / "inside").mkdir()  # fails if another is inside, too
    print(name, flush=True)
    time.sleep(seconds)
    (folder / "inside").rmdir()
    if name == "first":
        (folder / "x.lock").unlink()  # as one does that has finished the work
"""


def enter(folder, name, seconds):
    command = [sys.executable, "-c", ALONE, folder, name, str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_process_waits_until_another_is_out_and_says_for_what(tmp_path):
    first = enter(tmp_path, "first", 3)
    assert first.stdout.readline() == "first\n"
    others = [enter(tmp_path, "other", 0) for _ in range(2)]
    said = [process.communicate(timeout=120)[0] for process in others]
    assert all(process.wait() == 0 for process in (first, *others))
    assert all(text.endswith("other\n") for text in said)


def test_the_wait_is_told_and_ends_with_a_process_that_is_killed(tmp_path):
    first = enter(tmp_path, "killed", 1000)
    assert first.stdout.readline() == "killed\n"
    second = enter(tmp_path, "second", 0)
    assert second.stdout.readline() == "another command is at work on the cells: waiting for it\n"
    first.kill()
    (tmp_path / "inside").rmdir()
    assert second.communicate(timeout=60)[0] == "second\n"


def test_a_lock_where_none_can_be_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    lock = store.alone(tmp_path / "file" / "x.lock", "the cells")
    with pytest.raises(StoreError, match="cannot write .*--out or EARLYSTOP_RESULTS"), lock:
        pass


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
    second.save(STATE, "a later stage")
    third = Checkpoint(tmp_path, "me")
    for stage in ("a later stage", "training"):  # the second was saved earlier
        third.load(stage)
    assert third.seconds() == 80


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
    with pytest.raises(StoreError, match=f"{path} is damaged .*: delete it and run again") as error:
        checkpoint.load()
    one_line(error)


def test_a_flipped_bit_of_a_checkpoint_is_noticed_or_means_nothing(tmp_path):
    """Torch reads tensors without a look at their checksums."""
    path = tmp_path / "training.pt"
    store.write_state(path, STATE)
    whole, noticed = path.read_bytes(), 0
    for place in range(0, len(whole), 4):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            read = store.read_state(path)
            assert torch.equal(read["weights"], STATE["weights"]) and read["history"] == STATE["history"]
        except StoreError as error:
            assert f"{path} is damaged" in one_line_of(error)
            noticed += 1
    assert noticed > len(whole) / 12
    place = whole.index(STATE["weights"].numpy().tobytes())
    path.write_bytes(whole[: place + 6] + b"x" + whole[place + 7 :])
    assert not torch.equal(torch.load(path, weights_only=True)["weights"], STATE["weights"])
    with pytest.raises(StoreError):
        store.read_state(path)


@pytest.mark.parametrize(
    "content", [[1, 2], {"state": STATE}, {"identity": "me"}, "text", {"identity": "me", "state": [], "seconds": 1.0}]
)
def test_a_foreign_checkpoint_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "training.pt")
    with pytest.raises(StoreError, match=f"{tmp_path}/training.pt does not hold .*delete it and run") as error:
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
    with pytest.raises(StoreError, match="is damaged"):
        Checkpoint(tmp_path, "me").load()
    path.write_bytes(pickle.dumps(Bomb(created), protocol=2))
    with pytest.raises(StoreError, match="is damaged"):
        Checkpoint(tmp_path, "me").load()
    assert not created.exists()
    pickle.loads(path.read_bytes())  # the bomb is a real one
    assert created.exists()


def test_an_interrupt_waits_for_the_file_that_is_being_written(tmp_path):
    def content(file):
        file.write(b"one half, ")
        signal.raise_signal(signal.SIGINT)
        file.write(b"and the other")

    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
    try:
        with pytest.raises(KeyboardInterrupt):
            store.write_atomically(tmp_path / "file", content)
        with pytest.raises(KeyboardInterrupt):  # afterwards it is as before
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert list(tmp_path.iterdir()) == []  # what was interrupted is put away whole, and no half of it is left
