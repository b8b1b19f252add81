// A run from its configuration: what is known beforehand, then one record after the other.

import { dataset, initialWeights, Impossible } from "./data.js";
import { Descent } from "./descent.js";
import { clusterCovariance, Linearized, linearization, moments, nearest, plateauDistance, predictedWindow } from "./theory.js";

/** Data, weights and everything that the theory says of them. */
export function prepare(config) {
  const data = dataset(config), weights = initialWeights(config);
  const targets = Float64Array.from(data.given, (one) => data.labels[one]);
  const linear = new Linearized(linearization(weights, data.inputs, config.dim, config.activation), targets, config.pace);
  const covariance = clusterCovariance(data.centers, config.activation), means = new Float64Array(config.clusters);
  data.clusterOf.forEach((cluster, i) => { means[cluster] += targets[i] / data.sizes[cluster]; });
  const window = predictedWindow(linear, data.truth, data.labels, config.iterations);
  const smallest = covariance.values[config.clusters - 1];
  return { config, data, weights, targets, linear, covariance, smallest, means, window,
    plateau: plateauDistance(means, covariance) };
}

/** Shares of samples that a record answers otherwise than their given and than their true label. */
export function errors(outputs, { labels, given, truth }) {
  let byGiven = 0, byTrue = 0;
  outputs.forEach((one, i) => {
    const answer = nearest(one, labels);
    byGiven += answer !== given[i];
    byTrue += answer !== truth[i];
  });
  return { byGiven: byGiven / outputs.length, byTrue: byTrue / outputs.length };
}

/** The records of a run, one after each iteration; those that are kept have `kept`.
 * Where the request says `within`, the run ends when all given labels are fitted so well, and its last record has the `weights`. */
export function* records({ config, data, weights, targets, linear }) {
  const descent = new Descent(weights, data.inputs, targets, config.dim, config.activation, linear.step);
  const kept = new Set(moments(config.iterations)), close = (one, i) => Math.abs(one - targets[i]) <= config.within;
  for (let tau = 0; tau <= config.iterations; tau++) {
    const record = descent.advance();
    if (!(record.loss < 1e12)) throw new Impossible("gradient descent left every bound: a smaller step");
    if (config.within && record.outputs.every(close)) {
      yield { ...record, ...errors(record.outputs, data), kept: true, weights: descent.before() };
      return;
    }
    yield kept.has(tau) ? { ...record, ...errors(record.outputs, data), kept: true } : record;
  }
}

/** Runs one configuration at a time in slices, and tells `post` what happens. */
export class Engine {
  constructor(post, slice = 12, later = (next) => setTimeout(next, 0)) {
    Object.assign(this, { post, slice, later, job: 0, paused: false, run: null });
  }

  /** What the page asks: { id, config } to begin, { pause } to wait or go on, { stop }. */
  take(message) {
    if ("pause" in message) {
      const waits = this.paused;
      this.paused = message.pause;
      if (waits && !this.paused) this.go(++this.job); // slices that were asked for before the pause are void
    } else if (message.stop) {
      this.run = null;
      this.job += 1;
    } else this.begin(message);
  }

  begin({ id, config }) {
    this.job += 1;
    this.id = id;
    try {
      const known = prepare(config);
      this.run = records(known);
      this.post({ id, known: summary(known) });
      this.go(this.job);
    } catch (error) {
      this.fail(error);
    }
  }

  go(job) {
    if (!this.run || this.paused || job !== this.job) return;
    const end = performance.now() + this.slice, kept = [];
    let done = false;
    try {
      while (!done && performance.now() < end) {
        const { value, done: over } = this.run.next();
        done = over;
        if (!over && value.kept) kept.push(value);
      }
    } catch (error) {
      this.fail(error);
      return;
    }
    if (kept.length || done) this.post({ id: this.id, records: kept, done });
    if (done) this.run = null;
    else this.later(() => this.go(job));
  }

  fail(error) {
    this.run = null;
    this.post({ id: this.id, error: error instanceof Impossible ? error.message : `${error}` });
  }
}

/** What is known before training, without the functions. */
export function summary({ config, data, linear, covariance, smallest, means, window, plateau }) {
  const { squares, along, step, vectors } = linear;
  return { config, data, means, window, plateau, smallest, norm: covariance.norm, squares, along, step, vectors };
}
