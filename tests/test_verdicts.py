"""What the rooms of the figures count and draw of their results, from made-up values."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgba

from earlystop import plots
from earlystop.figures import EXPERIMENTS, fig1, fig3, fig4ab, fig4c, fig5, pictures
from earlystop.metrics import loss_shares
from earlystop.runs import results
from earlystop.runs.results import Result
from earlystop.runs.store import plain

T = torch.tensor

# --------------------------------------------------------------------- made-up results


def made(name, cells, scale="paper", **config):
    """A result with these cells, at the paper's sizes but for some."""
    sizes = plain(vars(EXPERIMENTS[name].config.at(scale))) | config
    return Result(Path("made-up.json"), {"experiment": name, "config": sizes, "cells": cells})


def numbers(*shape, seed):
    """Numbers between 0 and 1 that are never alike."""
    return np.random.default_rng(seed).random(shape).round(6).tolist()


def fig1_cell(rate=0.5, early=0.9, late=0.5, given=0.97, loss="least_squares", seed=0):
    """A run that true validation labels stop at the second of five measurements, wrong ones at the third."""
    true, noisy = [0.1, early, 0.7, 0.6, late], [0.1, 0.4, 0.5, given - 0.001, given]
    return {"loss": loss, "corruption_rate": rate, "seed": seed, "epoch": [0, 1, 2, 3, 9], "true": true, "noisy": noisy,
            "test": [0.0, *numbers(4, seed=seed + int(100 * rate))],
            "validation": [0, 9, 8, 7, 6], "noisy_validation": [0, 1, 2, 1, 1]}  # fmt: skip


def fig3_cell(rate, ways, layers, accuracy=(0.1, 0.9, 0.95), seed=0):
    return {"corruption_rate": rate, "seed": seed, "epoch": [0, 1, 2], "distance": [0, *ways],
    "accuracy": list(accuracy),
            "distance_per_layer": [0, *layers], "loss": numbers(3, seed=int(100 * rate))}  # fmt: skip


# Two rates that lie apart, seed by seed, and a third that only some seeds tell from the first.
TRIPLES = [
    fig3_cell(rate, (way, end), (way, 2 * way), seed=seed)
    for rate, pairs in (
        (0.1, ((1.0, 2.0), (1.0, 2.0), (1.0, 2.0))),
        (0.3, ((1.5, 3.0), (1.7, 3.0), (1.6, 3.0))),
        (0.2, ((0.9, 2.0), (1.5, 2.1), (0.95, 1.9))),
    )
    for seed, (way, end) in enumerate(pairs)
]


def fig4ab_cell(rate, overlap, clean=0.1, wrong=0.6, seed=0):
    """A run of Figure 4ab with three stops; its curves beside the best epoch are made up."""
    curves = {
        key: numbers(4, seed=i + seed + int(100 * rate)) for i, key in enumerate(("noisy", "true", "test", "auroc"))
    }
    at = {"overlap": overlap, "clean_loss": clean, "flipped_loss": wrong}
    bars = {f"{group}_{stop}": numbers(10, seed=seed + 40 * i + j) for i, group in enumerate(("clean", "flipped"), 1)
            for j, stop in enumerate(("best", "agreement", "last"))}  # fmt: skip
    return {"corruption_rate": rate, "seed": seed, "epoch": [0, 1, 2, 4], **curves, **bars,
            **{key: [0.5, value, 0.5, 0.5] for key, value in at.items()},
            "stop_best": 1, "stop_agreement": 2, "stop_last": 4}  # fmt: skip


def fig4c_cell(counts=(12, 15), drop=1.5, head="single", n=200):
    """Spectra with one value far above the others, which fall by the factor `drop` after the third."""
    cell = {"head": head, "seed": 0, "accuracy": 0.987, "flipped": 0.15}
    for i, (time, count) in enumerate(zip(("before", "after"), counts)):
        values = (0.99 - 0.002 * i) ** np.arange(n) / np.where(np.arange(n) > 2, drop, 1)
        values[0] = 5
        cell |= {f"singular_values_{time}": values.tolist(), f"above_tenth_{time}": count}
        cell |= {f"{key}_within_{time}": np.linspace(0.1 + i / 9, 1, n).tolist() for key in ("labels", "flips")}
    return cell


def fig5_cells(early=0.02, late=0.15, given=0.02, shared=0.6, seeds=2):
    base, cells = fig5.paper_cell(fig5.Figure5.at("paper")), []
    settings = [base, *(base | {key: value} for key, values in fig5.SWEEPS.items() for value in values)]
    for number, setting in enumerate(one | {"seed": seed} for one in settings for seed in range(seeds)):
        own = {
            key: numbers(10, seed=number + i)
            for i, key in enumerate(f"{g}_{w}" for g in ("clean", "flipped") for w in ("early", "late"))
        }
        shift = 0 if number < seeds else number / 1000  # the first ones are at the paper's setting
        cells.append(setting | own | {
            "iteration": [0, 80, 4500], "error_true": [0.5, early + shift, late + shift], "error_given": [0.5, 0.16,
            given],
            "distance": [0, 1, 2], "flipped": 0.15, "fresh_error_early": 0.01, "fresh_error_late": 0.08,
            "overlap_late": shared})  # fmt: skip
    return cells


# --------------------------------------------------------------------- what is drawn


CURVES = (("noisy", "training, given labels"), ("true", "training, true labels"), ("test", "test"))


def drawn(ax):
    """Curves of a panel by their label; histograms, too."""
    curves = {line.get_label(): np.asarray(line.get_xydata()) for line in ax.lines}
    bars = {bar.get_label(): bar.get_data().values for bar in ax.patches if hasattr(bar, "get_data")}
    return curves, bars


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def test_figure_1_stops_where_its_titles_say():
    rates, seeds = (0.8, 0.2), (0, 1)
    cells = [
        fig1_cell(rate, 0.9 - rate / 9, 0.6 - rate / 9, 0.9 + rate / 99, seed=seed) for rate in rates for seed in seeds
    ]
    result = made("fig1", cells, train_size=100, batch_size=2)
    late, early = fig1.draw(result).axes
    (rules,) = fig1.draw_rules(result).axes
    assert [ax.get_title() for ax in (late, early)] == ["a: trained to the end, epoch 200", "b: stopped early"]
    at = {"true validation labels": 1, "validation labels drawn again, too": 2, "always epoch 3": 3, "last epoch": -1}
    for ax, index in ((late, -1), (early, 1)):
        curves, _ = drawn(ax)
        assert np.allclose(curves["1 − 0.9ρ′"], [[0, 1], [100, 0.1]])
        for key, label in CURVES:
            mean = [np.mean([c[key][index] for c in cells if c["corruption_rate"] == rate]) for rate in sorted(rates)]
            assert np.allclose(curves[label], np.stack([[20, 80], mean], axis=1))
    curves, _ = drawn(rules)
    assert {label: curves[label][0, 1] for label in at} == pytest.approx(
        {
            label: np.mean([c["test"][index] for c in cells if c["corruption_rate"] == 0.2])
            for label, index in at.items()
        }
    )


def test_losses_are_drawn_beside_each_other():
    least, crossed = (
        made("fig1", [fig1_cell(rate, late=late, loss=loss) for rate in (0.2, 0.8)], train_size=100, batch_size=2)
        for loss, late in (("least_squares", 0.5), ("cross_entropy", 0.4))
    )
    late, early = fig1.draw_losses({"least_squares": least, "cross_entropy": crossed}).axes
    for ax, ends in ((late, (0.5, 0.4)), (early, (0.9, 0.9))):
        for loss, end in zip(("least squares", "cross-entropy"), ends):
            assert drawn(ax)[0][f"true labels, {loss}"].tolist() == [[20, end], [80, end]]


def test_runs_of_a_page_are_read_as_stored_ones_are():
    config = fig1.Figure1.at("quick", corruption_rates=(0.2, 0.8), seeds=2)
    cells = [fig1_cell(rate, seed=seed) for rate in (0.2, 0.8) for seed in (0, 1)]
    run = lambda cell: {key: value for key, value in cell.items() if key not in ("loss", "corruption_rate", "seed")}
    live = fig1.gather(
        config, {rate: [run(one) for one in cells if one["corruption_rate"] == rate] for rate in (0.2, 0.8)}
    )
    assert live["cells"] == cells
    assert fig1.average(live, "test", "validation", 0.5, 0.9) == pytest.approx(
        np.mean([c["test"][1] for c in cells[2:]])
    )
    losses = T([[0.1, 0.2, 0.9, 0.8], [0.2, 0.9, 0.1, 0.8]])
    curves = {"epoch": [0, 1], "noisy": [0.1, 0.9], "validation": [0.5, 0.2]}
    history = fig4ab.LossHistory(losses, T([False, False, True, True]), curves)
    found = fig4ab.gather(fig4ab.Figure4ab.at("quick"), {0.3: [history]})
    assert (
        fig4ab.at_stop(found, "auroc", 0.3, "best").tolist() == [1]
        and fig4ab.average(found, "auroc", 0.3, "last") == 0.25
    )
    assert fig4ab.mean_losses(found) == [["30%", "0.04", "0.74", "0.15", "0.85"]]


def test_the_auroc_erodes_by_what_it_loses_from_its_best_where_that_is_least():
    curves = {0.3: ([0.5, 0.9, 0.8], [0.5, 0.9, 0.6]), 0.5: ([0.4, 0.8, 0.75], [0.4, 0.8, 0.75])}
    cells = [{"corruption_rate": rate, "auroc": one} for rate, runs in curves.items() for one in runs]
    assert fig4ab.eroded(made("fig4ab", cells)) == pytest.approx(0.05)


def test_figure_3_draws_both_readings_of_the_distance():
    cells = [fig3_cell(rate, numbers(2, seed=1), numbers(2, seed=2), numbers(3, seed=3)) for rate in (0.0, 0.3)]
    for key in ("distance", "distance_per_layer"):
        for ax, measure in zip(fig3.draw(made("fig3", cells), key).axes, ("accuracy", "loss")):
            curves, _ = drawn(ax)
            assert all(
                np.allclose(curves[f"{c['corruption_rate']:.0%}"], np.transpose([c[key], c[measure]])) for c in cells
            )


def test_both_readings_of_the_distance_in_figure_3_stand_in_one_table():
    header, rows = fig3.readings(made("fig3", TRIPLES))
    assert header[1:] == ["all weights, at 90%", "all weights, at the end", "mean over tensors, at 90%",
                          "mean over tensors, at the end"]  # fmt: skip
    assert rows == [["10%", "1.00", "2.00", "1.00", "2.00"], ["20%", "1.12", "2.00", "1.12", "2.23"],
                    ["30%", "1.60", "3.00", "1.60", "3.20"]]  # fmt: skip


def test_figures_4a_and_4b_tell_clean_from_flipped_at_the_best_epoch():
    cells = [fig4ab_cell(rate, 0.2, seed=seed) for rate in (0.3, 0.5) for seed in (0, 7)]
    result = made("fig4ab", cells)
    for top, bottom, rate in zip(fig4ab.draw(result).axes, fig4ab.draw_along(result).axes, (0.3, 0.5)):
        here = [cell for cell in cells if cell["corruption_rate"] == rate]
        _, bars = drawn(top)
        for label, key in (("given label is right", "clean_best"), ("given label is wrong", "flipped_best")):
            assert np.allclose(bars[label], np.mean([cell[key] for cell in here], axis=0))
        assert [line.get_xdata()[0] for line in top.lines] == pytest.approx([0.45 * rate**2, 1 - rate + 0.45 * rate**2])
        curves, _ = drawn(bottom)
        for key, label in (("auroc", "AUROC of the loss"), *CURVES):
            assert np.allclose(curves[label].T, [[0, 1, 2, 4], np.mean([cell[key] for cell in here], axis=0)])


def test_a_rule_without_clean_labels_costs_test_accuracy():
    cells = [fig4ab_cell(0.3, 0.2, seed=seed) for seed in (0, 7)]
    lost = np.mean([cell["test"][1] - cell["test"][2] for cell in cells])
    assert fig4ab.cost(made("fig4ab", cells), 0.3) == pytest.approx(lost)


def test_figure_4c_tells_before_from_after():
    cells = [fig4c_cell(drop=2), fig4c_cell(head="difference")]
    axes = np.array(fig4c.draw(made("fig4c", cells)).axes).reshape(2, 2)
    assert [ax.get_title() for ax in axes[:, 0]] == ["a single output", "difference of two outputs"]
    for (left, right), cell in zip(axes, cells):
        curves, _ = drawn(right)
        for time in ("before", "after"):
            share = np.divide(cell[f"singular_values_{time}"], 5)
            assert np.allclose(curves[f"{time} training"].T, [range(1, 201), share])
            (bars,) = [patch for patch in left.patches if patch.get_label() == f"{time} training"]
            assert set(np.histogram(share, bins=40, range=(0, 1))[0]) <= set(bars.get_xy()[:, 1])
        assert left.lines[0].get_xdata()[0] == right.lines[-1].get_ydata()[0] == 0.1


def test_figure_5_tells_early_from_late_and_right_from_wrong_labels():
    result = made("fig5", cells := fig5_cells())
    errors, moved, early, late = fig5.draw(result).axes
    assert [ax.get_title() for ax in (early, late)] == ["losses at iteration 80", "losses at iteration 4,500"]
    curves, _ = drawn(errors)
    assert curves["against the true labels"].tolist() == [pytest.approx(pair) for pair in ([80, 0.02], [4500, 0.15])]
    assert curves["against the given labels"][:, 1].tolist() == pytest.approx([0.16, 0.02])
    assert curves["share of wrong labels"][0, 1] == pytest.approx(0.15)
    assert np.allclose(drawn(moved)[0]["distance"][:, 1], np.mean([c["distance"][1:] for c in cells[:2]], axis=0))
    for ax, time in ((early, "early"), (late, "late")):
        for label, group in (("given label is right", "clean"), ("given label is wrong", "flipped")):
            assert np.allclose(drawn(ax)[1][label], np.mean([c[f"{group}_{time}"] for c in cells[:2]], axis=0))
    for ax, key in zip(fig5.draw_sweeps(result).axes, fig5.SHOWN):
        base, values = fig5.paper_cell(result["config"]), fig5.SWEEPS[key]
        for label, index in zip(fig5.STOPS, (1, 2)):
            ends = {value: [c["error_true"][index] for c in result.select(**base | {key: value})]
                    for value in (*values, base[key])}  # fmt: skip
            means = {value: np.mean(errors) for value, errors in ends.items()}
            assert np.allclose(drawn(ax)[0][label], sorted(means.items()))
            shown = {tuple(point) for area in ax.collections for point in area.get_paths()[0].vertices.round(6)}
            assert {(value, round(end(e), 6)) for value, e in ends.items() for end in (min, max)} <= shown


def test_errors_of_a_page_are_drawn_against_the_labels_that_they_name():
    _, ax = plt.subplots()
    fig5.draw_errors(ax, T([[0.9, 0.5, 0.2], [0.9, 0.7, 0.4]]), T([[0.9, 0.1, 0.3], [0.9, 0.1, 0.5]]), 0.15)
    curves, _ = drawn(ax)
    assert np.allclose(curves["against the given labels"], [[1, 0.6], [2, 0.3]])
    assert np.allclose(curves["against the true labels"], [[1, 0.1], [2, 0.4]])
    assert curves["share of wrong labels"][0, 1] == pytest.approx(0.15)


def test_a_band_reaches_from_the_lowest_to_the_highest_seed():
    _, ax = plt.subplots()
    plots.band(ax, [1, 2], T([[0.0, 3.0], [4.0, 1.0], [2.0, 8.0]]), "three seeds")
    assert drawn(ax)[0]["three seeds"].tolist() == [[1, 2], [2, 4]]
    (area,) = ax.collections
    assert {(1, 0), (2, 1), (2, 8), (1, 4)} <= {tuple(point) for point in area.get_paths()[0].vertices}


def test_histograms_of_losses_tell_clean_from_flipped():
    _, ax = plt.subplots()
    plots.share_bars(ax, *(loss_shares(T(losses), 1) for losses in ([0.1, 0.1, 0.9], [0.9, 0.9, 0.9])), 1)
    _, bars = drawn(ax)
    assert (
        bars["given label is right"].max() == pytest.approx(2 / 3)
        and bars["given label is wrong"].argmax() > len(bars) > 1
    )
    colors = [bar.get_edgecolor() for bar in ax.patches]
    assert colors == [to_rgba(color) for color in (plots.RIGHT_COLOR, plots.WRONG_COLOR)]


def test_pictures_of_chapter_6_show_what_they_name():
    radii = (0.1, 0.2)
    pictures.two_spaces(radii, spectra := np.array(numbers(2, 20, seed=0)), [1, 2], [3, 4], [5, 6])
    (first, _), (second, _) = map(drawn, plt.gcf().axes)
    assert all(np.allclose(first[f"ε₀ = {radius}"][:, 1], values[:12]) for radius, values in zip(radii, spectra))
    assert {label: curve[:, 1].tolist() for label, curve in second.items()} == {
        "bound on the nuisance": [5, 6], "information, least": [1, 2], "nuisance, largest": [3, 4]}  # fmt: skip
    pictures.two_clocks([0, 9], ([1, 2], [3, 4]), ([5, 6], [7, 8]), [9, 10], [11, 12], [13, 14])
    left, right = ([line.get_ydata().tolist() for line in ax.lines] for ax in plt.gcf().axes)
    assert left == [[1, 2], [5, 6], [3, 4], [7, 8]] and right == [[9, 10], [11, 12], [13, 14]]
    assert [text.get_text() for ax in plt.gcf().axes for text in ax.get_legend().get_texts()] == [
        "information space", "nuisance space", "clean residual", "label corruption", "their sum"]  # fmt: skip


def test_errors_of_noise_in_one_place_and_in_all_are_drawn_beside_their_bounds():
    pictures.worst_places((0.1, 0.2), T([[0.3, 0.7], [0.5, 0.9]]), T([[0.1, 0.2], [0.1, 0.2]]), 4)
    curves, _ = drawn(plt.gca())
    assert curves["all in one cluster"][:, 1].tolist() == pytest.approx([0.4, 0.8])
    assert curves["spread over the clusters"][:, 1].tolist() == pytest.approx([0.1, 0.2])
    assert [line.get_ydata()[1] for line in plt.gca().lines if line.get_linestyle() == ":"][:2] == [1.0, 0.25]


def test_what_the_first_directions_hold_is_drawn_and_told_for_every_output():
    result = made("fig4c", cells := [fig4c_cell(), fig4c_cell(head="difference")])
    for ax, time in zip(fig4c.draw_alignment(result).axes, ("before", "after")):
        curves, _ = drawn(ax)
        for key, label in (("labels", "true labels"), ("flips", "noise")):
            assert curves[label][-1].tolist() == pytest.approx([200, cells[0][f"{key}_within_{time}"][-1]])
    rows = fig4c.first_directions(result, 10)
    assert [row[:2] for row in rows[::2]] == [["a single output", "before"], ["difference of two outputs", "before"]]
    assert rows[0][2:] == [f"{cells[0]['labels_within_before'][9]:.0%}"] * 2


def test_a_classifier_is_shaded_where_it_says_1():
    points = T([0.0]), T([0.0]), T([1]), T([1]), T([0, 1])
    pictures.regions({"right": lambda x: x[:, 0], "top": lambda x: x[:, 1]}, points)
    axes = plt.gcf().axes
    assert [ax.get_title() for ax in axes] == ["right", "top"]
    for ax, coordinate in zip(axes, (0, 1)):
        corners = np.concatenate([path.vertices for area in ax.collections for path in area.get_paths()])
        assert corners[:, coordinate].min() >= -0.02 and corners[:, 1 - coordinate].min() == pytest.approx(-1.4)


def test_growth_is_drawn_through_the_median_of_each_size():
    points = [{"x": x, "median": 3.0 * x, "seconds": [2.0 * x, 3.0 * x, 9.0 * x]} for x in (10, 20_000)]
    pictures.growth([{"points": points, "title": "Gram", "exponent": 1.0, "x": "samples", "fixed": "k = 3"}])
    first, rest = plt.gcf().axes
    assert [line.get_xydata().tolist() for line in first.lines if len(line.get_xdata()) == 2] == [
        [[10, 30], [20_000, 60_000]]
    ]  # fmt: skip
    assert sorted(y for line in first.lines for y in line.get_ydata() if len(line.get_xdata()) == 3) == [
        20, 30, 90, 40_000, 60_000, 180_000
    ]  # fmt: skip
    assert [label.get_text() for label in first.get_xticklabels()] == ["10", "20k"] and not rest.axison
    pictures.growth([])
    assert plt.gcf().axes[0].texts[0].get_text() == "not measured yet"


def test_sentences_by_hand_hold_in_the_stored_figure_3():
    """Another run may need other words: read chapter 3's section on Figure 3 before this is changed."""
    stored = results.load("fig3")
    tensors = fig3.ways(stored, "accuracy", "distance_per_layer").mean(dim=1)
    rates = sorted(stored.levels("corruption_rate"))
    assert (tensors[: rates.index(0.2) + 1].diff() > 0.3).all()  # stops growing at about 20 %
    assert (tensors[rates.index(0.2) :].diff() < 0.05).all()
    whole = fig3.ways(stored, "end", "distance_per_layer").mean(dim=1)
    assert (whole[rates.index(0.1) :].diff() < 0).all() and whole[-1] < whole[0]  # even gets shorter
    first = fig3.first_epoch(stored).mean(dim=1)
    assert ((first > 0.3) & (first < 0.37)).all()  # a third, whether labels are wrong or not
    growth = fig3.growth(stored)
    least = growth.mean(dim=1) - 4.303 * growth.std(dim=1) / growth.shape[1] ** 0.5  # Student's t of three seeds, 95 %
    assert growth.shape == (5, 3) and (least > 1).tolist() == [True, True, True, False, False]  # but for the last two


def test_sentences_by_hand_hold_in_the_stored_figure_1():
    """Another run may need other words: read the captions of chapter 4 before this is changed."""
    stored = results.load("fig1", losses="least_squares")
    found = lambda rate, rule: fig1.at_stop(stored, "test", rate, rule).mean().item()
    between = [rate for rate in stored.levels("corruption_rate") if 0.1 <= rate <= 0.9]
    assert len(between) == 9 and fig1.stop_rules(stored["cells"][0], stored["config"])["fixed"] == "always epoch 1"
    for rate in between:
        assert found(rate, "fixed") > found(rate, None)  # even the first epoch is better than the last
        assert abs(found(rate, "noisy_validation") - found(rate, "validation")) < 0.01  # choose about as well
