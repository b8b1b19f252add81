// The network f(W, x) = vᵀφ(Wx), its gradient and gradient descent: Eq. 2 to 4.

import { ACTIVATIONS } from "./activations.js";

const BLOCK = 4; // samples that share one pass over the weights

/** Gradient descent on the loss ½ Σ (f - y)², from the given weights; half of v is 1/√k, half -1/√k. */
export class Descent {
  constructor(weights, inputs, labels, dim, activation, step) {
    Object.assign(this, { inputs, labels, dim, step, activate: ACTIVATIONS[activation] });
    this.samples = labels.length;
    this.units = weights.length / dim;
    this.start = weights;
    this.weights = Float64Array.from(weights);
    this.gradient = new Float64Array(weights.length);
    this.outputs = new Float64Array(this.samples);
    this.block = new Float64Array(BLOCK * dim);
    this.hidden = Array.from({ length: BLOCK }, () => new Float64Array(this.units));
    this.slopes = Array.from({ length: BLOCK }, () => new Float64Array(this.units));
    this.values = new Float64Array(this.units);
    this.iteration = 0;
  }

  /** Outputs at the present weights, and the gradient there. */
  look() {
    this.gradient.fill(0);
    for (let first = 0; first < this.samples; first += BLOCK) {
      const count = Math.min(BLOCK, this.samples - first);
      this.block.fill(0);
      this.block.set(this.inputs.subarray(first * this.dim, (first + count) * this.dim));
      this.forward();
      for (let s = 0; s < BLOCK; s++) this.activated(s, first + s);
      this.backward();
    }
  }

  /** The values of four samples in all hidden units. */
  forward() {
    const { weights: w, block: x, dim: d, units } = this, [h0, h1, h2, h3] = this.hidden;
    for (let j = 0, at = 0; j < units; j++) {
      let z0 = 0, z1 = 0, z2 = 0, z3 = 0;
      for (let c = 0, c1 = d, c2 = 2 * d, c3 = 3 * d; c < d; c++, c1++, c2++, c3++, at++) {
        const one = w[at];
        z0 += one * x[c];
        z1 += one * x[c1];
        z2 += one * x[c2];
        z3 += one * x[c3];
      }
      h0[j] = z0;
      h1[j] = z1;
      h2[j] = z2;
      h3[j] = z3;
    }
  }

  /** The output of sample i, and the factors of its slopes in the gradient. */
  activated(s, i) {
    const { values, units } = this, slopes = this.slopes[s], half = units / 2, scale = 1 / Math.sqrt(units);
    if (i >= this.samples) {
      slopes.fill(0);
      return;
    }
    this.activate(this.hidden[s], 0, units, values, slopes);
    let plus = 0, minus = 0; // apart, so that paired weights give exactly 0
    for (let j = 0; j < half; j++) plus += values[j];
    for (let j = half; j < units; j++) minus += values[j];
    this.outputs[i] = scale * (plus - minus);
    const factor = scale * (this.outputs[i] - this.labels[i]);
    for (let j = 0; j < half; j++) slopes[j] *= factor;
    for (let j = half; j < units; j++) slopes[j] *= -factor;
  }

  /** What four samples add to the gradient. */
  backward() {
    const { gradient: g, block: x, dim: d, units } = this, [s0, s1, s2, s3] = this.slopes;
    for (let j = 0, at = 0; j < units; j++) {
      const a = s0[j], b = s1[j], c = s2[j], e = s3[j];
      for (let i = 0, i1 = d, i2 = 2 * d, i3 = 3 * d; i < d; i++, i1++, i2++, i3++, at++)
        g[at] += a * x[i] + b * x[i1] + c * x[i2] + e * x[i3];
    }
  }

  /** The outputs, the loss and ‖W - W₀‖ after this many iterations; then one step on. */
  advance() {
    this.look();
    const { weights, start, gradient, step } = this;
    let way = 0, loss = 0;
    for (let i = 0; i < this.samples; i++) loss += 0.5 * (this.outputs[i] - this.labels[i]) ** 2;
    for (let i = 0; i < weights.length; i++) {
      way += (weights[i] - start[i]) ** 2;
      weights[i] -= step * gradient[i];
    }
    return { iteration: this.iteration++, outputs: Float64Array.from(this.outputs), loss, distance: Math.sqrt(way) };
  }

  /** The weights to which the last record belongs, one step back. */
  before() {
    return this.weights.map((one, i) => one + this.step * this.gradient[i]);
  }
}
