// Two points on a circle, in closed form: how far the weights must go for their labels, and what stopping or ridge does on the way.

import { dot } from "./matrices.js";
import { Linearized, certificate, linearization } from "./theory.js";

/** Points of the unit circle in the plane of the first two axes, in rows. */
export function onCircle(angles, dim) {
  const rows = new Float64Array(angles.length * dim);
  angles.forEach((angle, i) => rows.set([Math.cos(angle), Math.sin(angle)], i * dim));
  return rows;
}

/** The share that is fitted of a direction with some σ²: by τ iterations of a step, or by ridge. */
export function filterOf(by, { after, penalty }, step) {
  return by === "ridge" ? (square) => square / (square + 2 * penalty) : (square) => 1 - (1 - step * square) ** after;
}

/** The linearized network at two points of some distance, with the labels 1 and 1 or, if they are different, -1 and 1. */
export class Pair {
  constructor({ weights, norm }, { dim, activation, pace, distance, different }) {
    this.angles = [0, 2 * Math.asin(distance / 2)];
    this.labels = [different ? -1 : 1, 1];
    this.inputs = onCircle(this.angles, dim);
    Object.assign(this, linearization(weights, this.inputs, dim, activation));
    this.linear = new Linearized(this, this.labels, pace);
    if (!this.linear.squares[0]) this.linear.step = 0; // no unit sees the points
    this.least = Math.max(0, certificate(weights, dim, activation, this.outputs, this.inputs, this.labels[1] - this.labels[0], norm));
  }

  /** ‖W - W₀‖ when such shares of both directions are fitted; infinite where the labels cannot be. */
  way(shares = [1, 1]) {
    const { squares, along } = this.linear;
    return Math.hypot(...along.map((one, m) => {
      const part = shares[m] * one;
      return Math.abs(part) < 1e-9 ? 0 : squares[m] > 1e-12 * squares[0] ? part / Math.sqrt(squares[m]) : Infinity;
    }));
  }

  /** What is answered then at angles whose outputs and slopes at W₀ are known. */
  answers(shares, { angles, outputs, slopes } = this) {
    const { squares, along, vectors } = this.linear, units = this.slopes.length / 2;
    const pull = [0, 1].map((i) => along.reduce((sum, one, m) => sum - (shares[m] && (shares[m] * one * vectors[2 * m + i]) / squares[m]), 0));
    return Array.from(outputs, (one, a) => pull.reduce((sum, weight, i) =>
      sum + weight * Math.cos(angles[a] - this.angles[i]) * dot(slopes, a * units, this.slopes, i * units, units), one));
  }
}
