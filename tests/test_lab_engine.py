"""The engine of the living figures computes in a browser what Python does: random numbers, functions, whole runs."""

import math

import numpy as np
import pytest
import scipy.special
import torch
from labpage import engine_page

from earlystop.jacobian import gram, singular_values
from earlystop.lab import model, state
from earlystop.lab.philox import Stream, philox
from earlystop.theory import cluster_covariance, plateau_distance, smallest_eigenvalue

pytest_plugins = ["labpage"]

SMALL, LOOKED_AT = 1e-10, (0, 10, 80)
ONES, PI = 0xFFFFFFFF, [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0]
KNOWN = {  # test vectors of its authors: counter and key, output
    (0,) * 6: [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8],
    (ONES,) * 6: [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD],
    tuple(PI): [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
}


@pytest.fixture(scope="module")
def engine(chromium):
    """What JavaScript says: `engine(code, argument)`, where `lab` has all that the engine exports."""
    page = chromium.new_page()
    page.goto(engine_page())
    page.wait_for_function("globalThis.lab")
    yield page.evaluate
    page.close()


@pytest.mark.parametrize("start", KNOWN, ids=["zeros", "ones", "pi"])
def test_philox_gives_the_known_answers(engine, start):
    counter, key = list(start[:4]), list(start[4:])
    assert philox(np.array([counter], dtype=np.uint64), tuple(key))[0].tolist() == KNOWN[start]
    assert engine("([counter, key]) => lab.philox(counter, key)", [counter, key]) == KNOWN[start]


@pytest.mark.parametrize("seed", [0, 1, 999_999, ONES])
def test_random_numbers_are_the_same(engine, seed):
    numbers = """([seed, purpose]) => {
      const stream = new lab.Stream(seed, purpose), integers = [3, 7, 400].map((one) => stream.below(one));
      const uniforms = Array.from({ length: 1001 }, () => stream.uniform());
      return [integers, uniforms, Array.from(stream.normals(1001)), stream.uniform()];
    }"""
    integers, uniforms, normals, after = engine(numbers, [seed, 4])
    stream = Stream(seed, 4)
    assert integers == [stream.below(one) for one in (3, 7, 400)]
    assert uniforms == stream.uniforms(1001).tolist()
    assert np.abs(normals - stream.normals(1001)).max() < 1e-14
    assert after == stream.uniforms(1)[0]


def test_random_numbers_are_uniform_and_normal():
    """A stream is what it is called: its numbers have the moments of the distribution."""
    u, z = Stream(5, 1).uniforms(40_000), Stream(5, 2).normals(40_000)
    assert u.min() >= 0 and u.max() < 1 and abs(u.mean() - 1 / 2) < 0.01 and abs(u.var() - 1 / 12) < 0.005
    assert abs(z.mean()) < 0.03 and abs(z.var() - 1) < 0.05 and abs((z**4).mean() - 3) < 0.25
    assert abs(np.corrcoef(z[::2], z[1::2])[0, 1]) < 0.03


# All around the knots of the table, and where it ends.
POINTS = np.concatenate([np.linspace(-7, 7, 2001), np.arange(-386, 386) / 64 + 1e-13, [0.0, 6.0, -6.0, 30.0, 1e-200]])
ACTIVATE = """([name, z]) => {
  const value = new Float64Array(z.length), slope = new Float64Array(z.length);
  lab.ACTIVATIONS[name](Float64Array.from(z), 0, z.length, value, slope);
  return [Array.from(value), Array.from(slope)];
}"""


def _exact(name):
    z = POINTS
    density, share = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi), scipy.special.ndtr(z)
    return {
        "erf": (scipy.special.erf(z), 2 / math.sqrt(math.pi) * np.exp(-(z**2))),
        "ReLU": (np.maximum(z, 0), (z > 0).astype(float)),
        "tanh": (np.tanh(z), 1 / np.cosh(z) ** 2),
        "Gaussian softplus": (z * share + density, share),
    }[name]


@pytest.mark.parametrize("name", ["erf", "ReLU", "tanh", "Gaussian softplus"])
def test_activations_and_slopes(engine, name):
    shown, exact = map(np.array, engine(ACTIVATE, [name, POINTS.tolist()])), _exact(name)
    for mine, right in zip(shown, exact, strict=True):
        assert np.abs(mine - right).max() < 2e-15 * max(1, np.abs(right).max())
    assert engine("(z) => z.map(lab.erf)", [-0.5, 0, 1e-9, 2]) == pytest.approx(
        scipy.special.erf([-0.5, 0, 1e-9, 2]), rel=5e-16, abs=0
    )


@pytest.mark.parametrize("name", ["erf", "ReLU", "tanh", "Gaussian softplus"])
def test_kappa(engine, name):
    t = torch.linspace(-1, 1, 401, dtype=torch.float64)
    shown = engine("([name, t]) => t.map((one) => lab.KAPPA[name](one))", [name, t.tolist()])
    assert np.abs(shown - model.BY_NAME[name].kappa(t).numpy()).max() < 1e-12


def _matrices(n):
    """Positive, indefinite with ties, of rank one, without entries, diagonal, negative."""
    square = np.random.default_rng(n).normal(size=(n, n))
    positive, ties, rank_one = square @ square.T, np.round((square + square.T) / 2), np.outer(square[0], square[0])
    return [positive, ties, rank_one, 0 * square, np.diag(np.arange(n) % 3), -positive]


@pytest.mark.parametrize("n", [1, 2, 3, 30, 100])
def test_eigenvalues(engine, n):
    code = """([matrix, n]) => {
      const { values, vectors } = lab.eigen(Float64Array.from(matrix), n);
      return [Array.from(values), Array.from(vectors)];
    }"""
    for matrix in _matrices(n):
        values, vectors = map(np.array, engine(code, [matrix.ravel().tolist(), n]))
        exact = torch.linalg.eigvalsh(torch.tensor(matrix, dtype=torch.float64)).flip(0).numpy()
        vectors, size = vectors.reshape(n, n), max(np.abs(exact).max(), 1e-300)
        assert np.abs(values - exact).max() <= 1e-13 * size
        assert np.abs(vectors @ vectors.T - np.eye(n)).max() < 1e-13
        assert np.abs((vectors.T * values) @ vectors - matrix).max() <= 1e-13 * size


RUNS = {
    "standard": {},
    "three classes": {"seed": 2, "clusters": 6, "classes": 3, "activation": "tanh", "samples": 90, "dim": 12},
    "ReLU": {"seed": 3, "activation": "ReLU", "pace": 0.3},
    "four classes": {"seed": 4, "clusters": 8, "classes": 4, "activation": "Gaussian softplus", "samples": 80,
                     "hidden_units": 100},
    "paired": {"seed": 5, "paired": True},
    "axes": {"seed": 6, "axes": True, "shell": True, "clusters": 6, "dim": 3, "activation": "ReLU"},
    "one cluster": {"seed": 7, "one_cluster": True, "shell": True, "activation": "tanh", "classes": 4},
    "changed": {"seed": 8, "changed": [0, 3, 17], "corruption_rate": 0.1, "classes": 3, "clusters": 3,
                "activation": "Gaussian softplus"},
    "last seed": {"seed": 999_999, "samples": 61, "clusters": 7, "classes": 3, "dim": 2, "input_noise": 0.05},
}  # fmt: skip
RUN = """([config, last]) => {
  const known = lab.prepare(config), kept = [];
  for (const one of lab.records({ ...known, config: { ...config, iterations: last } }))
    kept.push({ ...one, outputs: Array.from(one.outputs), ...lab.errors(one.outputs, known.data) });
  const { data, weights, linear, window, smallest, plateau } = known;
  return { kept, weights: Array.from(weights), inputs: Array.from(data.inputs), step: linear.step, smallest, plateau,
    given: Array.from(data.given, (one) => data.labels[one]), true: Array.from(data.truth, (one) => data.labels[one]),
    squares: Array.from(linear.squares), window: window && window.map((one) => Math.min(one, config.iterations)) };
}"""


@pytest.fixture(scope="module", params=RUNS, ids=[name.replace(" ", "-") for name in RUNS])
def both(request, engine):
    """A state, what the engine makes of it, and what Python does."""
    settings = state("stop", **RUNS[request.param])
    return settings, engine(RUN, [settings, max(LOOKED_AT)]), model.run(settings, max(LOOKED_AT))


def close(shown, exact, bound=SMALL):
    """Whether all numbers agree, relative to the largest one."""
    shown, exact = np.asarray(shown, dtype=float), np.asarray(exact, dtype=float)
    return np.abs(shown - exact).max() <= bound * np.abs(exact).max()


def test_data_and_weights_are_the_same(both):
    _, shown, outcome = both
    data = outcome.data
    assert close(shown["inputs"], data.inputs.ravel().tolist(), 1e-14)
    assert close(shown["weights"], outcome.weights.ravel().tolist(), 1e-14)
    assert close(shown["given"], data.labels.tolist(), 1e-15) and close(
        shown["true"], data.clean_labels.tolist(), 1e-15
    )


def test_errors_are_the_same(both):
    """As counts. With paired weights all outputs are 0 at first, on the border of two classes: rounding decides."""
    settings, shown, outcome = both
    for tau in LOOKED_AT[1:] if settings["paired"] else LOOKED_AT:
        for mine, theirs in (("byGiven", outcome.by_given), ("byTrue", outcome.by_true)):
            count = settings["samples"] * torch.tensor([shown["kept"][tau][mine], theirs[tau].item()]).double()
            assert count.round().diff() == 0 and (count - count.round()).abs().max() < 1e-4, (tau, mine)


def test_paths_are_the_same(both):
    settings, shown, outcome = both
    for tau, one in enumerate(shown["kept"][1:], 1):
        assert close(one["outputs"], outcome.path.outputs[tau].tolist()), tau
    assert close([one["loss"] for one in shown["kept"]], outcome.loss.tolist())
    assert close([one["distance"] for one in shown["kept"]], outcome.path.distance.tolist())
    assert not settings["paired"] or shown["kept"][0]["outputs"] == [0] * settings["samples"]


def test_theory_is_the_same(both):
    """ReLU's κ has an infinite slope at 1, where rounding of 1e-16 becomes 1e-8."""
    settings, shown, outcome = both
    data, phi = outcome.data, model.activation_of(settings)
    matrix = gram(outcome.weights, data.inputs, phi)
    assert close(shown["squares"], (singular_values(matrix) ** 2).tolist()) and close(shown["step"], outcome.step)
    assert close(shown["smallest"], smallest_eigenvalue(cluster_covariance(data.centers, phi)), 1e-6)
    means = torch.stack([data.labels[data.clusters == one].mean() for one in range(settings["clusters"])])
    assert close(shown["plateau"], plateau_distance(means, data.centers, phi), 1e-6)


def test_window_is_the_same(both):
    settings, shown, _ = both
    window = model.predicted_window(settings)
    assert shown["window"] == (window and list(window))
