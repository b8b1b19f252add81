"""What the rooms of the figures say and draw of their results, from made-up values on both sides of each threshold."""

from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgba

from earlystop import plots
from earlystop.figures import EXPERIMENTS, fig1, fig3, fig4ab, fig4c, fig5, pictures
from earlystop.figures.splits import load_split
from earlystop.runs.results import Result
from earlystop.runs.store import plain
from earlystop.words import cifar10, mnist

# --------------------------------------------------------------------- findings of the pages' own runs

T = torch.tensor
FINDINGS = [  # room, function, arguments, a part of what is said then and not otherwise
    (mnist, "corrects", (2, [0, 0.2, 0.561], 0.56), "2, the network gets **56.1%** of its training images right, alt"),
    (mnist, "corrects", (1, [0, 0.56], 0.56), "gets **56.0%** of its training images right, no more than the 56.0%"),
    (mnist, "further", (0.5, 0.6), "moved by 0.50 times the norm of its initial weights, at the end by 0.60, **1.2 tim"),
    (mnist, "further", (0.6, 0.6), "at the end by 0.60: **no further**."),
    (mnist, "same_loop", (1.9,), "**Yes**: accuracy on the training and on the test images is the same to 1.9 points."),
    (mnist, "same_loop", (2.0,), "**No**: an accuracy differs by 2.0 points."),
    (mnist, "memorizes", (True, 0.951, 60), "noise, at every rate**: after 60 epochs the networks agree with at least"),
    (mnist, "memorizes", (False, 0.9, 60), "on the way: after 60 epochs the networks agree with 90.0% of the given lab"),
    (mnist, "helps", ([0.3, 0.5], [10.6, 30], [0.6, 9]), "**Stopping early helps**: at 30% to 50% corruption it gains"),
    (mnist, "helps", ([0.3, 0.5], [10, 30], [1, 9]), "Stopping early **hardly helps**: at 30% to 50%"),
    (mnist, "helps", ([0.3, 0.5], [11, 30], [0, 9]),
     "hardly helps**: at 30% to 50% corruption it gains 0 points or more of "
     "test accuracy, and of accuracy by the true training labels **11** or more."),
    (mnist, "nine_tenths", ([0.0, 0.3],), "is at least 90% up to a corruption of **30%**."),
    (mnist, "nine_tenths", ([],), "is below 90% already at the lowest rate."),
    (mnist, "blind", (9.9, 0.5), "Up to ρ = 50%, corrupted validation labels cost at most **9.9 points**"),
    (mnist, "blind", (-0.1, 0.5), "cost at most **0.0 points**"),
    (mnist, "blind", (10, 0.5), "Somewhere up to ρ = 50%, corrupted validation labels cost **as much as 10.0 points**"),
    (cifar10, "step_limit", (0.099,), "the last layer alone forbids steps above **0.099**, although 0.1 is usual."),
    (cifar10, "step_limit", (0.1,), "the last layer forbids steps above **0.100**, and the usual 0.1 is allowed."),
    (cifar10, "mean_feature", (0.91,), "along one direction, the mean of all features: **91%**."),
    (cifar10, "mean_feature", (0.9,), "Of that curvature 90% lies"),
    (cifar10, "separable", (0.15, 0.8), "the former **are** approximately separable, with 15.0%."),
    (cifar10, "separable", (0.151, 0.8), "**not** approximately separable, by a network of 80% validation accuracy, wi"),
    (cifar10, "shrinks", ({0.3: 0.4, 0.5: 0.2},), "a factor of 0.71 was predicted, and it is **0.50**."),
    (cifar10, "shrinks", ({0.3: 0.2, 0.5: 0.2},), "It does **not** shrink: it is 1.00 times what it was."),
    (cifar10, "in_order", (0.91, [0.1, 0.2]), "have the larger mean loss, and the AUROC is **0.910** or more."),
    (cifar10, "in_order", (0.9, [0.1, 0.2]), "**Not reliably**: at some rate the AUROC is only 0.900."),
    (cifar10, "in_order", (0.91, [0.1, 0.0]), "**Not reliably**"),
    (cifar10, "erodes", (0.021,), "erodes the separation, by **0.02** or more."),
    (cifar10, "erodes", (0.02,), "training on does **not** erode the separation, or hardly: by 0.020."),
    (cifar10, "finds", (0.3, T(0.27), T(0.9), T(0.02)), "falls from 27.0% to **2.0%** without the suspects, of whom **"),
    (cifar10, "finds", (0.3, T(0.27), T(0.27), T(0.27)), "27.0% of the suspects have a wrong label, **no more** than t"),
]  # fmt: skip


@pytest.mark.parametrize(("room", "name", "arguments", "said"), FINDINGS)
def test_a_finding_is_said_as_it_came_out(room, name, arguments, said):
    holds, yes, no, *value = getattr(room, name)(*arguments)
    now, otherwise = (yes, no) if holds else (no, yes)
    assert said in now and said not in otherwise
    assert not value or format(value[0], (*value, ".3f")[1]) in yes + no


def test_all_findings_are_tried_both_ways():
    tried = {(room, name, bool(getattr(room, name)(*arguments)[0])) for room, name, arguments, _ in FINDINGS}
    all_of_them = {(room, name) for room in (mnist, cifar10) for name, one in vars(room).items()
                   if getattr(one, "__annotations__", {}).get("return") is tuple}  # fmt: skip
    assert tried == {(*one, holds) for one in all_of_them for holds in (True, False)}


# --------------------------------------------------------------------- made-up results


def made(name, cells, scale="paper", **config):
    """A result with these cells, at the paper's sizes but for some."""
    sizes = plain(vars(EXPERIMENTS[name].config.at(scale))) | config
    return Result(Path("made-up.json"), {"experiment": name, "config": sizes, "cells": cells})


def numbers(*shape, seed):
    """Numbers between 0 and 1 that are never alike."""
    return np.random.default_rng(seed).random(shape).round(6).tolist()


def fig1_cell(rate=0.5, early=0.9, late=0.5, given=0.97, loss="least_squares", seed=0):
    """A run that clean validation labels stop at the second of five measurements, corrupted ones at the third."""
    true, noisy = [0.1, early, 0.7, 0.6, late], [0.1, 0.4, 0.5, given - 0.001, given]
    return {"loss": loss, "corruption_rate": rate, "seed": seed, "epoch": [0, 1, 2, 3, 9], "true": true, "noisy": noisy,
            "test": [0.0, *numbers(4, seed=seed + int(100 * rate))],
            "validation": [0, 9, 8, 7, 6], "noisy_validation": [0, 1, 2, 1, 1]}  # fmt: skip


def fig1_result(*cells, **config):
    """A result of Figure 1 whose fixed rule stops at the fourth measurement."""
    return made(
        "fig1", [fig1_cell(*cell) for cell in cells] or [fig1_cell()], **{"train_size": 100, "batch_size": 2} | config
    )


def fig3_cell(rate, ways, layers, accuracy=(0.1, 0.9, 0.95), seed=0):
    return {"corruption_rate": rate, "seed": seed, "epoch": [0, 1, 2], "distance": [0, *ways],
    "accuracy": list(accuracy),
            "distance_per_layer": [0, *layers], "loss": numbers(3, seed=int(100 * rate))}  # fmt: skip


RAN = {"epochs": 40, "train_size": 1000}  # sizes of recipes

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


# --------------------------------------------------------------------- verdicts and sentences

AB = [fig4ab_cell(0.3, 0.15, 0.1), fig4ab_cell(0.5, 0.16, 0.11)]
ALL, BOTH = {"least_squares": T([0.1, 0.2]), "cross_entropy": T([0.05, 0.3])}, T([[0.97, 0.99], [0.979, 0.98]])
SILENT = {"config": {"train_size": 50, "epochs": 9, "widths": [1, 2, 256], "corruption_rates": [0.5]}, "device": "D",
"precision": "P",
          "versions": {"torch": "2"}, "date": "D", "rows": [{"not fitted": 0.1, "silent and not fitted": 0.05,
          "dead units": 0.75, "units on": 3.1}]}  # fmt: skip
SENTENCES = [  # text, parts that it has, parts that it has not
    (mnist.near_line([0.01, 0.02]), ["is within 2.0 points of 1 − 0.9ρ."], ["Nowhere"]),
    (mnist.near_line([]), ["Nowhere do the networks agree with as much as 95%"], ["within"]),
    (mnist.at_half(0.5, 0.9, 0.6, 0.8, 0.5), ["At 50%", "is **90.0%** stopped early and 60.0% at",
     "is **80.0%** and 50.0%"], []),
    (mnist.rule_costs({0.3: (0.8, 0.9), 0.5: (0.75, 0.9), 0.6: (0.5, 0.7)}), ["most 15.0 po", "most 20.0 above"], []),
    (mnist.rule_costs({0.3: (0.9, 0.8)}), ["most 0.0 points of test accuracy up to ρ = 50%, and at most 0.0 above"], []),
    (mnist.journey(fig1_result(), {("l", 0.1): 0.95, ("l", 0.5): 0.96}, 0.1, 0.03), [
     "agree with 95.0% to 96.0%",
     "with at least 95% at 10%, 50%. Since epoch 3 no agreement has changed by more than 10.00 points. "
     "**They have memorized the noise.**"], ["all the same"]),
    (mnist.journey(fig1_result(), {("l", 0.1): 0.95, ("l", 0.5): 0.9}, 0.0049, 0.029), [
     "95% at 10%. Since", "So they have come to a stop",
     "lost all the same: accuracy by the true labels is within 2.9 points"], []),
    (mnist.journey(fig1_result(), {("l", 0.1): 0.9}, 0.005, 0.1), ["**They are still on the way**"], ["come to a stop"]),
    (mnist.silence(SILENT, [], fig1_result((0.5, 0.9, 0.5, 0.975))), ["10.0% of the images are not fitted, and **50%**",
     "less than half",
     "75% of its 256 last units", "has 3.1 of them", "In the larger runs above 2.5% are", "--train-size 50 --epochs 9"],
     ["other numbers"]),
    (mnist.silence(SILENT | {"rows": [SILENT["rows"][0] | {"silent and not fitted": 0.051}]}, ["x"],
     fig1_result(train_size=50)), [
     "**51%**", "goes with most of", "**Its code gives other numbers now** (x). (Least"], ["larger runs"]),
    (mnist.around(0.99, [3], {"train_size": 101, "batch_size": 10}),
     ["**99.0%**, by stopping after epoch 3: around 100%", "every 11 steps"], []),
    (mnist.around(0.989, [3, 7], {"train_size": 9, "batch_size": 9}),
     ["epoch 3 to 7, depending on the run, somewhat below"], ["well"]),
    (mnist.around(0.949, [3], {"train_size": 9, "batch_size": 9}), [", well below the paper's"], ["somewhat"]),
    (mnist.lines_hold([0.01], [0.02]), ["**1.0 points** of 1 − 0.9ρ. Where more", "within **2.0 points** of it."],
     ["Nowhere"]),
    (mnist.lines_hold([], []), ["Nowhere is more than 90% of the truth recovered."], ["Where"]),
    (mnist.without_clean({"validation": 0.9, "noisy_validation": 0.88, "fixed": 0.76, None: 0.7}), ["cost 2.0 points",
     "far better"], []),
    (mnist.without_clean({"validation": 0.9, "noisy_validation": 0.88, "fixed": 0.74, None: 0.7}), ["hardly better"],
     ["far better"]),
    (mnist.beside(40, []), ["until epoch 40."], ["They differ"]),
    (mnist.beside(40, mnist.unlike(fig1_result(batch_size=2, seeds=9), fig1_result(batch_size=3))),
     ["loss**: batch size."], ["seeds"]),
    (mnist.footnote(ALL, 0.05, 0.7, made("fig1", [])),
     ["between **10 and 20 points** with least squares and between **5 and 30 points** "
     "with cross entropy. Up to 70% corruption the two, stopped early, are at most 5.0 points apart. "
     "**So the footnote holds here**."], []),
    (mnist.footnote({"a": T([0.0, 0.2])}, 0, 0.7, made("fig1", [], epochs=40)),
     ["does not hold here**, though not at the paper's sizes (epochs)."], []),
    (mnist.who_fits(BOTH, 40, True, True),
     ["After 40 epochs cross-entropy fits 98.0% to 99.0% of the given labels, least squares 97.0% to 97.9%. "
     "**With cross-entropy the same network"], []),
    (mnist.who_fits(BOTH, 40, True, False), ["**sooner**"], ["**With"]),
    (mnist.who_fits(BOTH - 0.005, 40, False, True), ["At some rates"], ["Neither"]),
    (mnist.who_fits(BOTH, 40, False, True), ["At some rates"], ["**With", "sooner"]),
    (mnist.who_fits(BOTH + 0.01, 40, True, True), ["Both come near"], []),
    (mnist.who_fits(BOTH - 0.011, 40, True, True), ["Neither reaches"], ["At some"]),
    (mnist.recipes_fit(T([0.99, 0.98]), {"A": T([0.01, 0.02]), "B": T([-0.01, 0.02])}, RAN),
     ["After 40 epochs on 1,000 images, PyTorch's defaults fit **98.0% to 99.0%** of", "A **fits less of them, in every",
      "B **fits more in one seed and less in another**. So **none of them fits better"], ["A **fits more"]),
    (mnist.recipes_fit(T([0.9, 0.9]), {"A": T([0.01, 0.02]), "B": T([-0.01, -0.02])}, RAN),
     ["fit **90.0%** of", "B **fits more of them, in every seed**. A **fits less", "**Figure 1a is open**"], ["none of"]),
    (mnist.recipes_stop({"A": (T([0.9]), T([0.6])), "B": (T([0.8]), T([0.75]))}),
     ["**Stopping early helps by every recipe**: it gains 5 to 30 points"], []),
    (mnist.recipes_stop({"A": (T([0.9]), T([0.6])), "B": (T([0.8]), T([0.8]))}), ["does not help by all"], ["**"]),
    (mnist.recipes_units(T([0.8, 0.9]), T([0.7]), T([0.1])),
     ["leave 80.0% to 90.0% of the last", "leaves 70.0%.", "SGD 10.0% are dead"], []),
    (cifar10.areas(0.3, 0.5, [T([0.14, 0.16]), T([0.3])], 0.95, 0.7), ["share **15%** (14% to 16% over the seeds) of",
     "at 50% **30%**. By our bar "
     "the former is approximately separable", "in 95.0% of all pairs, test accuracy is 70%", "the overlap grows"], []),
    (cifar10.areas(0.3, 0.5, [T([0.3]), T([0.3])], 0.95, 0.7), ["shares 2.0 times as much", "overlap does **not** grow"],
     ["over the seeds"]),
    (cifar10.in_the_way({0.3: 0.39}, {0.3: 0.12}, {0.3: 0.08}, {0.3: 0.22}),
     ["At 30%, **12%** of the true labels have a loss above 0.39",
     "**8%** of the flipped ones have a loss below it", "wrong about the truth of 22%"], []),
    (cifar10.sizes_of_losses({0.3: [0.081, 0.7], 0.5: [0.225, 0.6]}), ["labels increases with", "is 2.0 and 2.0 times",
     "is 88% and 75% of", "direction and"], []),
    (cifar10.sizes_of_losses({0.3: [0.081, 0.73], 0.5: [0.225, 0.6]}), ["increases", "93% and"], ["direction and"]),
    (cifar10.sizes_of_losses({0.3: [0.3, 0.7], 0.5: [0.3, 0.6]}), ["does **not** increase"], ["direction and"]),
    (cifar10.label_free(made("fig4ab", AB), {0.3: 0.04, 0.5: 0.08}, ["50%"]),
     ["**4.0 points** at 30% and **8.0 points** at 50%", "after epoch 2 instead of 1 "
     "and 2 instead of 1 in", "so its premise fails", "At 50% the share was never"], []),
    (cifar10.label_free(made("fig4ab", [AB[0] | {"true": [0, 0, 0.95, 0]}]), {0.3: 0}, []),
     ["get 95% of their training images right."], ["fails", "never"]),
    (cifar10.separation_lost(made("fig4ab", AB), {0.3: T([0.5, 0.9, 0.8, 0.87])}, {0.3: 0.96}), ["At 30% the AUROC",
     "is best in epoch 1, with 0.900 (in",
     "falls to **0.870** by epoch 4, when 96% of", " Memorization erodes the separation."], []),
    (cifar10.separation_lost(made("fig4ab", AB), {0.3: T([0.5, 0.9, 0.8, 0.88])}, {0.3: 0.95}),
     ["does **not** erode the separation in these runs, and as it"], []),
]  # fmt: skip


@pytest.mark.parametrize(("text", "parts", "absent"), SENTENCES)
def test_a_sentence_says_what_the_numbers_are(text, parts, absent):
    assert [part for part in parts if part not in text] == [] == [part for part in absent if part in text], text


@pytest.mark.parametrize(
    ("room", "kind", "words"),
    [
        (fig1, fig1.Figure1, "10,000 training images and 30 epochs. It is not the paper's X"),
        (fig4ab, fig4ab.Figure4ab, "epochs of a network of depth 20. It is not the paper's X"),
    ],
)
def test_a_chapter_says_whose_sizes_its_runs_have(room, kind, words):
    split = SimpleNamespace(train=SimpleNamespace(title="title"))
    assert "**title**, at the s scale" in (text := mnist.setting(split, kind.at("colab"), "s", "X")) and words in text
    assert "These are the paper's data and" in mnist.setting(split, kind.at("paper"), "s", "X")


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
    late, early, rules = fig1.draw(result).axes
    assert [ax.get_title() for ax in (late, early)] == [
        "a: after epoch 200", "b: stopped early by\nclean validation labels"
    ]  # fmt: skip
    at = {"clean validation labels": 1, "corrupted validation labels": 2, "always epoch 3": 3, "last epoch": -1}
    for ax, index in ((late, -1), (early, 1)):
        curves, _ = drawn(ax)
        assert np.allclose(curves["1 − 0.9ρ"], [[20, 0.82], [80, 0.28]])
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


def test_figure_3_draws_both_readings_of_the_distance():
    cells = [fig3_cell(rate, numbers(2, seed=1), numbers(2, seed=2), numbers(3, seed=3)) for rate in (0.0, 0.3)]
    axes = np.array(fig3.draw(made("fig3", cells)).axes[:4]).reshape(2, 2)
    for row, key in zip(axes, ("accuracy", "loss")):
        for ax, distance in zip(row, ("distance", "distance_per_layer")):
            curves, _ = drawn(ax)
            assert all(
                np.allclose(curves[f"{c['corruption_rate']:.0%}"], np.transpose([c[distance], c[key]])) for c in cells
            )


def test_figures_4a_and_4b_tell_clean_from_flipped_at_the_best_epoch():
    cells = [fig4ab_cell(rate, 0.2, seed=seed) for rate in (0.3, 0.5) for seed in (0, 7)]
    axes = np.array(fig4ab.draw(made("fig4ab", cells)).axes[:4]).reshape(2, 2)
    for (top, bottom), rate in zip(axes.T, (0.3, 0.5)):
        here = [cell for cell in cells if cell["corruption_rate"] == rate]
        _, bars = drawn(top)
        for label, key in (("label is true", "clean_best"), ("label is flipped", "flipped_best")):
            assert np.allclose(bars[label], np.mean([cell[key] for cell in here], axis=0))
        assert [line.get_xdata()[0] for line in top.lines] == pytest.approx([0.45 * rate**2, 1 - rate + 0.45 * rate**2])
        curves, _ = drawn(bottom)
        for key, label in (("auroc", "AUROC"), ("overlap", "overlap"), *CURVES):
            assert np.allclose(curves[label].T, [[0, 1, 2, 4], np.mean([cell[key] for cell in here], axis=0)])


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


def test_figure_5_tells_early_from_late_and_clean_from_flipped():
    result = made("fig5", cells := fig5_cells())
    errors, early, late = fig5.draw(result).axes
    assert [ax.get_title() for ax in (early, late)] == ["iteration 80", "iteration 4,500"]
    curves, _ = drawn(errors)
    assert curves["true labels"][:, 1].tolist() == pytest.approx([0.5, 0.02, 0.15])
    assert curves["given labels"][:, 1].tolist() == pytest.approx([0.5, 0.16, 0.02])
    assert curves["share of flipped labels"][0, 1] == pytest.approx(0.15)
    for ax, time in ((early, "early"), (late, "late")):
        for label, group in (("label is true", "clean"), ("label is flipped", "flipped")):
            assert np.allclose(drawn(ax)[1][label], np.mean([c[f"{group}_{time}"] for c in cells[:2]], axis=0))
    for ax, (key, values) in zip(fig5.draw_sweeps(result).axes, fig5.SWEEPS.items()):
        base = fig5.paper_cell(result["config"])
        for label, index in (("stopped early", 1), ("last iteration", 2)):
            means = {
                value: np.mean([c["error_true"][index] for c in result.select(**base | {key: value})])
                for value in (*values, base[key])
            }
            assert np.allclose(drawn(ax)[0][label], sorted(means.items()))
            ends = {value: [c["error_true"][index] for c in result.select(**base | {key: value})] for value in means}
            shown = {tuple(point) for area in ax.collections for point in area.get_paths()[0].vertices.round(6)}
            assert {(value, round(end(e), 6)) for value, e in ends.items() for end in (min, max)} <= shown


def test_errors_of_a_page_are_drawn_against_the_labels_that_they_name():
    _, ax = plt.subplots()
    fig5.draw_errors(ax, T([[0.5, 0.2], [0.7, 0.4]]), T([[0.1, 0.3], [0.1, 0.5]]), 0.15)
    curves, _ = drawn(ax)
    assert np.allclose(curves["against the given labels"], [[1, 0.6], [2, 0.3]])
    assert np.allclose(curves["against the true labels"], [[1, 0.1], [2, 0.4]])
    assert curves["share of flipped labels"][0, 1] == pytest.approx(0.15)


def test_a_band_reaches_from_the_lowest_to_the_highest_seed():
    _, ax = plt.subplots()
    plots.band(ax, [1, 2], T([[0.0, 3.0], [4.0, 1.0], [2.0, 8.0]]), "three seeds")
    assert drawn(ax)[0]["three seeds"].tolist() == [[1, 2], [2, 4]]
    (area,) = ax.collections
    assert {(1, 0), (2, 1), (2, 8), (1, 4)} <= {tuple(point) for point in area.get_paths()[0].vertices}


def test_histograms_of_losses_tell_clean_from_flipped():
    _, ax = plt.subplots()
    plots.loss_histogram(ax, T([0.1, 0.1, 0.9]), T([0.9, 0.9, 0.9]), top=1)
    _, bars = drawn(ax)
    assert bars["label is true"].max() == pytest.approx(2 / 3) and bars["label is flipped"].argmax() > len(bars) > 1
    colors = [bar.get_edgecolor() for bar in ax.patches]
    assert colors == [to_rgba(color) for color in (plots.CLEAN_COLOR, plots.FLIPPED_COLOR)]


def test_pictures_of_chapters_4_to_6_show_what_they_name():
    split = load_split("digits", 30, 0, 0.9)
    _, axes = plt.subplots(2, 4)
    pictures.labelled(axes, split, "0123456789", "{} ({})")
    given, true = split.noisy.tolist(), split.train.labels.tolist()
    assert [ax.get_title("center") for ax in axes.flat] == [
        f"{a}" if a == b else f"{a} ({b})" for a, b in zip(given, true)
    ][:8]
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


def test_the_two_clocks_run_apart_and_the_stop_lies_between_them():
    pictures.two_spaces_two_clocks()
    left, right = plt.gcf().axes
    information, nuisance = (line.get_ydata() for line in left.lines)
    assert len(information) == 4 and information.min() > 4 * nuisance.max()
    (fast, slow), times = (line.get_ydata() for line in right.lines), right.lines[0].get_xdata()
    (shaded,) = (patch.get_bbox() for patch in right.patches)
    inside = (times >= shaded.x0) & (times <= shaded.x1)
    assert inside.sum() > 1 and (fast[inside] < 0.02).all() and (slow[inside] > 0.95).all()
    assert (slow[1:] <= slow[:-1]).all() and slow[-1] < 0.5


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


def test_wrong_labels_are_the_larger_points_in_the_color_of_the_given_label():
    _, ax = plt.subplots()
    given, truth, place = T([0, 1, 1, 0]), T([0, 1, 0, 1]), T([1.0, 2.0, 3.0, 4.0])
    pictures.labeled_points(ax, place, 10 * place, given, truth, T([0, 1]), size=5.0, larger=2.0)
    found = {tuple(line.get_xdata()): (line.get_markersize(), line.get_color()) for line in ax.lines}
    dark, bright = (plots.level_color(i, 2) for i in (0, 1))
    assert found == {(1,): (5, dark), (2,): (5, bright), (4,): (10, dark), (3,): (10, bright)}
    assert all((line.get_ydata() == 10 * line.get_xdata()).all() for line in ax.lines)


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
