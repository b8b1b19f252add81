"""Each branch of what the pages say of their runs, from values on both sides of its threshold."""

import pytest
import torch

from earlystop.words import theorem

FINDINGS = [  # function, arguments, and a part of what is said then and not otherwise
    ("truth_first", (80, 0.02, 0.01, 0.0), "the truth is learned and the noise is not: at iteration 80 the error"),
    ("truth_first", (80, 0.16, 0.011, 0.15), "not just the truth is learned: at iteration 80 the error is 16.0% on"),
    ("truth_first", (80, 0.12, 0.01, 0.15), "not just the truth is learned"),
    ("noise_later", (4500, 0.02, 0.02, 0.0), "Run long, the noise is learned: at iteration 4,500 the error is 2.00%"),
    ("noise_later", (4500, 0.021, 0.14, 0.15), "not just the noise is learned: at iteration 4,500 the error is 2.10%"),
    ("noise_later", (4500, 0.02, 0.18, 0.15), "not just the noise is learned"),
    ("separated", (0.981,), "separated almost perfectly: the AUROC is **0.981**."),
    ("separated", (0.98,), "not quite separated: the AUROC is **0.980**."),
    ("still_ordered", (0.81,), "the *order* of the losses still gives most flipped samples away: **0.810**."),
    ("still_ordered", (0.8,), "the *order* of the losses gives few flipped samples away: **0.800**."),
    ("hardly_overlapping", (0.49,), "overlap by then; here they do so only partly, in **49%** of their area."),
    ("hardly_overlapping", (0.5,), "overlap by then, and here they do, in **50%** of their area."),
    ("neighborhood", (0.01, 0.01), "The early network knows the neighborhood: on fresh inputs"),
    ("neighborhood", (0.011, 0.02), "is not much better: on fresh inputs (recipe on the unit sphere) it errs on **1.1"),
    ("neighborhood", (0.002, 0.001), "is not much better"),
    ("harm", (0.04, 0.1), "the truth on 10.0%: it has memorized wrong labels without spoiling their neighborhood"),
    ("harm", (0.05, 0.1), "the truth on 10.0%, in their neighborhood **0.50 times** as often."),
    ("harm", (0.0, 0.0), "it has memorized wrong labels"),
    ("noise_is_far", (80, 4500, 1.0, 3.1), "by 1.0, at 4,500 by 3.1: the noise is **3.1 times** as far away."),
    ("noise_is_far", (80, 4500, 1.0, 3.0), "by 1.0, at 4,500 by 3.0: the noise is only **3.0 times** as far away."),
]  # fmt: skip


@pytest.mark.parametrize(("function", "arguments", "said"), FINDINGS)
def test_a_finding_is_said_as_it_came_out(function, arguments, said):
    holds, yes, no, value, form = getattr(theorem, function)(*arguments)
    now, otherwise = (yes, no) if holds else (no, yes)
    assert said in now and said not in otherwise
    assert value is None or format(value, form) in yes + no


def test_all_findings_are_tried_both_ways():
    told = {
        name
        for name, one in vars(theorem).items()
        if getattr(one, "__annotations__", {}).get("return") == theorem.Words
    }
    found = {(function, bool(getattr(theorem, function)(*arguments)[0])) for function, arguments, _ in FINDINGS}
    assert found == {(name, holds) for name in told - {"either"} for holds in (True, False)}


RUNS = torch.tensor([0.0, 0.03])
SHORT, ALL, ONE = (torch.tensor(fitted) for fitted in ([False, False], [True, True], [True, False]))
ROWS = [[0.1, 0.05, 0.125, 0.004, 0.05], [0.3, 0.15, 0.125, 0.009, 0.15], [0.6, 0.3, 0.125, 0.08, 0.3]]
WIDTH = [[30, 0.15, 0.125, 0.02, 0.0], [3000, 0.15, 0.125, 0.01, 0.05]]
LOST = [[3, 0.06, 0.2, 0, 0.21, 0.13, 0.05, 0.0, 0.1], [8, 0.02, 0.3, 0.2, 0.66, 0.5, 0.6, 0.005, 0.3]]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (theorem.first_descent(80, 0.14, 0.001, 0.15), ["**14.0%**", "15.0% are wrong", "**0.1%** of the true"]),
        (theorem.verdict_runs(0.5, RUNS, ALL, RUNS), [
            "**50%** of the networks", "worst contradicts 3.00%", "**100%** contradict at", "within 3.0% of the"]),
        (theorem.verdict_runs(0.5, RUNS, ONE, RUNS[:1]), ["**50%** contradict at most 2%", "within 0.0% of the share"]),
        (theorem.verdict_runs(0.5, RUNS, SHORT, RUNS[:0]), ["**0%** contradict", "given: **this run is too short"]),
        (theorem.verdict_fresh(("1%", "2%"), 0.01, 0.01, 0.0), ["on 1% of them, the late ones on **2%**", "no lack of"]),
        (theorem.verdict_fresh(("1%", "9%"), 0.01, 0.09, 0.1), ["as the paper says, and nearly as badly"]),
        (theorem.verdict_fresh(("1%", "8%"), 0.01, 0.8, 1.0), ["as the paper says, but the harm is **0.80 times**"]),
        (theorem.verdict_recipe(2, (0.01, 0.15), (0.02, 0.16)), ["Over 2 seeds", "1.00% early", "changes little."]),
        (theorem.verdict_recipe(1, (0.01, 0.15), (0.01, 0.18)), ["Over 1 seed the", "leaving the sphere **matters**."]),
        (theorem.verdict_recipe(1, (0.02, 0.15), (0.0, 0.15)), ["leaving the sphere **matters**."]),
        (theorem.verdict_rates(ROWS[:1], ROWS[:2], 0.125, [0.007]), [
            "most **0.40%**, in the worst single run 0.70%. On", "ρ = **0.3**, that is 15.0% flipped labels, against"]),
        (theorem.verdict_rates([], ROWS[:1], 0.125, []), ["On average it is at most 1% up to ρ = **0.1**"]),
        (theorem.verdict_rates(ROWS[:1], [], 0.125, [0.2]), ["run 20.00%. It is above 1% at every rate."]),
        (theorem.verdict_classes(LOST, 80)[0], ["up to K = **3**", "there is 21.0%; with no wrong label at all it is **5.0%"]),
        (theorem.verdict_classes(LOST, 80)[1], ["With 8 classes it is 66%, and **60%** without", "η and iteration 80"]),
        (theorem.verdict_classes(LOST, 80)[2], ["control errs on **0.5%**", "on the path is **30%**."]),
        (theorem.verdict_width(WIDTH, ROWS), [
            "From k = 30 to 3,000", "**2.00%** to **1.00%**", "ε₀ = 0.1 to 0.6", "**0.40%** to **8.00%**",
            "5.0% for the smallest radius and 30.0% for the largest: the smaller"]),
        (theorem.verdict_width(WIDTH, WIDTH), ["0.0% for the smallest radius and 5.0% for the largest."]),
    ],
)  # fmt: skip
def test_a_sentence_says_what_the_numbers_are(text, parts):
    assert all(part in text for part in parts), text
