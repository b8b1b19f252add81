"""Sweeps and the command line: what is computed, what is stored and under which name, what is refused."""

import importlib
import json
import os
import re
import shutil
import signal
import sys
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

from earlystop import __main__
from earlystop.figures import EXPERIMENTS, league, shares
from earlystop.images import HUB
from earlystop.runs import experiment, fingerprint, machine, provenance, store, sweep
from earlystop.runs.experiment import register
from earlystop.runs.machine import Machine
from earlystop.runs.store import SCHEMA, read_json
from earlystop.start import duration


@pytest.fixture(autouse=True)
def one_core(monkeypatch):
    """As on a machine with one core and no GPU."""
    for module in (sweep, machine):
        monkeypatch.setattr(module, "cores", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("EARLYSTOP_DEVICE", "cpu")


@pytest.fixture
def computed(monkeypatch):
    """The cells that are really computed, in order."""
    cells, original = [], sweep.run_group

    def counted(where, sizes, group, *arguments):
        cells.extend((cell["corruption_rate"], cell["seed"]) for cell in group)
        return original(where, sizes, group, *arguments)

    monkeypatch.setattr(sweep, "run_group", counted)
    return cells


@pytest.fixture
def run(toy):
    """A function that runs a sweep of the toy in this process, and returns its result."""

    def run(out, scale="quick", one=toy, precision="float32", **options):
        name, *changes = scale.split()
        config = one.config.at(name, **dict(change.split("=") for change in changes))
        return read_json(sweep.run(one, config, scale, out, Machine(precision=precision), jobs=1, **options))

    return run


# ------------------------------------------------------------------------ what is computed


def test_finished_cells_are_never_computed_again(tmp_path, computed, run):
    first = run(tmp_path)
    assert computed == [(0.0, 0), (0.3, 0)]
    ages = {path: path.stat().st_mtime_ns for path in (tmp_path / "parts").glob("toy-*")}
    assert len(ages) == 2
    del computed[:]
    assert run(tmp_path)["cells"] == first["cells"] and computed == []
    more = run(tmp_path, "quick seeds=2")
    assert computed == [(0.0, 1), (0.3, 1)]
    assert [c for c in more["cells"] if c["seed"] == 0] == first["cells"]
    del computed[:]
    run(tmp_path, "quick corruption_rates=0.3,0.6,0.0")
    assert computed == [(0.6, 0)]
    fewer = run(tmp_path, "quick corruption_rates=0.3")
    assert fewer["cells"] == first["cells"][1:] and len(computed) == 1
    assert all(path.stat().st_mtime_ns == age for path, age in ages.items())


def test_the_cells_of_a_result_file_are_not_computed_again(tmp_path, computed, run):
    """A sweep can go on from the file alone, as on another machine."""
    first = run(tmp_path)
    shutil.rmtree(tmp_path / "parts")
    del computed[:]
    more = run(tmp_path, "quick seeds=2")
    assert computed == [(0.0, 1), (0.3, 1)]
    assert [c for c in more["cells"] if c["seed"] == 0] == first["cells"]
    (before,), (after,) = first["runs"], more["runs"]  # the same machine
    assert after["cells"] == 4 and after["started"] == before["started"] and after["seconds"] > before["seconds"]
    again = run(tmp_path, "quick seeds=2")
    assert again["runs"][0]["seconds"] == pytest.approx(after["seconds"], rel=1e-5)
    del computed[:]
    shutil.rmtree(tmp_path / "parts")
    run(tmp_path, "quick steps=3")
    assert len(computed) == 2  # another size: nothing fits


def test_the_cost_of_a_batch_counts_once_also_when_it_is_read_from_a_file(tmp_path, monkeypatch, run):
    gigabytes, times = iter([1.0, 3.0, 2.0]), iter("213")
    monkeypatch.setattr(store.Checkpoint, "seconds", lambda self: 6.0)
    monkeypatch.setattr(experiment, "peak_memory", lambda device: next(gigabytes))
    monkeypatch.setattr(experiment, "now", lambda: f"2026-01-0{next(times)} 00:00 UTC")
    for _ in range(2):
        (how,) = run(tmp_path, "quick seeds=3", together=2)["runs"]
        assert (how["cells"], how["together"], how["seconds"]) == (6, 2, pytest.approx(18))
        assert (how["peak memory in GB"], how["started"]) == (3.0, "2026-01-01 00:00 UTC")
        shutil.rmtree(tmp_path / "parts")  # the file is left


def test_of_two_result_files_with_a_cell_the_larger_one_counts(tmp_path, run):
    run(tmp_path)
    larger = run(tmp_path, "quick seeds=2")
    shutil.rmtree(tmp_path / "parts")
    small = read_json(tmp_path / "toy-quick.json")
    for cell in small["cells"]:
        cell["error"] = [2.0] * 30
    store.write_json(tmp_path / "toy-quick.json", small)
    assert run(tmp_path, "quick seeds=3")["cells"][::3] == larger["cells"][::2]


def test_cells_of_two_commits_are_told_apart(tmp_path, monkeypatch, run):
    run(tmp_path)
    monkeypatch.setattr(experiment, "commit", lambda: {"hash": "of another day"})
    result = run(tmp_path, "quick seeds=2")
    assert [one["commit"].get("hash") == "of another day" for one in result["runs"]] == [False, True]
    assert [cell["run"] for cell in result["cells"]] == [cell["seed"] for cell in result["cells"]]


def test_a_command_with_nothing_left_to_do_says_so_and_leaves_the_file_alone(tmp_path, monkeypatch, run, capsys):
    run(tmp_path)
    (path,) = tmp_path.glob("toy-*.json")
    before = path.read_bytes()
    monkeypatch.setattr(sweep, "now", lambda: "2099-01-01 00:00 UTC")
    run(tmp_path)
    assert capsys.readouterr().out.splitlines() == [
        "0 of 2 cells are finished, 2 to go", "2 of 2 cells are finished, nothing is left to compute"
    ]  # fmt: skip
    assert path.read_bytes() == before


def test_a_rate_with_many_digits_is_found_in_a_result_file(tmp_path, computed, run):
    for _ in range(2):
        run(tmp_path, f"quick corruption_rates={1 / 3}")
        shutil.rmtree(tmp_path / "parts")
    assert len(computed) == 1


def test_a_finished_sweep_needs_no_cluster_any_more(tmp_path, run):
    first = run(tmp_path)
    assert run(tmp_path, address="tcp://127.0.0.1:1")["cells"] == first["cells"]


def other_source(monkeypatch):
    monkeypatch.setattr(experiment, "source_hash", lambda: "0123456789ab")


def test_other_source_that_gives_the_same_numbers_computes_nothing_again(tmp_path, computed, monkeypatch, run):
    first = run(tmp_path)
    other_source(monkeypatch)
    assert run(tmp_path)["cells"] == first["cells"] and len(computed) == 2


@pytest.mark.parametrize("what", ["numbers", "data", "precision"])
def test_another_version_is_written_beside_the_finished_result(tmp_path, computed, monkeypatch, run, toy, capsys, what):
    monkeypatch.delitem(experiment.FILES, "toy")
    deep, options = register(replace(toy, deep=True)), {}
    first = run(tmp_path, one=deep)
    before = (tmp_path / "toy-quick.json").read_bytes()
    if what == "precision":
        options = {"precision": "bfloat16"}
    elif what == "data":
        deep = register(replace(deep, data=lambda config: {"train": "0123456789ab"}))
    else:
        other_source(monkeypatch)
        monkeypatch.setattr("earlystop.runs.results.changed", lambda *_: ["two runs: error 1 → 2"])
    capsys.readouterr()
    second = run(tmp_path, one=deep, **options)
    assert len(computed) == 4 and second["cells"] == first["cells"]
    assert (tmp_path / "toy-quick.json").read_bytes() == before
    assert f"{tmp_path / 'toy-quick.json'} is another result and is kept" in capsys.readouterr().out
    beside = read_json(tmp_path / "toy-quick-2.json")
    assert second["data"] == beside["data"] == ({"train": "0123456789ab"} if what == "data" else {})
    assert beside["runs"][0]["commit"]["source"] == deep.code(deep.config.at("quick"))
    assert [one["runs"][0]["precision"] for one in (first, beside)] == ["float32", options.get("precision", "float32")]
    run(tmp_path, one=deep, **options)  # the second is found again where it is
    assert len(computed) == 4 and len(list(tmp_path.glob("toy-*.json"))) == 2


def test_an_edited_file_outside_the_package_is_other_code(tmp_path, monkeypatch, toy):
    kept = lambda: experiment.Kept(tmp_path, toy, toy.config.at("quick"), "float32").path({"seed": 0})
    code, path = toy.code(toy.config.at("quick")), kept()
    (tmp_path / "toy.py").write_text(experiment.FILES["toy"].read_text() + "# edited")
    monkeypatch.setitem(experiment.FILES, "toy", tmp_path / "toy.py")
    assert toy.code(toy.config.at("quick")) != code and kept() != path
    assert EXPERIMENTS["fig1"].code(EXPERIMENTS["fig1"].config.at("quick")) == provenance.source_hash()


def test_an_edited_file_that_a_size_names_is_other_code(tmp_path, monkeypatch):
    """A remedy of one's own is computed anew when it was improved, whatever the fingerprint of the league says."""
    file, room = tmp_path / "my_remedies.py", EXPERIMENTS["league"]
    monkeypatch.syspath_prepend(tmp_path)
    sizes = league.TINY | {"epochs": 1, "seeds": 1, "noises": ("pair",), "remedies": ("my_remedies:mine",)}
    tests = []
    for factor in ("1.0", "-1.0"):
        file.write_text(f"def mine(outputs, labels):\n    return {factor} * outputs.gather(1, labels[:, None])[:, 0]\n")
        sys.modules.pop("my_remedies", None)
        importlib.invalidate_caches()
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        for _ in range(2):  # and not again when nothing has changed
            config = room.config.at("quick", **sizes)
            path = sweep.run(room, config, "quick", tmp_path / "out", Machine(threads=1), jobs=1)
            tests.append(read_json(path)["cells"])
    assert tests[0] == tests[1] != tests[2] == tests[3]
    assert len(list((tmp_path / "out" / "parts").glob("*.pt"))) == 2


def test_a_cell_keeps_its_first_numbers_whoever_computes_it_again(tmp_path, run, toy):
    """As two commands with other batches may do at the same time."""
    run(tmp_path)
    kept = experiment.Kept(tmp_path, toy, toy.config.at("quick"), "float32")
    cell = {"corruption_rate": 0.3, "seed": 0}
    first, before = kept.finished(cell), kept.path(cell).read_bytes()
    kept.keep(first | {"run": {"error": torch.zeros(30)}})
    assert kept.path(cell).read_bytes() == before


def test_a_checkpoint_is_of_one_device_number_of_threads_and_torch(tmp_path, monkeypatch, toy):
    """What is continued must round alike."""
    kept = experiment.Kept(tmp_path, toy, toy.config.at("quick"), "float32")

    def identity(machine):
        with kept.unfinished([{"corruption_rate": 0.3, "seed": 0}], machine, 60) as checkpoint:
            assert checkpoint.identity in checkpoint.folder.name
            return checkpoint.identity

    found = [identity(one) for one in (Machine(), Machine("cuda"), Machine(threads=2), Machine())]
    monkeypatch.setattr(torch, "__version__", "0")
    assert len({*found, identity(Machine())}) == 4 and found[0] == found[3]


def test_a_checkpoint_of_finished_cells_is_deleted_and_no_other(tmp_path, run, toy):
    """Its process was killed after it kept them; some cells of the others are unfinished, or of another size."""
    finished, more, other = ({"corruption_rate": 0.3, "seed": 0}, {"corruption_rate": 1 / 3, "seed": 7}, {"steps": 9})
    for size, cells in (({}, [finished]), ({}, [finished, more]), (other, [finished])):
        kept = experiment.Kept(tmp_path, toy, toy.config.at("quick", **size), "float32")
        with pytest.raises(KeyError), kept.unfinished(cells, Machine(), 60) as checkpoint:
            checkpoint.save({})
            raise KeyError
    run(tmp_path)
    assert len(list(tmp_path.glob("parts/*.checkpoint/training.pt"))) == 2
    run(tmp_path, "quick corruption_rates=0.3,0.3333333333333333 seeds=8")
    assert len(list(tmp_path.glob("parts/*.checkpoint"))) == 1


def test_what_somebody_else_has_computed_meanwhile_is_not_computed_again(tmp_path, monkeypatch, toy):
    config, cell = toy.config.at("quick"), {"corruption_rate": 0.3, "seed": 0}
    kept = experiment.Kept(tmp_path, toy, config, "float32")
    (finished,) = experiment.compute(toy, config, [cell], Machine(), kept)
    kept.path(cell).unlink()
    waited = kept.unfinished

    @contextmanager
    def unfinished(*arguments):
        with waited(*arguments) as checkpoint:
            kept.keep(finished)  # by the one that was waited for
            yield checkpoint

    monkeypatch.setattr(kept, "unfinished", unfinished)
    monkeypatch.setattr(experiment, "_computed", None)
    (found,) = experiment.compute(toy, config, [cell], Machine(), kept)
    assert torch.equal(found["run"]["error"], finished["run"]["error"])


def test_a_result_in_float32_says_so_whatever_precision_was_chosen(tmp_path, run, toy):
    (how,) = run(tmp_path, precision="bfloat16")["runs"]
    assert not toy.deep and how["precision"] == "float32"
    assert toy.identity(toy.config.at("quick"), "bfloat16") == toy.identity(toy.config.at("quick"), "float32")


def test_the_cells_of_a_batch_are_those_computed_one_by_one(tmp_path, run):
    alone = run(tmp_path / "alone", "quick seeds=2")
    together = run(tmp_path / "together", "quick seeds=2", together=3)
    assert [(r["together"], r["cells"]) for r in alone["runs"]] == [(1, 4)]
    assert sorted((r["together"], r["cells"]) for r in together["runs"]) == [(1, 1), (3, 3)]
    for one, other in zip(alone["cells"], together["cells"]):
        assert (one["corruption_rate"], one["seed"]) == (other["corruption_rate"], other["seed"])
        assert one["error"] == pytest.approx(other["error"], rel=2e-5)  # stored with six digits


@pytest.mark.parametrize(
    ("size", "expected"),
    [(1, [[0], [2], [5], [1], [3], [4]]), (2, [[0, 2], [5], [1, 3], [4]]), (40, [[0, 2, 5], [1, 3, 4]])],
)
def test_a_batch_has_cells_of_one_kind_only(size, expected):
    cells = [{"loss": loss, "number": number} for number, loss in enumerate("ababba")]
    groups = EXPERIMENTS["fig1"].groups(cells, size)
    assert [[cell["number"] for cell in group] for group in groups] == expected


def test_what_takes_turns_in_a_batch_is_kept_one_by_one(tmp_path, monkeypatch):
    """With a GPU 40 cells are a batch; where they take turns, an interrupted one would lose them all."""
    room, done = EXPERIMENTS["shares"], []

    def estimated(*where):
        done.append(where)
        if len(done) == 3:
            raise KeyboardInterrupt
        return {"low": 0.0, "high": 1.0}

    monkeypatch.setattr(shares, "estimated", estimated)
    with pytest.raises(KeyboardInterrupt):
        sweep.run(room, room.config.at("quick"), "quick", tmp_path, Machine(threads=1), jobs=1, together=40)
    assert len(list(tmp_path.glob("parts/shares-*.pt"))) == 2


@pytest.mark.parametrize("jobs", [None, 1, 2, 5])
def test_processes_and_threads_do_not_depend_on_what_is_still_missing(tmp_path, monkeypatch, toy, run, jobs):
    for module in (sweep, machine):
        monkeypatch.setattr(module, "cores", lambda: 6)
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    run(tmp_path, "quick corruption_rates=0.0,0.3,0.6")  # three of four are finished
    seen = []
    monkeypatch.setattr(sweep, "on_this_machine", lambda calls, jobs: seen.append((calls, jobs)) or [])
    for out in (tmp_path, tmp_path / "empty"):
        with pytest.raises(KeyError):  # nothing was computed
            config = toy.config.at("quick", corruption_rates=(0.0, 0.3, 0.6, 0.9))
            sweep.run(toy, config, "quick", out, Machine(), jobs=jobs)
    processes = min(jobs or 6, 4)
    room = 1e9 * max(1, sweep.MEMORY / processes - sweep.BESIDE_JACOBIAN)  # all processes share the memory
    assert {call[3].jacobian_bytes for calls, _ in seen for call in calls} == {room}
    assert [len(calls) for calls, _ in seen] == [1, 4]
    assert {(call[3].threads, found) for calls, found in seen for call in calls} == {(6 // processes, processes)}


@pytest.mark.parametrize(("memory", "processes"), [(6, 1), (12, 1), (23, 1), (24, 2), (99, 2)])
def test_no_more_spectra_at_a_time_than_fit_into_the_memory(monkeypatch, memory, processes):
    monkeypatch.setattr(sweep, "cores", lambda: 8)
    one = EXPERIMENTS["fig4c"]  # at this scale, two outputs
    assert sweep.side_by_side(one, one.config.at("paper"), Machine(), None, None, memory) == (processes, 1)


def test_torch_is_at_work_as_told_and_afterwards_as_before():
    threads, deterministic = torch.get_num_threads(), torch.backends.cudnn.deterministic
    with pytest.raises(KeyError), Machine(threads=threads + 1).at_work():
        assert (torch.get_num_threads(), torch.backends.cudnn.deterministic) == (threads + 1, True)
        raise KeyError
    assert (torch.get_num_threads(), torch.backends.cudnn.deterministic) == (threads, deterministic)
    with Machine().at_work():
        assert torch.get_num_threads() == threads


@pytest.mark.parametrize(("wanted", "found"), [("", 3), ("2", 2), ("9", 3), ("2,1", 2)])
def test_the_threads_of_a_process_are_those_of_openmp(monkeypatch, wanted, found):
    monkeypatch.setattr(machine, "cores", lambda: 6)
    monkeypatch.setenv("OMP_NUM_THREADS", wanted)
    assert machine.threads(2) == found


def test_the_cost_is_extrapolated_from_two_small_runs(monkeypatch, toy):
    clock = [0.0]

    def runs(config, cells, checkpoint, machine):
        clock[0] += 0 if clock[0] else 99  # the very first run
        clock[0] += 5 + 0.25 * config.steps * len(cells)  # five seconds to get going
        return [{} for _ in cells]

    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    slow, config = replace(toy, runs=runs), toy.config.at("quick", steps=1000, seeds=6)  # 12 cells
    for jobs in (1, 4):
        assert sweep.estimate(slow, config, Machine(), jobs) == pytest.approx(12 / jobs * 250)
    assert sweep.estimate(replace(slow, work=lambda config: 1), config, Machine(), 1) == 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 seconds"), (89, "89 seconds"), (90, "2 minutes"), (7200, "2 hours"), (200_000, "2 days")],
)
def test_a_duration_is_told_in_the_unit_of_a_person(seconds, text):
    assert duration(seconds) == f"about {text}"


# ------------------------------------------------------------------------ what is stored


def test_a_result_says_where_it_comes_from_and_has_the_numbers_of_the_runs(tmp_path, run, toy):
    result, config = run(tmp_path), toy.config.at("quick")
    assert (result["schema"], result["experiment"], result["scale"]) == (SCHEMA, "toy", "quick")
    assert result["config"] == json.loads(json.dumps(vars(config)))
    assert result["data"] == {} and result["fingerprint"]["numbers"] == fingerprint.fingerprint(toy)
    (how,) = result["runs"]
    assert how["commit"] == provenance.commit() | {"source": toy.code(config)}
    assert how["cells"] == 2 and how["precision"] == "float32" and how["device"].startswith("cpu")
    assert how["versions"] == provenance.versions() and how["threads"] == how["together"] == 1
    assert 0 < how["seconds"] < 600 and 0.05 < how["peak memory in GB"] < 50
    began, ended = (time.strptime(one, "%Y-%m-%d %H:%M UTC") for one in (how["started"], result["finished"]))
    assert began <= ended <= time.gmtime()
    for cell, rate in zip(result["cells"], (0.0, 0.3), strict=True):
        (expected,) = toy.runs(config, [{"corruption_rate": rate, "seed": 0}], None, Machine())
        assert cell == {"corruption_rate": rate, "seed": 0, "run": 0, "error": cell["error"]}
        assert cell["error"] == pytest.approx(expected["error"].tolist(), rel=1e-5)


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_downloaded_data_are_named_by_the_hash_of_their_pixels(name):
    one = EXPERIMENTS["fig1"]
    config = one.config.at("quick", data=name)
    assert one.identity(config, "float32")["data"] == one.data(config) == HUB[name][3]
    assert len(HUB[name][3]["train"]) == 64


def test_a_result_without_changes_and_a_large_one_have_names_of_their_own(tmp_path, monkeypatch, run):
    first = run(tmp_path, "quick steps=3 corruption_rates=0.2,0.5")
    monkeypatch.setattr(sweep, "LARGE", 100)
    run(tmp_path, "quick steps=3 corruption_rates=0.5,0.2")
    long = run(tmp_path, "quick steps=3 corruption_rates=0.2,0.5,0.1,0.11,0.12,0.13,0.14,0.15")
    names = sorted(path.name for path in tmp_path.glob("toy-*"))
    assert names[1:] == ["toy-quick-steps_3-corruption_rates_0.2+0.5.json",
                         "toy-quick-steps_3-corruption_rates_0.5+0.2.json.gz"]  # fmt: skip
    assert re.fullmatch("toy-quick-[0-9a-f]{12}.json.gz", names[0]) and long["cells"][:2] == first["cells"]


# ------------------------------------------------------------------------ what is told and refused


@pytest.mark.leg
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs signals")
def test_a_process_ended_by_the_system_is_told_with_what_to_do(monkeypatch):
    monkeypatch.setattr(sweep, "run_group", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(store.StoreError, match="the same command goes on.*--jobs 1"):
        list(sweep.on_this_machine([("one",), ("two",)], 2))


def command(monkeypatch, *arguments):
    """Exit code of the command line in this process."""
    monkeypatch.setattr(sys, "argv", ["earlystop", *map(str, arguments)])
    monkeypatch.setattr(sys.stdout, "reconfigure", lambda **_: None, raising=False)
    with pytest.raises(SystemExit) as end:
        __main__.main()
    return end.value.code


def assert_refused(code, errors, culprit, remedy):
    """Exit code 2, and one line that names the culprit and what to do."""
    assert code == 2 and re.fullmatch("error: [^\n]+\n", errors), errors
    assert culprit in errors and remedy in errors


@pytest.mark.parametrize(
    ("arguments", "culprit", "remedy"),
    [
        (["fig9"], "no experiment 'fig9'", "fig1, fig3, fig4ab, fig4c"),
        (["fig1", "fig2"], "no experiment 'fig2'", "fig1"),
        (["fig1", "--set", "cuont=3"], "no size 'cuont'", "it has data, train_size"),
        (["fig5", "fig1", "--set", "iterations=1"], "no size 'iterations'", "it has data"),
        (["fig1", "--set", "epochs=many"], "epochs='many'", "should look like 60"),
        (["fig1", "--set", "widths=a,b,c"], "widths='a,b,c'", "should look like (32, 64, 128)"),
        (["fig1", "--set", "epochs"], "'epochs'", "or --set epochs=3"),
        (["fig1", "--seeds", "-1"], "seeds is -1", "should be 1 or more"),
        (["fig1", "--set", "corruption_rates=0,1.5"], "corruption_rates is 1.5",
         "between 0 and 1"),
        (["fig5", "--set", "corruption_rate=nan"], "corruption_rate is nan", "should be between 0 and 1"),
        (["fig1", "--scale", "huge"], "scale 'huge'", "use one of quick, colab, paper"),
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
        (["fig1", "--set", "scale=paper"], "no size 'scale'", "it has data"),
        (["fig1", "--set", "data=svhn"], "data set 'svhn' is unknown", "use one of digits, mnist, cifar10"),
        (["fig1", "--set", "widths=4,5"], "widths is (4, 5)", "3 numbers, as (64, 128, 256)"),
        (["fig1", "--set", "test_size=0"], "test_size is 0", "should be 1 or more"),
        (["fig4c", "--set", "classes=3,3"], "classes is (3, 3)", "only once"),
        (["fig4c", "--set", "classes=0,11"], "classes has 11", "0, 1, 2"),
        (["fig4ab", "--set", "corruption_rates=0.01", "--set", "train_size=30"],
         "corruption_rates has 0.01", "wrong labels"),
        (["fig4ab", "--set", "corruption_rates=0,0.5"], "corruption_rates has 0", "wrong labels"),
        (["fig1", "--set", "train_size=2000"], "2,400 images asked for", "has 1,400"),
        (["fig1", "--set", "corruption_rates=0.3,0.3"], "corruption_rates is (0.3, 0.3)", "once"),
        (["fig1", "--set", "corruption_rates=0.3,0.3000001"], "0.3000001", "only once (numbers count to 6 digits)"),
        (["fig4c", "--set", "heads=single,single"], "heads is", "only once"),
        (["fig4ab", "--set", "width=0"], "width is 0", "should be 1 or more"),
        (["fig1", "--set", "widths=0,4,4"], "widths is 0", "should be 1 or more"),
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


def test_a_number_of_threads_that_is_none_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    code = command(monkeypatch, "run", "fig5", "--yes", "--out", tmp_path)
    assert_refused(code, capsys.readouterr().err, "OMP_NUM_THREADS is 'many'", "number of threads")


def test_a_folder_with_a_name_that_is_too_long_is_refused(tmp_path, monkeypatch, capsys):
    code = command(monkeypatch, "run", "fig5", "--yes", "--out", tmp_path / ("x" * 300))
    assert_refused(code, capsys.readouterr().err, "cannot write", "another folder with --out")


def test_a_file_in_place_of_the_output_folder_is_refused(tmp_path, monkeypatch, capsys, computed):
    (tmp_path / "out").write_text("I am a file")
    code = command(monkeypatch, "run", "fig5", "--yes", "--out", tmp_path / "out")
    errors = capsys.readouterr().err
    assert_refused(code, errors, str(tmp_path / "out"), "another folder with --out")
    assert computed == []  # found before the work


def test_the_list_has_every_experiment_with_its_sizes(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["earlystop", "list"])
    __main__.main()
    blocks = capsys.readouterr().out.strip().split("\n\n")
    assert len(blocks) == len(EXPERIMENTS)
    for block, (name, one) in zip(blocks, EXPERIMENTS.items()):
        first, header, *lines = block.splitlines()
        assert first == f"{name}: {one.title}"
        assert header.split() == ["quick", "colab", "paper"]
        assert [line.split()[0] for line in lines] == list(one.config.fields())


def test_a_last_group_that_is_computed_here_is_not_ended_with_a_parent(toy, tmp_path, monkeypatch):
    watched, rate = [], {"corruption_rates": "0.3"}
    monkeypatch.setattr(sweep, "end_with", watched.append)
    for seeds in (1, 2):  # of two groups one is left: joblib makes no process for it
        sweep.run(toy, toy.config.at("quick", seeds=seeds, **rate), "quick", tmp_path, Machine(), jobs=2)
    assert watched == []
    config = toy.config.at("quick", seeds=3, **rate)
    call = (toy.config.__module__, toy.name), vars(config), toy.all_cells(config), Machine(), tmp_path, 60.0
    sweep.run_group(*call, os.getppid())
    assert watched == [os.getppid()]
