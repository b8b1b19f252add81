"""The stored results: whole, honest about their scale, small, and current or marked as stale."""

import copy
import html
import re
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import silent
import torch
from torch import nn

from earlystop.figures import EXPERIMENTS, fig1
from earlystop.runs import results
from earlystop.runs.results import read_result
from earlystop.runs.store import SCHEMA, StoreError, digest, read_json, write_json
from earlystop.training import ImageStack

FOLDER = Path(__file__).resolve().parents[1] / "book" / "results"
PATHS = [path for path in sorted(FOLDER.glob("*.json*")) if read_json(path).get("experiment") in EXPERIMENTS]
RESULTS = {path.name: results.Result(path, read_result(path)) for path in PATHS}
each = pytest.mark.parametrize("name", RESULTS)


def test_every_result_is_shown_somewhere():
    """A file that no page draws would leave the reader guessing which one counts."""
    calls = [
        dict(re.findall(r'(\w+)="(\w+)"', f"name={call}"))
        for page in FOLDER.parent.glob("*.md")
        for call in re.findall(r"page\.load\(([^)]*)\)", page.read_text(encoding="utf8"))
    ]
    shown = {results.load(**call).path.name for call in calls if call}
    assert {call["name"] for call in calls if call} == set(EXPERIMENTS)
    assert shown == set(RESULTS)


# Of every file the numbers that it holds, its fingerprint's included: they change with a new run, and by nothing else.
NUMBERS = {
    "clocks-paper.json.gz": "cce5acddade1",
    "diffuseness-colab-samples_2000-widths_64+128+256-seeds_3.json": "f690c3bc00cc",
    "examples-paper.json": "1cccdc5f7a33",
    "fig1-paper-070493d1e503.json": "ef12f6de876d",
    "fig1-paper-losses_least_squares-seeds_3.json": "b488dac63d80",
    "fig3-paper.json": "91a407d98a2e",
    "fig4ab-paper.json": "75ff4b5d9d7d",
    "fig4c-paper.json.gz": "5db6a45e3e70",
    "fig5-paper.json.gz": "e97a1249e9c5",
    "fig5control-paper.json": "b0f20bf0d57c",
    "growth.json": "c18b973d3c79",
    "human-paper.json": "76be97e9d145",
    "league-paper-81b7269ab7bb.json.gz": "307f70523a8d",
    "league-paper.json.gz": "a8fb81c06fc1",
    "outputscale-paper.json": "d90234a163b9",
    "proved-paper.json": "218dc0db734f",
    "recipes-paper-552026ee6f48.json": "af169472fc3e",
    "ridge-paper.json": "b94d0db8352b",
    "shares-paper.json": "249a08e9cf07",
    "silent.json": "86b06902897a",
    "stopping-paper.json.gz": "07ddfdb0b327",
    "structured-paper.json": "50b058e3c2c4",
    "suspects-paper-81b7269ab7bb.json": "88ed7b9d4f03",
    "suspects-paper.json": "646bdd9e7869",
    "suspects-quick.json": "960b94ea04c0",
    "theorem22-paper.json.gz": "99ac30e9dccf",
    "transient-paper-epochs_2.json": "7b2a78e14457",
    "unstopped-paper.json": "e9bd48e09880",
}


def test_no_stored_number_has_changed():
    parts = ("config", "runs", "cells", "rows", "series", "fingerprint")
    found = {path.name: read_json(path) for path in sorted(FOLDER.glob("*.json*")) if path.name != "findings.json"}
    assert {name: digest([one.get(part) for part in parts]) for name, one in found.items()} == NUMBERS


def test_all_results_together_are_small():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 5e6


@each
def test_a_result_says_where_it_comes_from(name):
    result = RESULTS[name]
    assert result["schema"] == SCHEMA and len(result["cells"]) > 0
    for run in result["runs"]:
        assert {"device", "precision", "threads", "together", "versions", "commit"} <= run.keys()
        assert run["seconds"] > 0 and run["peak memory in GB"] > 0
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", run["started"])
        assert {"Python", "torch", "numpy"} <= run["versions"].keys()
    assert sum(run["cells"] for run in result["runs"]) == len(result["cells"])


@each
def test_a_result_has_the_configuration_of_its_scale_and_all_of_its_cells(name):
    result = RESULTS[name]
    experiment = EXPERIMENTS[result["experiment"]]
    scale, *changes = result["scale"].split()
    config = experiment.config.at(scale, **dict(change.split("=", 1) for change in changes))
    stored = {k: tuple(v) if isinstance(v, list) else v for k, v in result["config"].items()}
    later = {key: size.before for key, size in config.fields().items() if key not in stored}
    assert None not in later.values()  # what held before a size was there is known
    config = replace(config, **later)
    assert vars(config) == experiment.config.completed(stored) == later | stored
    asked = experiment.all_cells(config)
    assert [{key: cell[key] for key in asked[0]} for cell in result["cells"]] == asked
    assert result["data"] == experiment.data(config)


@each
def test_a_result_is_drawn_and_credited(name):
    result = RESULTS[name]
    for draw in result.experiment.draw.values():
        figure = draw(result)
        axes = figure.get_axes()
        assert axes and all(ax.has_data() for ax in axes)
        assert any(ax.get_xlabel() for ax in axes)
        assert any(ax.get_ylabel() for ax in axes) or all(ax.get_title() for ax in axes)  # it names what is upward
        plt.close(figure)
    text = results.credit(result)
    whole, own = not result.unlike_paper(), result.experiment.own
    line, fold = text.split("</summary>")
    assert ("sizes the paper's; " in line, "sizes this book's own; " in line) == (whole and not own, whole and own)
    other = "smaller than" in line or "sizes not" in line or "not the usual sizes" in line
    assert other == (" instead of " in fold) == (not whole) and "[" not in text
    assert result.seeds in line and len(re.sub("<.*?>", "", line)) < 110
    assert own or not all(size.ours for size in result.experiment.config.fields().values())
    assert html.escape(result.command) in text and result["runs"][0]["device"] in text


def test_the_credit_names_sizes_that_are_not_the_papers():
    whole = results.load("fig3")
    text = results.credit(changed(whole, config=whole["config"] | {"train_size": 9}))
    line, fold = text.split("</summary>")
    assert "; smaller than the paper's; 3 seeds" in line and "\n" not in text
    assert html.escape("not the paper's: train size 9 instead of 3,000.") in fold
    assert "--set streams=shared" in results.load("fig1").command
    assert "--set streams" not in results.load("fig3").command


def test_only_what_is_less_in_every_size_is_called_smaller():
    whole = results.load("fig1")
    rates, size = (whole["config"][key] for key in ("corruption_rates", "train_size"))

    def words(**changes):
        one = changed(whole, config=whole["config"] | changes)
        return one.extent, one.sizes

    assert words() == ("sizes the paper's", "the paper's")
    extent, sizes = words(corruption_rates=[0.0, 0.5], train_size=7)
    assert extent == "smaller than the paper's" and "corruption rates 0, 0.5 instead of 0, 0.1, 0.2" in sizes
    for more in ({"train_size": size + 1}, {"corruption_rates": [*rates, 2.0]}, {"corruption_rates": rates[::-1]}):
        assert words(**more | {"epochs": 1})[0] == "sizes not the paper's"


def test_the_credit_adds_up_what_several_runs_cost(result):
    one = result["runs"][0] | {"seconds": 90.0, "peak memory in GB": 2.5, "device": "D", "precision": "float32"}
    runs = [one, one | {"seconds": 30.0, "peak memory in GB": 1.0, "precision": "bfloat16"}]
    several = changed(result, runs=runs)
    text = results.credit(several)
    assert "; 1 seed, D.</summary>" in text and "Computed on D, bfloat16; D, float32:" in text
    assert " 2.0 minutes of all processes added up, at most 2.5 GB" in text
    assert "--precision" not in text and "--precision float32" in results.credit(changed(result, runs=runs[:1]))
    assert "--precision" not in results.load("fig5").command  # it has no other one


def test_silent_images_and_dead_units_are_counted():
    net = nn.Sequential(nn.Flatten(), nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 10))
    with torch.no_grad():
        for parameter, values in zip(
            net.parameters(), ([[1.0], [0.0]], [-0.5, -1.0], torch.zeros(10, 2), torch.eye(10)[3])
        ):
            parameter.copy_(torch.as_tensor(values))  # units x - ½, and -1; every output is 3
    pixels = torch.tensor([0, 255, 100], dtype=torch.uint8).view(1, 3, 1, 1, 1)
    images = ImageStack(pixels, torch.zeros(1), torch.ones(1))
    found = silent.silence(net, images, torch.tensor([3, 3, 0]), batch_size=2)
    assert found == pytest.approx({
        "fitted": 2 / 3, "dead units": 1 / 2, "units on": 1 / 3, "silent images": 2 / 3,
        "not fitted": 1 / 3, "silent and not fitted": 1 / 3,
    })  # fmt: skip


# ------------------------------------------------------------- files that are not in the book


def changed(result, **top):
    content = copy.deepcopy(result.content)
    return results.Result(result.path, content | top)


@pytest.fixture
def result():
    return RESULTS["fig1-paper-070493d1e503.json"]


def test_another_number_makes_a_result_stale_and_is_named(result):
    assert result.stale == [] and "other numbers now" not in results.credit(result)
    fingerprint = copy.deepcopy(result["fingerprint"])
    fingerprint["numbers"]["side by side"]["test loss"][0] *= 2
    (told,) = changed(result, fingerprint=fingerprint).stale
    assert told.startswith("fig1, side by side: test loss ")
    text = results.credit(changed(result, fingerprint=fingerprint))
    assert f"<b>Its code gives other numbers now</b> ({told})" in text
    assert "no fingerprint" in changed(result, fingerprint={}).stale[0]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_only_the_papers_sizes_count_as_the_papers(name):
    kind = EXPERIMENTS[name].config
    if EXPERIMENTS[name].own or all(size.ours for size in kind.fields().values()):
        return  # an experiment that the paper has not

    def stored(**changes):
        config = vars(kind.at("paper")) | changes
        listed = {k: list(v) if isinstance(v, tuple) else v for k, v in config.items()}
        return results.Result(Path("x"), {"experiment": name, "config": listed})

    assert stored().unlike_paper() == {}
    assert stored(seeds=1).unlike_paper() == {}  # the paper does not say how many
    size = "train_size" if "train_size" in kind.fields() else "samples"
    assert stored(**{size: 7}).unlike_paper() == {size: (7, getattr(kind.at("paper"), size))}
    if "data" in kind.fields():
        quick = vars(kind.at("quick"))
        assert "data" in stored(**quick).unlike_paper()
    left_open = next(key for key, size in kind.fields().items() if size.ours)
    assert stored(**{left_open: 9}).unlike_paper() == {}


def test_the_largest_scale_is_shown_and_then_the_nearest_to_the_paper(tmp_path, result):
    name = result["experiment"]
    for file, scale, finished in (
        ("quick", "quick", "2"), ("paper", "paper", "1"), ("paper-x", "paper seeds=1", "3"),
        ("colab", "colab", "4"),
    ):  # fmt: skip
        config = {k: v for k, v in vars(EXPERIMENTS[name].config.at(scale.split()[0])).items()}
        content = result.content | {"scale": scale, "finished": finished, "config": config}
        write_json(tmp_path / f"{name}-{file}.json", content)
    assert results.load(name, tmp_path).path.name == f"{name}-paper.json"
    small = vars(EXPERIMENTS[name].config.at("paper")) | {"train_size": 7}  # by an edited scale
    write_json(tmp_path / f"{name}-z.json", result.content | {"scale": "paper", "finished": "9", "config": small})
    assert results.load(name, tmp_path).path.name == f"{name}-paper.json"
    with pytest.raises(StoreError, match="python -m earlystop run"):
        results.load("fig1" if name != "fig1" else "fig3", tmp_path)


def test_a_result_with_a_level_may_be_of_a_smaller_scale(tmp_path):
    whole, part = (EXPERIMENTS["fig1"].config.at(scale) for scale in ("paper", "colab"))
    for scale, config, losses in (("paper", whole, ["one"]), ("colab", part, ["one", "two"])):
        content = results.load("fig1").content | {"scale": scale, "finished": "1"}
        write_json(tmp_path / f"fig1-{scale}.json", content | {"config": vars(config) | {"losses": losses}})
    assert results.load("fig1", tmp_path)["scale"] == "paper"
    assert results.load("fig1", tmp_path, losses="one")["scale"] == "paper"
    assert results.load("fig1", tmp_path, losses="two")["scale"] == "colab"
    with pytest.raises(StoreError, match="--set losses=three"):
        results.load("fig1", tmp_path, losses="three")


def test_the_folder_of_results_is_found_from_anywhere(tmp_path, monkeypatch):
    (tmp_path / "book" / "results").mkdir(parents=True)
    (tmp_path / "notebooks" / "deep").mkdir(parents=True)
    for start in ("", "book", "notebooks/deep"):
        assert results.folder(tmp_path / start) == tmp_path.resolve() / "book" / "results"
    assert list(results.folder(Path("/")).glob("fig1-*.json"))  # the package's own
    monkeypatch.setattr(results, "__file__", str(tmp_path / "some" / "where" / "earlystop" / "runs" / "results.py"))
    with pytest.raises(StoreError, match="open this in a copy of the book"):
        results.folder(Path("/"))


def test_a_rule_stops_where_its_own_labels_say():
    cell = {
        "epoch": [0, 1, 2, 3, 5],
        "validation": [0.9, 0.1, 0.5, 0.8, 0.8],
        "noisy_validation": [0.1, 0.3, 0.7, 0.2, 0.1],
    }
    config = {"train_size": 5000, "batch_size": 100}  # 50 steps an epoch
    stops = {rule: fig1.stop_at(cell, rule, config) for rule in fig1.STOPS}
    assert stops == {"validation": 3, "noisy_validation": 2, "fixed": 3}
    assert fig1.stop_at(cell, "fixed", config | {"train_size": 100_000}) == 1
    start = {key: values[:1] for key, values in cell.items()}  # no epoch of training
    assert all(fig1.stop_at(start, rule, config) == 0 for rule in fig1.STOPS)


def test_numbers_and_levels_of_a_sweep():
    cells = [{"seed": s, "rate": r, "curve": [s, r]} for r in (0.5, 0.1) for s in (0, 1)]
    one = results.Result(Path("x.json"), {"cells": cells})
    np.testing.assert_allclose(one.numbers("curve", rate=0.1), [[0, 0.1], [1, 0.1]])
    assert one.levels("rate") == [0.5, 0.1] and len(one.select(seed=1)) == 2
    with pytest.raises(StoreError, match=r"no cell with \{'rate': 0.2\}"):
        one.select(rate=0.2)


def test_a_result_is_cut_after_an_epoch_and_what_is_no_curve_stays():
    cells = [{"epoch": [0, 1, 5, 9], "true": [0.1, 0.9, 0.8, 0.7], "counts": [3, 4], "seed": 1}]
    whole = results.Result(Path("x.json"), {"cells": cells, "scale": "quick"})
    cut = {"epoch": [0, 1, 5], "true": [0.1, 0.9, 0.8], "counts": [3, 4], "seed": 1}
    assert whole.until(6)["cells"] == whole.until(5)["cells"] == [cut]
    assert whole.until(9)["cells"] == cells == whole["cells"] and whole.until(5)["scale"] == "quick"
