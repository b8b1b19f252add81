// Clusterable data with wrong labels: Definitions 1.1 and 1.2, as in src/earlystop/lab.py.

import { Stream } from "./philox.js";
import { dot } from "./matrices.js";

const PURPOSE = { centers: 1, directions: 2, radii: 3, wrong: 4, weights: 5 };
const TRIES = 200, RESTARTS = 20;

/** A request that no data fulfil; its message says what would. */
export class Impossible extends Error {}

/** K̄ labels, evenly from -1 to 1. */
export function classLabels(classes) {
  return Float64Array.from({ length: classes }, (_, i) => -1 + (2 * i) / (classes - 1));
}

function unit(stream, dim) {
  const v = stream.normals(dim), length = Math.sqrt(dot(v, 0, v, 0, dim));
  return v.map((one) => one / length);
}

function distance(x, y) {
  return Math.sqrt(x.reduce((sum, one, i) => sum + (one - y[i]) ** 2, 0));
}

/** The unit vectors e₁, -e₁, e₂, -e₂, ... */
function axisCenters(count, dim) {
  if (count > 2 * dim) throw new Impossible(`${dim} axes have ${2 * dim} ends, fewer than ${count} clusters`);
  return Array.from({ length: count }, (_, i) =>
    Float64Array.from({ length: dim }, (_, c) => (c === i >> 1 ? (i % 2 ? -1 : 1) : 0)));
}

function randomCenters(config, classOf) {
  const { clusters, dim, input_noise, seed } = config, stream = new Stream(seed, PURPOSE.centers);
  for (let restart = 0; restart < RESTARTS; restart++) {
    const centers = [];
    for (let tries = 0; tries < TRIES && centers.length < clusters; tries++) {
      const one = unit(stream, dim), mine = classOf(centers.length);
      if (centers.every((other, i) => classOf(i) === mine || distance(one, other) >= 2 * input_noise)) {
        centers.push(one);
        tries = -1;
      }
    }
    if (centers.length === clusters) return centers;
  }
  throw new Impossible(
    `${clusters} clusters of radius ${input_noise} do not fit in ${dim} dimensions: fewer, smaller, or more dimensions`);
}

/** Inputs around their centers, on the sphere: at most ε₀ away, or exactly. */
function around(config, centers, clusterOf) {
  const { samples, dim, input_noise, shell, seed } = config, inputs = new Float64Array(samples * dim);
  const directions = new Stream(seed, PURPOSE.directions).normals(samples * dim);
  const radii = new Stream(seed, PURPOSE.radii);
  for (let i = 0; i < samples; i++) {
    const center = centers[clusterOf[i]], u = directions.subarray(i * dim, (i + 1) * dim);
    const radius = input_noise * (shell ? 1 : radii.uniform() ** (1 / (dim - 1))), along = dot(u, 0, center, 0, dim);
    const tangent = u.map((one, c) => one - along * center[c]), length = Math.sqrt(dot(tangent, 0, tangent, 0, dim));
    const near = 1 - radius ** 2 / 2, far = radius * Math.sqrt(1 - radius ** 2 / 4);
    for (let c = 0; c < dim; c++) inputs[i * dim + c] = near * center[c] + (far * tangent[c]) / length;
  }
  return inputs;
}

/** ⌊ρ n_ℓ⌋ samples of each cluster, or as many of the first cluster as ρ n allows. */
function wrongSamples(config, clusterOf, stream) {
  const members = Array.from({ length: config.clusters }, () => []);
  clusterOf.forEach((cluster, i) => members[cluster].push(i));
  const share = (all) => Math.floor(config.corruption_rate * all + 1e-9);
  const chosen = [];
  for (const group of config.one_cluster ? members.slice(0, 1) : members) {
    const count = config.one_cluster ? Math.min(group.length, share(config.samples)) : share(group.length);
    for (let i = 0; i < count; i++) {
      const other = i + stream.below(group.length - i);
      [group[i], group[other]] = [group[other], group[i]];
      chosen.push(group[i]);
    }
  }
  return chosen;
}

/** Inputs that the request gives itself, with classes for labels: each is a cluster of its own. */
function ownPoints({ points, given, classes }) {
  const centers = points.map((one) => Float64Array.from(one)), truth = Int32Array.from(given);
  return { inputs: Float64Array.from(points.flat()), centers, sizes: centers.map(() => 1), clusterOf: Int32Array.from(points.keys()),
    truth, given: truth.slice(), labels: classLabels(classes) };
}

/** What settings may not be together, in words. */
function checkTogether({ samples, clusters, classes, changed }) {
  const beyond = changed.find((one) => one >= samples);
  if (classes > clusters) throw new Impossible(`${classes} classes in ${clusters} clusters: every class needs one`);
  if (samples < clusters) throw new Impossible(`${samples} samples in ${clusters} clusters: every one needs one`);
  if (beyond !== undefined) throw new Impossible(`sample ${beyond} is changed, but there are ${samples}, counted from 0`);
}

/** Inputs (a row each), centers, clusters, true and given labels. Throws `Impossible` where the request is. */
export function dataset(config) {
  if (config.points) return ownPoints(config);
  checkTogether(config);
  const { samples, clusters, classes, seed } = config, labels = classLabels(classes);
  const classOf = (cluster) => Math.floor((cluster * classes) / clusters);
  const centers = config.axes ? axisCenters(clusters, config.dim) : randomCenters(config, classOf);
  const sizes = centers.map((_, i) => Math.floor(samples / clusters) + (i < samples % clusters ? 1 : 0));
  const clusterOf = Int32Array.from(sizes.flatMap((size, i) => Array(size).fill(i)));
  const truth = Int32Array.from(clusterOf, classOf), given = truth.slice();
  const stream = new Stream(seed, PURPOSE.wrong);
  for (const i of wrongSamples(config, clusterOf, stream)) given[i] = (truth[i] + 1 + stream.below(classes - 1)) % classes;
  for (const i of config.changed) given[i] = given[i] === truth[i] ? (truth[i] + 1) % classes : truth[i];
  return { inputs: around(config, centers, clusterOf), centers, sizes, clusterOf, truth, given, labels };
}

/** W₀ with standard normal entries, a row for each hidden unit; `paired` repeats the first half. */
export function initialWeights(config) {
  const { hidden_units, dim, paired, seed } = config;
  if (hidden_units % 2) throw new Impossible(`hidden_units is ${hidden_units}, should be even: half of the output weights are negative`);
  const rows = paired ? hidden_units / 2 : hidden_units;
  const drawn = new Stream(seed, PURPOSE.weights).normals(rows * dim);
  if (!paired) return drawn;
  const weights = new Float64Array(hidden_units * dim);
  weights.set(drawn);
  weights.set(drawn, rows * dim);
  return weights;
}
