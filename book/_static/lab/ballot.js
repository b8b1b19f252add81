// Majority votes in clusters, one for each class: what each bears, and the chance that it is lost: src/earlystop/lab/ballot.py.

import { Stream } from "./philox.js";

const VOTES = 6; // purpose of random numbers
export const KINDS = ["any other class", "the next class", "the worst class"];

/** Class labels -1 + unit · at, so that sums of labels are exact. */
export function labelScale({ classes, label_places }) {
  const own = label_places.length === classes;
  const at = own ? label_places.map((one) => (one + 100) / 5) : Array.from({ length: classes }, (_, i) => i);
  const unit = own ? 0.05 : 2 / (classes - 1);
  return { at, unit, values: at.map((one) => -1 + unit * one) };
}

/** From a class to its neighbour above or below, in units; infinite beyond the ends. */
export function gapOf(at, own, up) {
  return Math.abs((up ? at[own + 1] : at[own - 1]) - at[own]) || Infinity;
}

/** Whether labels that lie `shift` units beside the true one, all together, lose a vote of `size`. */
function isLost(at, own, shift, size) {
  return 2 * Math.abs(shift) >= size * gapOf(at, own, shift > 0);
}

/** The classes that a wrong label of a cluster may say, each as likely. */
function saidBy(at, kind, own) {
  const last = at.length - 1;
  if (kind === KINDS[0]) return Array.from({ length: last }, (_, i) => (own + 1 + i) % (last + 1));
  if (kind === KINDS[1]) return [own < last ? own + 1 : own - 1];
  const ease = (up, end) => gapOf(at, own, up) / Math.max(1, Math.abs(at[end] - at[own]));
  return [ease(true, last) <= ease(false, 0) ? last : 0];
}

const addUp = (numbers) => numbers.reduce((sum, one) => sum + one, 0);

/** How far wrong labels of each cluster lie beside the true one on average, in units. */
export function pulls({ at }, kind) {
  return at.map((mine, own) => {
    const to = saidBy(at, kind, own);
    return addUp(to.map((one) => at[one] - mine)) / to.length;
  });
}

/** The share of wrong labels at which each cluster's expected mean is halfway to another label; infinite if none is. */
export function borders(state) {
  const scale = labelScale(state);
  return pulls(scale, state.wrong_to).map((pull, own) => (pull ? gapOf(scale.at, own, pull > 0) / (2 * Math.abs(pull)) : Infinity));
}

/** Shares of all labels that may be wrong: by Theorem 2.2, by the vote itself, by Theorem 4.1; and who is lost first. */
export function allowedShares(state) {
  const { at, unit } = labelScale(state), found = borders(state), count = at.length;
  const share = state.one_cluster ? count : 1, least = Math.min(...found);
  const separation = unit * Math.min(...at.slice(1).map((one, i) => one - at[i]));
  const change = unit * Math.max(...at.flatMap((mine, own) => saidBy(at, state.wrong_to, own).map((to) => Math.abs(at[to] - mine))));
  return { theorem: separation / 8 / share, vote: least / share, anywhere: separation / (2 * count * change),
    weakest: found.indexOf(least), separation };
}

/** The votes of all clusters: { counts, mean, wrong, lost }; what a wrong label says is drawn from the seed. */
export function ballots(state) {
  const { at, unit, values } = labelScale(state), size = state.cluster_size, stream = new Stream(state.seed, VOTES);
  const { weakest } = allowedShares(state), share = (all) => Math.floor(state.corruption_rate * all + 1e-9);
  return at.map((mine, own) => {
    const to = saidBy(at, state.wrong_to, own), drawn = Array.from({ length: size }, () => to[stream.below(to.length)]);
    const wrong = !state.one_cluster ? share(size) : own === weakest ? Math.min(size, share(size * at.length)) : 0;
    const counts = at.map((_, one) => drawn.slice(0, wrong).filter((said) => said === one).length);
    counts[own] = size - wrong;
    const shift = addUp(counts.map((count, one) => count * (at[one] - mine)));
    return { counts, wrong, mean: values[own] + (unit * shift) / size, lost: isLost(at, own, shift, size) };
  });
}

/** The probability that a vote is lost if just m of its labels are wrong, for m from 0 to its size. */
function lostAmong(at, kind, own, size) {
  const steps = Int32Array.from(saidBy(at, kind, own), (to) => at[to] - at[own]), each = 1 / steps.length;
  const low = Math.min(0, ...steps), width = Math.max(0, ...steps) - low, found = [];
  const down = (-size * gapOf(at, own, false)) / 2, up = (size * gapOf(at, own, true)) / 2; // as in isLost
  let sums = Float64Array.of(1); // the distribution of the shift, from m · low on
  for (let m = 0; m <= size; m++) {
    const next = new Float64Array(sums.length + width);
    let lost = 0;
    for (let i = 0; i < sums.length; i++) {
      const chance = sums[i] * each;
      if (!chance) continue;
      if (m * low + i <= down || m * low + i >= up) lost += sums[i];
      for (let j = 0; j < steps.length; j++) next[i + steps[j] - low] += chance;
    }
    found.push(lost);
    sums = next;
  }
  return found;
}

/** Of a binomial distribution of `size` and p, the probability of each number. */
function binomialShares(size, p) {
  let ways = 1;
  return Array.from({ length: size + 1 }, (_, m) => {
    if (m) ways *= (size + 1 - m) / m;
    return ways * p ** m * (1 - p) ** (size - m);
  });
}

const remembered = {}; // of the last state: what does not depend on ρ

/** For each ρ the probability that the weakest cluster, and that any, is lost if labels are wrong by chance. */
export function lossChances(state, rates) {
  const { at } = labelScale(state), { one_cluster, cluster_size: size, wrong_to } = state, { weakest } = allowedShares(state);
  const asked = one_cluster ? [weakest] : [...at.keys()], key = [at, wrong_to, size, asked].join(";");
  if (remembered.key !== key) Object.assign(remembered, { key, among: asked.map((own) => lostAmong(at, wrong_to, own, size)) });
  return rates.map((rate) => {
    const weights = binomialShares(size, one_cluster ? Math.min(1, rate * at.length) : rate);
    const lost = remembered.among.map((one) => addUp(one.map((chance, m) => chance * weights[m])));
    return { alone: lost[asked.indexOf(weakest)], some: 1 - lost.reduce((kept, one) => kept * (1 - one), 1) };
  });
}
