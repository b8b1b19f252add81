// The majority vote: how far wrong labels pull the mean given label of each cluster, and how many of them it bears.

import { KINDS, allowedShares, ballots, lossChances, gapOf, labelScale, pulls } from "./ballot.js";
import { Chart, legend } from "./chart.js";
import { FIGURES, button, control, h, number, presets, s, share, speaker } from "./page.js";

const BALLOT = { width: 360, height: 350, edge: 20, top: 26, bottom: 290 }, LABELS_APART = 10; // hundredths between two labels
const VOTE_RATES = Array.from({ length: 121 }, (_, i) => i / 200);

const placed = (label) => BALLOT.edge + ((label + 1) / 2) * (BALLOT.width - 2 * BALLOT.edge);
const keptIn = (low, value, high) => Math.max(low, Math.min(high, value));
const chanceText = (p) => (p > 0 && p < 0.001 ? "less than 0.1%" : p < 1 && p > 0.999 ? "more than 99.9%" : `${number(100 * p)}%`);
const byChance = (state) => state.wrong_to === KINDS[0] && state.classes > 2;

/** A row for each cluster: its given labels and their mean; below, the labels of all classes. All of it can be dragged. */
class VoteRows {
  constructor(panel) {
    Object.assign(this, { panel, back: s("g", { "aria-hidden": "true" }), front: s("g"), handles: [] });
    this.svg = s("svg", { viewBox: `0 0 ${BALLOT.width} ${BALLOT.height}`, class: "lab-chart lab-drag", role: "group" }, this.back, this.front);
    this.svg.addEventListener("pointerdown", (event) => { this.svg.setPointerCapture(event.pointerId); this.pull(event, true); });
    this.svg.addEventListener("pointermove", (event) => { if (this.svg.hasPointerCapture(event.pointerId)) this.pull(event); });
  }

  show(scale, votes) {
    const { values } = scale, crowded = values.some((one, i) => one - values[i - 1] < 0.24);
    Object.assign(this, { scale, tall: (BALLOT.bottom - BALLOT.top) / values.length });
    if (this.handles.length !== values.length) this.front.replaceChildren(...(this.handles = values.map((_, i) => this.handle(i))));
    this.handles.forEach((one, i) => {
      one.setAttribute("x", placed(values[i]) - 6);
      one.setAttribute("aria-valuenow", values[i].toFixed(2));
    });
    const words = (x, y, text, look = "lab-tick") => s("text", { x, y, class: look, "text-anchor": "middle" }, text);
    this.back.replaceChildren(s("text", { x: 4, y: 15, class: "lab-title" }, "the vote in each cluster"),
      ...votes.flatMap((one, own) => this.row(one, own, words)),
      ...values.map((one, i) => words(placed(one), BALLOT.bottom + (crowded && i % 2 ? 40 : 28), number(one))),
      words(BALLOT.width / 2, BALLOT.height - 5, "class labels: drag them"));
  }

  row({ counts, mean, lost }, own, words) {
    const { at, unit, values } = this.scale, { tall } = this, top = BALLOT.top + own * tall, base = top + tall - 14;
    const border = (sign) => placed(keptIn(-1.2, values[own] + (sign * unit * gapOf(at, own, sign > 0)) / 2, 1.2));
    const rect = (look, x, y, width, height) => s("rect", { x, y, width, height, class: `lab-vote-${look}` });
    const bars = counts.map((count) => Math.max(count ? 2 : 0, ((tall - 22) * count) / this.panel.state.cluster_size));
    return [rect("won", border(-1), top + 2, border(1) - border(-1), tall - 4),
      s("path", { d: `M4 ${base}H${BALLOT.width - 4}`, class: "lab-grid" }),
      ...bars.map((one, i) => rect(i === own ? "right" : "wrong", placed(values[i]) - 5, base - one, 10, one)),
      s("path", { d: `M${placed(values[own])} ${base + 6}H${placed(mean)}`, class: "lab-vote-way" }),
      rect("true", placed(values[own]) - 4, base + 2, 8, 8),
      s("circle", { cx: placed(mean), cy: base + 6, r: 5, class: "lab-vote-mean" }),
      words(own < at.length / 2 ? BALLOT.width - 46 : 46, top + 13, lost ? "lost" : "", "lab-title")];
  }

  handle(i) {
    const steps = { ArrowRight: 5, ArrowUp: 5, ArrowLeft: -5, ArrowDown: -5 };
    return s("rect", { y: BALLOT.bottom + 4, width: 12, height: 12, class: "lab-vote-true lab-vote-handle", role: "slider", tabindex: 0,
      "aria-label": `label of class ${i + 1}`, "aria-valuemin": -1, "aria-valuemax": 1, onkeydown: (event) => {
        if (!steps[event.key]) return;
        event.preventDefault();
        this.move(i, this.scale.values[i] + steps[event.key] / 100);
      } });
  }

  /** Put a label near `value`, between its neighbours. */
  move(i, value) {
    const all = this.scale.values.map((one) => 5 * Math.round(20 * one));
    all[i] = keptIn((all[i - 1] ?? -110) + LABELS_APART, 5 * Math.round(20 * value), (all[i + 1] ?? 110) - LABELS_APART);
    this.panel.set({ label_places: all });
  }

  /** The pointer moves the label that is nearest when it comes down, or the mean of a row. */
  pull(event, begin) {
    const box = this.svg.getBoundingClientRect(), { state } = this.panel, { values, unit } = this.scale;
    const x = ((event.clientX - box.left) / box.width) * BALLOT.width, y = ((event.clientY - box.top) / box.width) * BALLOT.width;
    const far = values.map((one) => Math.abs(placed(one) - x)), value = (2 * (x - BALLOT.edge)) / (BALLOT.width - 2 * BALLOT.edge) - 1;
    if (begin) this.held = y > BALLOT.bottom ? { label: far.indexOf(Math.min(...far)) } : { row: keptIn(0, Math.floor((y - BALLOT.top) / this.tall), values.length - 1) };
    const { label, row } = this.held, way = unit * pulls(this.scale, state.wrong_to)[row] * (state.one_cluster ? values.length : 1);
    if (row === undefined) this.move(label, value);
    else if (way && (!state.one_cluster || row === allowedShares(state).weakest))
      this.panel.set({ corruption_rate: keptIn(0, Math.round((100 * (value - values[row])) / way), 60) / 100 });
  }
}

/** What is seen, in words. */
function verdictOf(state, votes, limits, { some }) {
  const { classes, cluster_size, one_cluster } = state, lost = votes.filter((one) => one.lost).length, { wrong } = votes[limits.weakest];
  const [theorem, asks] = one_cluster ? ["Theorem 4.1", limits.anywhere] : ["Theorem 2.2", limits.theorem], reserve = limits.vote / asks;
  return `${one_cluster ? `All wrong labels are in one cluster, ${wrong} of its ${cluster_size}` : `In each cluster ${wrong} of ${cluster_size} labels are wrong`}: `
    + `${lost ? `the vote is lost in ${lost} of ${classes} clusters` : "every vote is won"}. `
    + `${byChance(state) ? "On average the" : "The"} first vote is lost at ρ = ${number(limits.vote, 3)}; ${theorem} allows ρ = ${number(asks, 3)}`
    + `${reserve < 1.001 ? ", just as much" : `: a reserve of a factor ${number(reserve)}`}. `
    + `Were each label wrong by chance, the probability of losing a vote would be ${chanceText(some)}.`;
}

/** Bars of the shares of wrong labels that theory and vote allow, above the chance that a vote is lost. */
function showLimits(chart, state, limits) {
  const curve = lossChances(state, VOTE_RATES), points = (name) => curve.map((one, i) => [VOTE_RATES[i], one[name]]);
  chart.stretch("covered", "lab-window", 0, limits.theorem);
  chart.upright("rate", state.corruption_rate);
  chart.line("some", "lab-vote-some", points("some"));
  chart.line("alone", "", points("alone"));
  [[`Theorem 2.2, ${state.one_cluster ? "δ/(8K)" : "δ/8"}`, "theorem", "theory"], ["the vote itself", "vote", "mean"], [`Theorem 4.1, γ = ${state.classes}`, "anywhere", "theory"]].forEach(([words, name, look], i) => {
    const up = 2 - 0.3 * i, width = chart.across(limits[name]) - chart.across(0);
    chart.note(name, 0.6, up - 0.03, `${words}: ρ = ${number(limits[name], 3)}`, { "text-anchor": "end", class: "lab-vote-note" });
    chart.part(`${name} bar`, "rect", { x: chart.across(0), y: chart.up(up - 0.06), width, height: 8, class: `lab-vote-${look}` });
  });
}

const voteKey = (look, words) => h("li", {}, s("svg", { width: 14, height: 10, "aria-hidden": "true" }, s("rect", { x: 1, width: 12, height: 10, class: `lab-vote-${look}` })), " ", words);

FIGURES.vote = (panel) => {
  const { state } = panel, { elements, say } = speaker(), rows = new VoteRows(panel);
  const chart = new Chart({ title: "what a vote bears", height: BALLOT.height,
    x: { low: 0, high: 0.6, ticks: [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6], label: "share of wrong labels, ρ" },
    y: { low: 0, high: 2.1, ticks: [0, 0.5, 1], label: "chance that a vote is lost" } });
  chart.drag((value) => panel.set({ corruption_rate: Math.round(100 * value) / 100 }));
  const even = button("even labels", () => panel.set({ label_places: [] }));
  const one = button("all in one cluster", () => panel.set({ one_cluster: !state.one_cluster }));
  const again = button("draw again", () => panel.set({ seed: (state.seed + 1) % 1000 }));
  const draw = () => {
    if (![0, state.classes].includes(state.label_places.length)) return panel.set({ label_places: [] });
    const limits = allowedShares(state), votes = ballots(state);
    rows.show(labelScale(state), votes);
    showLimits(chart, state, limits);
    const text = verdictOf(state, votes, limits, lossChances(state, [state.corruption_rate])[0]);
    say(text);
    rows.svg.setAttribute("aria-label", `Given labels, their mean in each cluster, and class labels. ${text}`);
    chart.svg.setAttribute("aria-label", `Shares of wrong labels that theory and vote allow. ${text}`);
    even.hidden = !state.label_places.length;
    one.setAttribute("aria-pressed", state.one_cluster);
    again.disabled = !byChance(state);
  };
  panel.root.append(
    h("div", { class: "lab-views" },
      h("div", {}, rows.svg, h("ul", { class: "lab-legend lab-vote-key" }, voteKey("right", "right labels"), voteKey("wrong", "wrong labels"),
        voteKey("true", "true label"), voteKey("mean", "mean given label"), voteKey("won", "the vote is won"))),
      h("div", {}, chart.svg, legend(["", "the weakest cluster"], ["lab-vote-some", "any cluster"]))),
    ...elements,
    h("div", { class: "lab-controls" }, ...["corruption_rate", "classes", "wrong_to"].map((name) => control(panel, name))),
    h("div", { class: "lab-row" }, one, again, even, share(panel)),
    h("details", {}, h("summary", {}, "more settings"), h("div", { class: "lab-controls" }, control(panel, "cluster_size"), control(panel, "seed"), presets(panel))));
  panel.on(draw);
  draw();
};
