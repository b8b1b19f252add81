"""Sweeps and the command line: nothing is computed twice, and no way to end a run loses or harms
what is finished."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
from earlystop.experiments import EXPERIMENTS, Experiment
from earlystop.figure1 import Figure1, Figure3
from earlystop.store import SCHEMA, read_json

from earlystop import __main__, experiments, figure1, fingerprint, page, provenance, scale, store, sweep
from earlystop.images import HUB

TINY = Figure1.at(
    "quick", train_size=40, validation_size=20, test_size=20, widths=(2, 3, 4), epochs=3,
    batch_size=10, corruption_rates=(0.2, 0.6),
)  # fmt: skip
SETTINGS = [
    "--set=train_size=40", "--set=validation_size=20", "--set=test_size=20", "--set=widths=2,3,4",
    "--set=batch_size=10", "--set=corruption_rates=0.2,0.6", "--yes",
]  # fmt: skip
COMMAND = [sys.executable, "-m", "earlystop", "run", "fig1", *SETTINGS]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1", "MPLBACKEND": "agg"}


@pytest.fixture(autouse=True)
def one_core(monkeypatch):
    """As on a machine with one core and no GPU; what a run sets is put back."""
    monkeypatch.setattr(sweep, "cores", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    monkeypatch.setenv("EARLYSTOP_DEVICE", "cpu")
    monkeypatch.setenv("EARLYSTOP_PRECISION", "auto")
    yield
    torch.set_num_threads(1)


@pytest.fixture
def computed(monkeypatch):
    """The cells that are really computed, in order."""
    cells = []
    original = sweep.run_group

    def counted(name, config, group, *arguments):
        cells.extend(group)
        return original(name, config, group, *arguments)

    monkeypatch.setattr(sweep, "run_group", counted)
    return cells


def run(out, config=TINY, name="fig1", scale="quick", **options):
    """A sweep in this process; its result."""
    options = {"jobs": 1, "say": lambda text: None, **options}
    return read_json(sweep.run(name, config, scale, out, **options))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The result of the tiny sweep."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep, "cores", lambda: 1)
        patch.setenv("EARLYSTOP_DEVICE", "cpu")
        patch.setenv("EARLYSTOP_PRECISION", "auto")
        return run(tmp_path_factory.mktemp("sweep"))


# ------------------------------------------------------------------------ what is computed


def test_finished_cells_are_never_computed_again(tmp_path, computed):
    first = run(tmp_path)
    assert [(c["corruption_rate"], c["seed"]) for c in computed] == [(0.2, 0), (0.6, 0)]
    ages = {path: path.stat().st_mtime_ns for path in (tmp_path / "parts").glob("fig1-*")}
    assert len(ages) == 2
    del computed[:]

    assert run(tmp_path)["cells"] == first["cells"] and computed == []
    more = run(tmp_path, replace(TINY, seeds=2))
    assert [(c["corruption_rate"], c["seed"]) for c in computed] == [(0.2, 1), (0.6, 1)]
    assert [c for c in more["cells"] if c["seed"] == 0] == first["cells"]
    del computed[:]

    rates = (0.0, 0.2, 0.6)
    both = replace(TINY, corruption_rates=rates, losses=("least_squares", "cross_entropy"))
    run(tmp_path, both)
    assert {(c["loss"], c["corruption_rate"]) for c in computed} == {
        ("least_squares", 0.0), *(("cross_entropy", rate) for rate in rates)
    }  # fmt: skip
    del computed[:]

    fewer = run(tmp_path, replace(TINY, corruption_rates=(0.6,)))
    assert fewer["cells"] == first["cells"][1:] and computed == []
    assert all(path.stat().st_mtime_ns == age for path, age in ages.items())


def test_the_cells_of_a_result_file_are_not_computed_again(tmp_path, computed):
    """A sweep can go on from the file alone, as on another machine."""
    first = run(tmp_path)
    shutil.rmtree(tmp_path / "parts")
    del computed[:]
    more = run(tmp_path, replace(TINY, seeds=2), scale="quick seeds=2")
    assert [(c["corruption_rate"], c["seed"]) for c in computed] == [(0.2, 1), (0.6, 1)]
    assert [c for c in more["cells"] if c["seed"] == 0] == first["cells"]
    (before,), (after,) = first["runs"], more["runs"]  # the same machine
    assert after["cells"] == 4 and after["started"] == before["started"]
    assert after["seconds"] > before["seconds"]
    again = run(tmp_path, replace(TINY, seeds=2), scale="quick seeds=2")
    assert again["runs"][0]["seconds"] == pytest.approx(after["seconds"], rel=1e-5)
    del computed[:]
    shutil.rmtree(tmp_path / "parts")
    run(tmp_path, replace(TINY, epochs=2), scale="quick epochs=2")
    assert len(computed) == 2  # another size: nothing fits


def test_a_command_with_nothing_left_to_do_says_so_and_leaves_the_file_alone(tmp_path, monkeypatch):
    said = []
    run(tmp_path, say=said.append)
    (path,) = tmp_path.glob("fig1-*.json")
    before = path.read_bytes()
    monkeypatch.setattr(sweep, "now", lambda: "2099-01-01 00:00 UTC")
    run(tmp_path, say=said.append)
    assert said == ["0 of 2 cells are finished, 2 to go",
                    "2 of 2 cells are finished, nothing is left to compute"]  # fmt: skip
    assert path.read_bytes() == before


def test_a_rate_with_many_digits_is_found_in_a_result_file(tmp_path, computed):
    config = replace(TINY, corruption_rates=(1 / 3,))
    run(tmp_path, config)
    shutil.rmtree(tmp_path / "parts")
    run(tmp_path, config)
    assert len(computed) == 1


def test_a_result_file_with_other_cells_is_passed_over(tmp_path, computed):
    first = run(tmp_path)
    shutil.rmtree(tmp_path / "parts")
    cells = [{k: v for k, v in cell.items() if k != "seed"} for cell in first["cells"]]
    store.write_json(tmp_path / "fig1-old.json", first | {"cells": cells})
    (tmp_path / "fig1-quick.json").unlink()
    assert run(tmp_path)["cells"] == first["cells"] and len(computed) == 4


def test_a_finished_sweep_needs_no_cluster_any_more(tmp_path, computed):
    first = run(tmp_path)
    again = run(tmp_path, engine="dask", address="tcp://127.0.0.1:1")
    assert again["cells"] == first["cells"]


def other_source(monkeypatch):
    for module in (experiments, sweep):
        monkeypatch.setattr(module, "source_hash", lambda: "0123456789ab")


def test_other_source_that_gives_the_same_numbers_computes_nothing_again(tmp_path, computed, monkeypatch):
    first = run(tmp_path)
    other_source(monkeypatch)
    assert run(tmp_path)["cells"] == first["cells"] and len(computed) == 2


@pytest.mark.parametrize("what", ["size", "numbers", "data", "precision"])
def test_a_change_of_what_numbers_depend_on_computes_them_again(tmp_path, computed, monkeypatch, what):
    config = replace(TINY, epochs=1)
    first = run(tmp_path, config)
    if what == "size":
        config = replace(config, epochs=2)
    elif what == "precision":
        monkeypatch.setenv("EARLYSTOP_PRECISION", "bfloat16")
    elif what == "data":
        monkeypatch.setattr(experiments, "data_hashes", lambda _: {"train": "0123456789ab"})
    else:
        other_source(monkeypatch)
        monkeypatch.setattr(fingerprint, "today", lambda _: {"stacked": {"loss": [1.0]}})
    second = run(tmp_path, config)
    assert len(computed) == 4
    if what == "data":
        assert second["data"] == {"train": "0123456789ab"} != first["data"]
    if what == "numbers":
        assert second["fingerprint"]["numbers"] == {"stacked": {"loss": [1.0]}}
    if what == "precision":
        assert [one["runs"][0]["precision"] for one in (first, second)] == ["float32", "bfloat16"]


def test_the_cells_of_a_batch_are_those_computed_one_by_one(tmp_path, computed, double):
    sizes = dict(train_size=40, batch_size=16, widths=(2, 3, 4), epochs=2, seeds=2)
    config = Figure3.at("quick", corruption_rates=(0.2, 0.6), **sizes)
    alone = run(tmp_path / "alone", config, "fig3")
    together = run(tmp_path / "together", config, "fig3", together=3)
    assert len(computed) == 8
    assert [(r["together"], r["cells"]) for r in alone["runs"]] == [(1, 4)]
    assert sorted((r["together"], r["cells"]) for r in together["runs"]) == [(1, 1), (3, 3)]
    for one, other in zip(alone["cells"], together["cells"]):
        assert (one["corruption_rate"], one["seed"]) == (other["corruption_rate"], other["seed"])
        assert one["loss"] == pytest.approx(other["loss"], rel=2e-5)  # stored with six digits


@pytest.mark.parametrize(
    ("size", "expected"),
    [(1, [[0], [2], [5], [1], [3], [4]]), (2, [[0, 2], [5], [1, 3], [4]]),
     (40, [[0, 2, 5], [1, 3, 4]])],
)  # fmt: skip
def test_a_batch_has_cells_of_one_kind_only(size, expected):
    losses = ("a", "b", "a", "b", "b", "a")
    cells = [{"loss": loss, "number": number} for number, loss in enumerate(losses)]
    groups = sweep.grouped(cells, EXPERIMENTS["fig1"], size)
    assert [[cell["number"] for cell in group] for group in groups] == expected


@pytest.mark.parametrize("jobs", [None, 1, 2, 5])
def test_processes_and_threads_do_not_depend_on_what_is_still_missing(tmp_path, monkeypatch, jobs):
    monkeypatch.setattr(sweep, "cores", lambda: 6)
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    seen = []

    def recorded(name, config, group, settings, *_):
        seen.append((len(group), settings["threads"]))
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep, "run_group", recorded)
    monkeypatch.setattr(sweep, "on_this_machine", one_by_one)
    config = replace(TINY, seeds=2)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, config, jobs=jobs)
    first, original = seen.pop(), Path.exists
    missing = {"left": 1}

    def almost_finished(path):
        if path.parent.name == "parts" and path.name.startswith("fig1-"):
            missing["left"] -= 1
            return missing["left"] < 0
        return original(path)

    monkeypatch.setattr(Path, "exists", almost_finished)  # all but one are finished
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, config, jobs=jobs)
    processes = min(jobs or 6, 4)
    assert seen == [first] == [(1, 6 // processes)]


@pytest.mark.parametrize(("memory", "processes"), [(6, 1), (12, 1), (23, 1), (24, 2), (99, 2)])
def test_no_more_spectra_at_a_time_than_fit_into_the_memory(monkeypatch, memory, processes):
    monkeypatch.setattr(sweep, "cores", lambda: 8)
    config = EXPERIMENTS["fig4c"].config.at("paper")  # two outputs
    assert sweep.side_by_side("fig4c", config, None, memory=memory) == (processes, 1)


@pytest.mark.parametrize(("wanted", "found"), [("", 3), ("2", 2), ("9", 3), ("2,1", 2)])
def test_the_threads_of_a_process_are_those_of_openmp(monkeypatch, wanted, found):
    monkeypatch.setattr(sweep, "cores", lambda: 6)
    monkeypatch.setenv("OMP_NUM_THREADS", wanted)
    assert sweep.threads(2) == found


def test_a_bar_shows_how_far_the_processes_are(tmp_path, monkeypatch):
    shown, told = [], tmp_path / "fig1-x.checkpoint" / sweep.TOLD

    class Bar:
        def __init__(self, items):
            self.items, self.set_postfix_str = items, shown.append

        def __iter__(self):
            return iter(self.items)

    def slow():
        monkeypatch.setenv("EARLYSTOP_PROGRESS", str(told))
        for _ in page.progress(range(40), "epochs"):
            time.sleep(0.03)
        yield "a group"

    monkeypatch.setattr(sweep, "progress", lambda items, *_, **__: Bar(items))
    monkeypatch.setattr(sweep, "LOOK_EVERY", 0.01)
    assert list(sweep.watched(slow(), 1, tmp_path, "fig1")) == ["a group"]
    texts = [text for text in shown if text]
    assert texts[0] == "epochs 0 of 40"
    assert any(re.fullmatch(r"epochs \d+ of 40, \d+ seconds left", text) for text in texts)
    assert told.read_text() == "epochs finished"


def one_by_one(calls, jobs):
    """In place of `sweep.on_this_machine`: run in this process."""
    return (sweep.run_group(*call) for call in calls)


def test_the_cost_is_extrapolated_from_two_small_runs(monkeypatch):
    clock = [0.0]

    def runs(config, cells):
        clock[0] += 5 + 0.25 * config.epochs * len(cells)  # five seconds to get going

    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    slow = Experiment(
        "", Figure1, figure1.figure1_cells, runs, (), ("loss",),
        lambda config: config.epochs, ({"epochs": 1}, {"epochs": 3}),
    )  # fmt: skip
    monkeypatch.setitem(EXPERIMENTS, "slow", slow)
    config = replace(TINY, epochs=1000, seeds=6)  # 12 cells
    assert sweep.estimate("slow", config, 1) == pytest.approx(12 * 250)
    assert sweep.estimate("slow", config, 4) == pytest.approx(3 * 250)
    assert sweep.estimate("slow", replace(config, epochs=0), 4) == 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 seconds"), (89, "89 seconds"), (90, "1.5 minutes"), (7200, "2.0 hours"),
     (200_000, "2.3 days")],
)  # fmt: skip
def test_a_duration_is_told_in_the_unit_of_a_person(seconds, text):
    assert __main__.duration(seconds) == text


# ------------------------------------------------------------------------ what is stored


def test_a_result_says_where_it_comes_from(uninterrupted):
    result = uninterrupted
    assert (result["schema"], result["experiment"], result["scale"]) == (SCHEMA, "fig1", "quick")
    assert result["config"] == json.loads(json.dumps(vars(TINY)))
    assert result["data"] == {} and result["fingerprint"]["numbers"] == store.plain(fingerprint.today("fig1"))
    assert result["runs"][0]["commit"] == provenance.commit()
    (how,) = result["runs"]
    assert how["cells"] == 2 and how["precision"] == "float32" and how["device"].startswith("cpu")
    assert torch.__version__.split("+")[0] == how["versions"]["torch"].split("+")[0]
    assert how["versions"]["Python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"numpy", "scikit-learn"} <= how["versions"].keys()
    assert how["threads"] == how["together"] == 1
    assert 0 < how["seconds"] < 600 and 0.05 < how["peak memory in GB"] < 50
    began, ended = (time.strptime(one, "%Y-%m-%d %H:%M UTC") for one in (how["started"], result["finished"]))
    assert began <= ended <= time.gmtime()


def test_the_numbers_stored_are_those_of_the_runs(uninterrupted):
    cells = [(cell["corruption_rate"], cell["seed"]) for cell in uninterrupted["cells"]]
    assert cells == [(0.2, 0), (0.6, 0)]
    for cell in uninterrupted["cells"]:
        curves = figure1.figure1_run(TINY, cell["corruption_rate"])
        assert cell["loss"] == "least_squares" and cell["run"] == 0
        for name, curve in curves.items():
            assert cell[name] == pytest.approx(curve, rel=1e-5)


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_downloaded_data_are_named_by_the_hash_of_their_pixels(name):
    config = replace(TINY, data=name)
    assert experiments.data_hashes(config) == HUB[name][3] and len(HUB[name][3]["train"]) == 64
    assert sweep.identity("fig1", config)["data"] == HUB[name][3]


def test_a_result_without_changes_and_a_large_one_have_names_of_their_own(tmp_path, monkeypatch):
    config = replace(TINY, epochs=1, corruption_rates=(0.2,))
    path = sweep.run("fig1", config, "quick epochs=1 corruption_rates=0.2,0.5", tmp_path, jobs=1)
    assert path.name == "fig1-quick-epochs_1-corruption_rates_0.2+0.5.json"
    monkeypatch.setattr(sweep, "LARGE", 100)
    packed = sweep.run("fig1", config, "quick", tmp_path, jobs=1)
    assert packed.name == "fig1-quick.json.gz"
    assert read_json(packed)["cells"] == read_json(path)["cells"]


# ------------------------------------------------------------------------ runs that are ended

KILLED = """
import os, random, signal, sys, time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
import torch
torch.set_num_threads(1)
from earlystop import store, sweep
from earlystop.figure1 import Figure1, figure1_run
from earlystop.store import read_json

sweep.cores = lambda: 1
store.time = SimpleNamespace(monotonic=lambda: 0.0)  # saved each epoch
config = Figure1.at("quick", train_size=64, validation_size=20, test_size=20, widths=(4, 6, 8),
                    epochs=30, batch_size=16, corruption_rates=(0.2, 0.6))
figure1_run(replace(config, epochs=1), 0.2)  # imports what a run needs, for all children
folder, chance = Path(sys.argv[1]), random.Random(0)
os.environ["EARLYSTOP_DEVICE"] = "cpu"

def start(out):
    child = os.fork()
    if child == 0:
        status = 1
        try:
            sweep.run("fig1", config, "quick", out, jobs=1, save_every=0, say=lambda text: None)
            status = 0
        finally:
            os._exit(status)
    return child

def cells(out):
    return read_json(out / "fig1-quick.json")["cells"]

begin = time.monotonic()
assert os.waitpid(start(folder / "whole"), 0)[1] == 0
whole = time.monotonic() - begin
expected, kills, resumed, sweeps = cells(folder / "whole"), 0, 0, 0
while True:
    out = folder / str(sweeps)
    child = start(out)
    if kills < 20:
        time.sleep(chance.uniform(0, 0.4 * whole))
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        kills += 1
        resumed += any((out / "parts").glob("*.checkpoint/training.pt"))
        for path in out.rglob("*.json"):
            read_json(path)
        continue
    assert status == 0, status
    assert cells(out) == expected, "other numbers"
    assert not list(out.rglob("*.checkpoint"))
    if kills == 20:
        break
    sweeps += 1
print(kills, resumed)
"""


@pytest.mark.leg
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_run_killed_twenty_times_ends_with_the_same_numbers(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        env=ENVIRONMENT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    kills, resumed = map(int, done.stdout.split())
    assert kills == 20 and resumed >= 5  # most of them in the midst of a training


def is_alive(group):
    """Whether any process of a group is."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.leg)])
def test_ctrl_c_ends_the_command_in_one_line_and_it_can_go_on(tmp_path, jobs):
    options = ["--set=epochs=100000", f"--jobs={jobs}", "--save-every=0", "--out", tmp_path]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
    process = subprocess.Popen(
        [*COMMAND, *options], env=ENVIRONMENT, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    signal.signal(signal.SIGINT, before)
    try:
        deadline = time.monotonic() + 120
        while len(list(tmp_path.glob("parts/*/training.pt"))) < jobs:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        errors = process.communicate(timeout=60)[1].strip().splitlines()
    finally:
        if process.poll() is None:  # the test failed: leave nothing behind
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130
    assert errors[0] == "interrupted: what is finished is kept, the same command goes on from there"
    # Several processes may have their interpreter warn of a semaphore that it cleans up.
    assert len(errors) == 1 if jobs == 1 else not any("Traceback" in line for line in errors)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and is_alive(process.pid):
        time.sleep(0.1)
    assert not is_alive(process.pid)  # no worker computes on
    saved = list(tmp_path.glob("parts/*/training.pt"))
    assert len(saved) == jobs and not list(tmp_path.rglob("*.part"))
    assert all(torch.load(path, weights_only=True)["state"]["epoch"] >= 0 for path in saved)
    assert not list(tmp_path.glob("fig1*"))


@pytest.mark.leg
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs signals")
def test_a_process_ended_by_the_system_is_told_with_what_to_do(monkeypatch):
    monkeypatch.setattr(sweep, "run_group", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(store.StoreError, match="the same command goes on.*--jobs 1"):
        list(sweep.on_this_machine([("one",), ("two",)], 2))


@pytest.mark.parametrize(
    ("text", "emulated"),
    [("flags : fpu avx2 fma\n", True), ("flags : fpu avx512_bf16\n", False), ("flags: amx_bf16", False),
     ("Features : fp asimd bf16\n", False), ("Features : fp asimd\n", True), ("cpu : POWER9\n", False)],
)  # fmt: skip
def test_a_processor_without_units_for_bfloat16_is_known_by_its_flags(tmp_path, monkeypatch, text, emulated):
    (tmp_path / "cpuinfo").write_text(text)
    path = scale.Path
    monkeypatch.setattr(scale, "Path", lambda name: path(tmp_path / name.rpartition("/")[2]))
    assert scale.bfloat16_is_emulated() == emulated
    (tmp_path / "cpuinfo").unlink()
    assert scale.bfloat16_is_emulated() is False


@pytest.mark.parametrize(
    ("precision", "experiment", "told"),
    [("bfloat16", "fig1", True), ("float32", "fig1", False), ("bfloat16", "fig5", False)],
)
def test_emulated_bfloat16_is_told_before_a_run(monkeypatch, capsys, tmp_path, precision, experiment, told):
    monkeypatch.setattr(__main__, "bfloat16_is_emulated", lambda: True)
    monkeypatch.setattr(sweep, "run", lambda *_, **__: tmp_path / "x.json")
    monkeypatch.setattr("earlystop.figures.save", lambda path: [])
    words = ["run", experiment, "--precision", precision, "--device", "cpu", "--yes", "--out", str(tmp_path)]
    __main__.run(__main__.parser().parse_args(words))
    assert ("no units for bfloat16: --precision float32" in capsys.readouterr().out) == told


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs signals")
def test_the_processes_of_a_killed_command_end_and_leave_whole_checkpoints(tmp_path):
    options = ["--set=epochs=100000", "--jobs=2", "--save-every=0", "--out", tmp_path]
    process = subprocess.Popen(
        [*COMMAND, *options], env=ENVIRONMENT,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("parts/*/training.pt"))) < 2:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=30)
    for one in alive:  # the test failed: leave nothing behind
        one.kill()
    assert workers and not alive
    saved = tmp_path.glob("parts/*/training.pt")
    assert all(torch.load(path, weights_only=True)["state"]["epoch"] >= 0 for path in saved)


def test_the_command_line_computes_stores_and_draws(tmp_path, uninterrupted):
    done = subprocess.run(
        [*COMMAND, "--set=epochs=3", "--jobs=2", "--out", tmp_path],
        env=ENVIRONMENT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0 and done.stderr == ""
    (path,) = tmp_path.glob("fig1-*.json")
    assert read_json(path)["cells"] == uninterrupted["cells"]
    lines = done.stdout.splitlines()
    assert lines[0] == EXPERIMENTS["fig1"].title and "on cpu, float32" in lines[1]
    assert "0 of 2 cells are finished, 2 to go" in lines
    assert any(line.startswith(f"{path} after ") for line in lines)
    pictures = [Path(line) for line in lines if line.endswith((".png", ".svg", ".pdf"))]
    assert pictures and all(picture.stat().st_size > 1000 for picture in pictures)


# ------------------------------------------------------------------------ what is refused


def command(monkeypatch, *arguments):
    """Exit code of the command line in this process."""
    monkeypatch.setattr(sys, "argv", ["earlystop", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        __main__.main()
    return end.value.code


@pytest.mark.parametrize(
    ("arguments", "culprit", "remedy"),
    [
        (["fig9"], "no experiment 'fig9'", "use fig1, fig3, fig4ab, fig4c, fig5"),
        (["fig1", "fig2"], "no experiment 'fig2'", "use fig1"),
        (["fig1", "--set", "cuont=3"], "no size 'cuont'", "it has data, train_size"),
        (["fig5", "fig1", "--set", "iterations=1"], "no size 'iterations'", "it has data"),
        (["fig1", "--set", "epochs=many"], "epochs='many'", "should look like 60"),
        (["fig1", "--set", "widths=a,b,c"], "widths='a,b,c'", "should look like (32, 64, 128)"),
        (["fig1", "--set", "epochs"], "--set 'epochs'", "as in --set epochs=3"),
        (["fig1", "--seeds", "-1"], "seeds is -1", "should be 1 or more"),
        (["fig1", "--set", "corruption_rates=0,1.5"], "corruption_rates is 1.5",
         "between 0 and 1"),
        (["fig5", "--set", "corruption_rate=nan"], "corruption_rate is nan", "should be 0 or more"),
        (["fig1", "--scale", "huge"], "scale 'huge'", "use quick, colab, paper"),
        (["fig1", "--device", "cuda"], "no device 'cuda'", "use --device cpu"),
        (["fig1", "--engine", "dask"], "--engine dask", "--address tcp://HOST:PORT"),
        (["fig1", "--address", "tcp://a:1"], "--engine dask", "--address tcp://HOST:PORT"),
        (["fig1", "--engine", "dask", "--address", "tcp://a:1"], "--engine dask",
         "name --precision float32 or bfloat16"),
        (["fig1", "--jobs", "0"], "--jobs is 0", "should be 1 or more"),
        (["fig1", "--together", "0"], "--together is 0", "should be 1 or more"),
        (["fig1", "--set", "losses=hinge"], "'hinge'", "should be of least_squares, cross_entropy"),
        (["fig4c", "--set", "heads=both"], "'both'", "should be of single, difference"),
        (["fig4c", "--memory", "3"], "--memory is 3", "should be 6 or more"),
        (["fig1", "--save-every", "nan"], "--save-every is nan", "should be 0 or more"),
        (["fig1", "--set", "scale=paper"], "no size 'scale'", "python -m earlystop list"),
        (["fig1", "--set", "data=svhn"], "data set 'svhn'", "use one of digits, mnist, cifar10"),
        (["fig1", "--set", "widths=4,5"], "widths is (4, 5)", "three numbers, as (64, 128, 256)"),
        (["fig1", "--set", "test_size=0"], "test_size is 0", "should be 1 or more"),
        (["fig4c", "--set", "classes=3,3"], "classes is (3, 3)", "two different ones"),
        (["fig4c", "--set", "classes=0,11"], "classes is (0, 11)", "0 to 9"),
        (["fig4ab", "--set", "corruption_rates=0.01", "--set", "train_size=30"],
         "corruption_rates has 0.01", "wrong labels"),
        (["fig4ab", "--set", "corruption_rates=0,0.5"], "corruption_rates has 0", "wrong labels"),
        (["fig1", "--set", "train_size=2000"], "2,400 images asked for", "has 1,400"),
        (["fig1", "--set", "corruption_rates=0.3,0.3"], "corruption_rates is (0.3, 0.3)", "once"),
        (["fig4c", "--set", "heads=single,single"], "heads is", "only once"),
        (["fig4ab", "--set", "width=0"], "width is 0", "should be 1 or more"),
        (["fig1", "--set", "widths=0,4,4"], "widths is (0, 4, 4)", "should be 1 or more"),
        (["fig5", "--set", "step_size=inf"], "step_size is inf", "should be finite"),
        (["fig1", "--device", "tpu"], "'tpu'", "choose from"),
        (["fig1", "--seeds", "many"], "'many'", "--help"),
    ],
)  # fmt: skip
def test_a_bad_input_is_refused_in_one_line(tmp_path, monkeypatch, capsys, arguments, culprit, remedy):
    options = ("--yes", "--jobs", 1, "--out", tmp_path)
    code = command(monkeypatch, "run", *options, *arguments)
    assert_refused(code, capsys.readouterr().err, culprit, remedy)
    assert not list(tmp_path.glob("*.json"))


def assert_refused(code, errors, culprit, remedy):
    """Exit code 2, and one line that names the culprit and what to do."""
    assert code == 2 and re.fullmatch("error: [^\n]+\n", errors), errors
    assert culprit in errors and remedy in errors


def test_a_number_of_threads_that_is_none_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    code = command(monkeypatch, "run", "fig1", *SETTINGS, "--out", tmp_path)
    assert_refused(code, capsys.readouterr().err, "OMP_NUM_THREADS is 'many'", "number of threads")


def test_a_folder_with_a_name_that_is_too_long_is_refused(tmp_path, monkeypatch, capsys):
    code = command(monkeypatch, "run", "fig1", *SETTINGS, "--out", tmp_path / ("x" * 300))
    assert_refused(code, capsys.readouterr().err, "cannot write", "another folder with --out")


def test_a_file_in_place_of_the_output_folder_is_refused(tmp_path, monkeypatch, capsys, computed):
    (tmp_path / "out").write_text("I am a file")
    code = command(monkeypatch, "run", "fig1", *SETTINGS, "--out", tmp_path / "out")
    errors = capsys.readouterr().err
    assert_refused(code, errors, str(tmp_path / "out"), "another folder with --out")
    assert computed == []  # found before the work


def test_a_finished_cell_of_another_schema_is_refused(tmp_path, monkeypatch, capsys):
    tiny = partial(command, monkeypatch, "run", "fig1", *SETTINGS, "--set=epochs=1", "--jobs=1")
    run(tmp_path, replace(TINY, epochs=1))
    path = next((tmp_path / "parts").glob("fig1-*.json"))
    path.write_text(path.read_text().replace(SCHEMA, "earlystop result, version 0"))
    code = tiny("--out", tmp_path)
    assert_refused(code, capsys.readouterr().err, str(path), "delete it and run again")
    path.write_text("{")
    code = tiny("--out", tmp_path)
    assert_refused(code, capsys.readouterr().err, f"{path} is damaged", "delete it and run again")


def without(*keys):
    """Damage: takes away what is under these keys, one in the other."""

    def damage(content):
        *way, last = keys
        for key in way:
            content = content[key]
        del content[last]

    return damage


@pytest.mark.parametrize(
    "damage",
    [without("cells"), without("config"), without("runs"), without("runs", 0),
     without("runs", 0, "seconds"), without("cells", 0, "run"),
     lambda content: content.update(cells=[1]), lambda content: content["cells"][0].update(run=7)],
)  # fmt: skip
def test_a_result_file_that_lacks_a_part_is_refused(tmp_path, monkeypatch, capsys, damage, computed):
    path = tmp_path / "fig1-quick.json"
    run(tmp_path, replace(TINY, epochs=1))
    content = read_json(path)
    damage(content)
    store.write_json(path, content)
    code = command(monkeypatch, "run", "fig1", *SETTINGS, "--jobs=1", "--out", tmp_path)
    assert_refused(code, capsys.readouterr().err, str(path), "delete it and run again")
    assert len(computed) == 2  # those of the first run


@pytest.mark.parametrize(
    ("damage", "culprit"),
    [(without("run"), "no 'run'"), (without("values"), "no 'values'"),
     (without("run", "device"), "no 'device'"), (without("cell"), "of the cell None"),
     (lambda content: content["cell"].update(corruption_rate=0.9), "of the cell"),
     (without("values", "noisy"), "lacks numbers that its picture needs")],
)  # fmt: skip
def test_a_finished_cell_that_lacks_a_part_is_refused(tmp_path, monkeypatch, capsys, damage, culprit):
    run(tmp_path, replace(TINY, epochs=1))
    (tmp_path / "fig1-quick.json").unlink()
    path = next((tmp_path / "parts").glob("fig1-*.json"))
    content = read_json(path)
    damage(content)
    store.write_json(path, content)
    code = command(monkeypatch, "run", "fig1", *SETTINGS, "--set=epochs=1", "--jobs=1",
                   "--out", tmp_path)  # fmt: skip
    assert_refused(code, capsys.readouterr().err, culprit, "delete it")


def test_a_damaged_checkpoint_is_refused_and_goes_on_when_deleted(tmp_path, monkeypatch, capsys, uninterrupted):
    tiny = partial(command, monkeypatch, "run", "fig1", *SETTINGS, "--set=epochs=3", "--jobs=1",
                   "--save-every=0", "--out", tmp_path)  # fmt: skip
    calls = []

    def interrupted(*arguments, **options):
        calls.append(1)
        if len(calls) > 7:  # three evaluations an epoch: in the midst of epoch 2
            raise KeyboardInterrupt
        return evaluate(*arguments, **options)

    evaluate = figure1.evaluate_stack
    with monkeypatch.context() as patch:
        patch.setattr(figure1, "evaluate_stack", interrupted)
        patch.setattr(store, "time", SimpleNamespace(monotonic=lambda: 0.0))  # saved each epoch
        assert tiny() == 130
    assert "interrupted: what is finished is kept" in capsys.readouterr().err
    (path,) = tmp_path.glob("parts/*/training.pt")
    assert torch.load(path, weights_only=True)["state"]["epoch"] == 1
    path.write_bytes(path.read_bytes()[:100])
    assert_refused(tiny(), capsys.readouterr().err, str(path), f"delete {path.parent}")
    shutil.rmtree(path.parent)
    assert run(tmp_path)["cells"] == uninterrupted["cells"]


@pytest.mark.parametrize(
    ("allowed", "cells", "checkpoints"),
    [(1, 0, 0), (2, 0, 1), (3, 1, 0)],  # the trial of the folder, a last checkpoint, its cell
)
def test_a_full_disk_is_told_in_one_line_and_what_is_finished_stays(
    tmp_path, monkeypatch, capsys, uninterrupted, allowed, cells, checkpoints
):
    writes = []

    def full(number):
        writes.append(number)
        if len(writes) > allowed:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        code = command(patch, "run", "fig1", *SETTINGS, "--set=epochs=3", "--jobs=1",
                       "--out", tmp_path)  # fmt: skip
    assert_refused(code, capsys.readouterr().err, "No space left on device", "free some space")
    assert len(list(tmp_path.glob("parts/fig1-*.json"))) == cells
    assert len(list(tmp_path.glob("parts/*/training.pt"))) == checkpoints
    assert not list(tmp_path.rglob("*.part"))
    assert run(tmp_path)["cells"] == uninterrupted["cells"]
    assert not list(tmp_path.glob("parts/*.checkpoint"))


def test_the_list_has_every_experiment_with_its_sizes(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["earlystop", "list"])
    __main__.main()
    blocks = capsys.readouterr().out.strip().split("\n\n")
    assert len(blocks) == len(EXPERIMENTS)
    for block, (name, experiment) in zip(blocks, EXPERIMENTS.items()):
        first, header, *lines = block.splitlines()
        assert first == f"{name}: {experiment.title}"
        assert header.split() == ["quick", "colab", "paper"]
        assert [line.split()[0] for line in lines] == [f.name for f in fields(experiment.config)]
