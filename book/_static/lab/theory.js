// What the theory says before any training: Σ(C) and λ(C), the Gram matrix JJᵀ, the linearized network.

import { ACTIVATIONS, KAPPA, SMOOTHNESS } from "./activations.js";
import { dot, eigen, products } from "./matrices.js";

/** Σ(C) = CCᵀ ⊙ κ(CCᵀ) of unit vectors (Definition 2.1), with its eigenvalues and vectors. */
export function clusterCovariance(centers, activation) {
  const count = centers.length, dim = centers[0].length, all = new Float64Array(count * dim);
  centers.forEach((one, i) => all.set(one, i * dim));
  const overlap = products(all, count, dim);
  const matrix = overlap.map((t) => t * KAPPA[activation](Math.max(-1, Math.min(1, t))));
  return { matrix, ...eigen(matrix, count), norm: eigen(overlap, count).values[0] };
}

/** √(ȳᵀΣ(C)⁻¹ȳ), where an infinitely wide network outputs the mean labels; infinite where Σ(C) is singular. */
export function plateauDistance(means, { values, vectors }) {
  const count = means.length;
  if (!(values[count - 1] > 1e-12)) return Infinity;
  let sum = 0;
  for (let m = 0; m < count; m++) sum += dot(vectors, m * count, means, 0, count) ** 2 / values[m];
  return Math.sqrt(sum);
}

/** f(W, x) and φ'(Wx)/√k for inputs in rows. */
export function slopesAt(weights, inputs, dim, activation) {
  const units = weights.length / dim, samples = inputs.length / dim, scale = 1 / Math.sqrt(units);
  const slopes = new Float64Array(samples * units), outputs = new Float64Array(samples);
  const hidden = new Float64Array(units), values = new Float64Array(units);
  for (let i = 0; i < samples; i++) {
    for (let j = 0; j < units; j++) hidden[j] = dot(weights, j * dim, inputs, i * dim, dim);
    const row = slopes.subarray(i * units, (i + 1) * units);
    ACTIVATIONS[activation](hidden, 0, units, values, row);
    for (let j = 0; j < units; j++) {
      outputs[i] += scale * (j < units / 2 ? values[j] : -values[j]);
      row[j] *= scale;
    }
  }
  return { outputs, slopes };
}

/** f(W₀), slopes, and JJᵀ = (XXᵀ) ⊙ (φ'(XW₀ᵀ) φ'(W₀Xᵀ))/k for inputs in rows. */
export function linearization(weights, inputs, dim, activation) {
  const { outputs, slopes } = slopesAt(weights, inputs, dim, activation), samples = outputs.length;
  const overlap = products(inputs, samples, dim), gram = products(slopes, samples, weights.length / dim);
  return { outputs, slopes, gram: gram.map((one, i) => one * overlap[i]) };
}

/** The linearized network: gradient descent in closed form, each direction by its own clock. */
export class Linearized {
  constructor({ outputs, gram }, labels, pace) {
    const samples = labels.length, { values, vectors } = eigen(gram, samples);
    this.squares = values.map((one) => Math.max(0, one)); // σ_j²
    this.vectors = vectors;
    this.step = (2 * pace) / this.squares[0];
    this.labels = labels;
    const residual = outputs.map((one, i) => one - labels[i]);
    this.along = Float64Array.from({ length: samples }, (_, m) => dot(vectors, m * samples, residual, 0, samples));
  }

  /** What is left of the residual in every direction after τ iterations. */
  left(tau) {
    return this.along.map((one, m) => one * (1 - this.step * this.squares[m]) ** tau);
  }

  /** Outputs after τ iterations. */
  outputs(tau) {
    const samples = this.labels.length, left = this.left(tau), values = Float64Array.from(this.labels);
    for (let m = 0; m < samples; m++)
      if (left[m] !== 0) for (let i = 0; i < samples; i++) values[i] += left[m] * this.vectors[m * samples + i];
    return values;
  }
}

/** The class whose label is nearest. */
export function nearest(output, labels) {
  let best = 0;
  while (best + 1 < labels.length && output > (labels[best] + labels[best + 1]) / 2) best += 1;
  return best;
}

/** Iterations that are looked at: all up to 20, then 40 for a factor of ten. */
export function moments(iterations) {
  const times = [];
  for (let i = 0; i <= Math.min(20, iterations); i++) times.push(i);
  for (let m = 1; ; m++) {
    const next = Math.round(20 * 10 ** (m / 40));
    if (next >= iterations) break;
    if (next > times[times.length - 1]) times.push(next);
  }
  if (times[times.length - 1] < iterations) times.push(iterations);
  return times;
}

/** The first stretch of moments at which the linearized network has every true label, or null. */
export function predictedWindow(linear, truth, labels, iterations) {
  const right = (tau) => linear.outputs(tau).every((one, i) => nearest(one, labels) === truth[i]);
  const times = moments(iterations), from = times.findIndex(right);
  if (from < 0) return null;
  const beyond = times.findIndex((tau, i) => i > from && !right(tau));
  const first = from ? between(times[from - 1], times[from], right) : times[0];
  return [first, beyond < 0 ? Infinity : between(times[beyond - 1], times[beyond], (tau) => !right(tau)) - 1];
}

/** The first iteration in (low, high] at which something holds that holds at `high` and not at `low`. */
function between(low, high, holds) {
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (holds(middle)) high = middle;
    else low = middle;
  }
  return high;
}

/** ‖W‖ of a matrix in rows, its largest singular value. */
export function spectralNorm(weights, dim) {
  const matrix = new Float64Array(dim * dim);
  for (let at = 0; at < weights.length; at += dim)
    for (let i = 0; i < dim; i++) for (let j = 0; j < dim; j++) matrix[i * dim + j] += weights[at + i] * weights[at + j];
  return Math.sqrt(eigen(matrix, dim).values[0]);
}

/** A lower bound of ‖W - W₀‖ for weights that fit two inputs with labels `gap` apart (Theorem 2.3). */
export function certificate(weights, dim, activation, outputs, inputs, gap, norm = spectralNorm(weights, dim)) {
  const away = Math.sqrt(inputs.subarray(0, dim).reduce((sum, one, c) => sum + (one - inputs[dim + c]) ** 2, 0));
  const units = weights.length / dim, reach = 1 + norm / Math.sqrt(units);
  return (gap - Math.abs(outputs[1] - outputs[0])) / (SMOOTHNESS[activation] * away * reach);
}
