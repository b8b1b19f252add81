"""What Figures 4ab and 4c give for each seed: numbers of made-up results, worked out by hand."""

from pathlib import Path

import pytest
import torch

from earlystop.figures import fig4ab, fig4c
from earlystop.runs.results import Result


def made(experiment, cells):
    return Result(Path("made-up.json"), {"experiment": experiment, "config": {}, "cells": cells})


def cell(rate, seed, overlap, clean):
    """A run whose best epoch is the second of three."""
    return {"corruption_rate": rate, "seed": seed, "epoch": [0, 4, 9], "stop_best": 4,
            "overlap": [9.0, overlap, 9.0], "clean_loss": [9.0, clean, 9.0]}  # fmt: skip


def test_losses_of_figure_4ab_are_those_at_the_stop_of_each_seed():
    runs = [(0.5, 0, 0.5, 0.3), (0.3, 0, 0.2, 0.1), (0.5, 1, 0.4, 0.3), (0.3, 1, 0.3, 0.4), (0.0, 0, 0, 0)]
    result = made("fig4ab", [cell(*run) for run in runs])
    assert fig4ab.overlap_low(result).tolist() == [0.2, 0.3]
    assert fig4ab.overlap_growth(result).tolist() == pytest.approx([0.3, 0.1])
    assert fig4ab.clean_loss_growth(result).tolist() == pytest.approx([0.2, -0.1])


def test_the_parameters_of_resnet_20_do_not_depend_on_the_seed():
    assert fig4ab.parameters([0, 5]).tolist() == [269_722, 269_722]


def spectrum(large, tail=0.05, last=1e-4):
    """`large` singular values that fall from 2 to a fifth, others below a tenth of the first, the last illegible."""
    return [*torch.linspace(2, 0.21, large).tolist(), *[tail] * (119 - large), last]


def head(name, seed, before, after, labels=0.8, flips=0.2):
    within = {f"{key}_within_after": [0.0] * 9 + [share] + [1.0] * 110
              for key, share in (("labels", labels), ("flips", flips))}  # fmt: skip
    return {"head": name, "seed": seed, "singular_values_before": before, "singular_values_after": after} | within


def test_spectra_of_figure_4c_are_judged_by_the_worst_of_each_seed():
    first = head("a", 0, spectrum(12), spectrum(20)), head("b", 0, spectrum(13), spectrum(23), 0.3, 0.1)
    second = head("a", 1, spectrum(8), spectrum(10)), head("b", 1, spectrum(10), spectrum(20))
    result = made("fig4c", [*first, *second])
    assert fig4c.outside_range(result).tolist() == [3, 2]
    assert fig4c.concentration(result).tolist() == pytest.approx([3, 4])


def test_a_gap_in_a_spectrum_counts_after_the_first_value():
    even = (0.99 ** torch.arange(120.0)).tolist()
    alone, gap = [50.0, *even[1:]], [*even[:7], *(0.2 * value for value in even[7:])]
    result = made("fig4c", [head("a", 0, gap, gap), head("a", 1, gap, even), head("a", 2, alone, alone)])
    assert fig4c.largest_drop(result).tolist() == pytest.approx([5 / 0.99, 1 / 0.99, 1 / 0.99])


def test_a_change_of_a_spectrum_is_relative_to_the_largest_and_of_what_is_legible():
    before, twice = spectrum(12), [2 * value for value in spectrum(12)]
    faint, raised = spectrum(12, last=1e-9), spectrum(12, tail=0.15)
    result = made("fig4c", [head("a", 0, before, twice), head("a", 1, before, faint), head("a", 2, raised, before)])
    assert fig4c.change_by_training(result).tolist() == pytest.approx([1, 1, 3])
