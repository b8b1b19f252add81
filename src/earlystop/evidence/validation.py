"""Evidence on noisy validation: its law under uniform noise, and that pair noise can turn the order of two networks."""

from itertools import combinations, product

import torch

from earlystop.evidence.definitions import each, uniform
from earlystop.rules import uniform_law
from earlystop.streams import random_stream


@each
def law_missed(seed: int) -> float:
    """Mean accuracy of random answers over every way to make 2 of 6 labels wrong, minus the law, in size."""
    count, samples, classes = 2, 6, 3 + seed % 3
    draw = random_stream(seed, "answers")
    true, answers = (torch.randint(classes, (samples,), generator=draw).tolist() for _ in range(2))
    right = []
    for rows in combinations(range(samples), count):
        for shifts in product(range(1, classes), repeat=count):
            given = list(true)
            for row, shift in zip(rows, shifts):
                given[row] = (true[row] + shift) % classes
            right.append(sum(a == y for a, y in zip(answers, given)) / samples)
    clean = torch.tensor(sum(a == y for a, y in zip(answers, true)) / samples, dtype=torch.float64)
    return abs(sum(right) / len(right) - uniform_law(clean, count / samples, classes).item())


@each
def order_turned(seed: int) -> float:
    """How much better, by labels of pair noise, a network may look than another that is 2 points better by true ones.

    The worse one errs to the next class, as the noise does, and the better one to other classes.
    """
    rate, better = uniform(seed, 0.2, 0.4), uniform(seed + 100, 0.7, 0.9)
    worse = better - 0.02
    return (1 - rate) * worse + rate * (1 - worse) - (1 - rate) * better
