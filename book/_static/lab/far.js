// How far is the noise: two points, their labels, and the way of the weights to both.

import { Chart, iterationSlider, legend } from "./chart.js";
import { initialWeights } from "./data.js";
import { Pair, filterOf, onCircle } from "./pair.js";
import { FIGURES, Computer, button, control, h, later, number, presets, s, share, speaker } from "./page.js";
import { slopesAt, spectralNorm } from "./theory.js";

const LONGEST = 200000, WITHIN = 0.01; // iterations of a training, and how well it fits
const evenly = (low, high, steps) => Array.from({ length: steps + 1 }, (_, i) => low * (high / low) ** (i / steps));
const DISTANCES = evenly(0.01, 2, 80), SIGMAS = evenly(0.003, 1.5, 120);
const AROUND = Array.from({ length: 180 }, (_, i) => (Math.PI * i) / 90);
const BEGINNING = ["seed", "hidden_units", "dim", "paired", "activation"], LEARNED = [...BEGINNING, "distance", "different", "pace"];

const clamped = (value, low, high) => Math.max(low, Math.min(high, value));

/** Where an answer stands on the picture of the circle: the larger, the further out. */
function spot(angle, answer) {
  const far = 80 + 22 * clamped(answer, -2.5, 2.5);
  return [(150 + far * Math.sin(angle)).toFixed(1), (158 - far * Math.cos(angle)).toFixed(1)];
}

/** The circle, what is answered around it, and both points at their labels; the second is moved by hand. */
class RoundAbout {
  constructor(moved) {
    this.lines = ["far-before", "lab-given", ""].map((look) => s("path", { class: `lab-line ${look}` }));
    this.points = ["", "far-grip"].map((look) => s("g", { class: look }, s("circle", { r: 14 }), s("text", { "text-anchor": "middle", dy: 4 })));
    this.answers = [0, 1].map(() => s("circle", { r: 5, class: "far-stopped" }));
    const levels = [-1, 0, 1].flatMap((one) => [s("circle", { cx: 150, cy: 158, r: 80 + 22 * one, class: "lab-disc" }),
      s("text", { x: 150, y: 242 + 22 * one, "text-anchor": "middle", class: "far-level" }, number(one))]);
    this.svg = s("svg", { viewBox: "0 0 300 300", class: "lab-map", role: "img" }, s("text", { x: 0, y: 13, class: "lab-title" }, "answers around the circle"),
      ...levels, ...this.lines, ...this.answers, ...this.points);
    const grip = this.points[1];
    grip.addEventListener("pointerdown", (event) => grip.setPointerCapture(event.pointerId));
    grip.addEventListener("pointermove", (event) => { if (grip.hasPointerCapture(event.pointerId)) moved(this.distance(event)); });
  }

  /** From the first point to where the pointer is; the second point stays on its half. */
  distance({ clientX, clientY }) {
    const box = this.svg.getBoundingClientRect(), angle = Math.atan2(clientX - box.left - box.width / 2, box.top + (158 / 300) * box.height - clientY);
    return Math.max(0.01, 2 * Math.sin((angle >= 0 ? angle : angle > -Math.PI / 2 ? 0 : Math.PI) / 2));
  }

  show({ angles, labels }, answers, around) {
    this.lines.forEach((line, i) => line.setAttribute("d", around[i] ? `M${Array.from(around[i], (one, a) => spot(AROUND[a], one)).join("L")}Z` : ""));
    this.points.forEach((point, i) => {
      point.setAttribute("transform", `translate(${spot(angles[i], labels[i])})`);
      point.firstChild.setAttribute("class", labels[i] > 0 ? "far-high" : "far-low");
      point.lastChild.textContent = labels[i] > 0 ? "+1" : "−1";
      this.answers[i].setAttribute("transform", `translate(${spot(angles[i], answers[i])})`);
    });
  }
}

/** A chart of the way by the distance, and one of the two filters. */
function farCharts() {
  const log = { scale: "log", text: (value) => number(value) };
  return [new Chart({ title: "how far the weights must go", x: { ...log, low: 0.01, high: 2, ticks: [0.01, 0.03, 0.1, 0.3, 1], label: "distance of the points, ε₀" },
    y: { ...log, low: 0.1, high: 500, ticks: [0.1, 1, 10, 100], label: "‖W − W₀‖" } }),
  new Chart({ title: "how much is fitted of two directions", height: 220, x: { ...log, low: 0.003, high: 1.5, ticks: [0.01, 0.1, 1], label: "singular value, σ" },
    y: { low: 0, high: 1.05, ticks: [0, 0.5, 1], label: "share fitted" } })];
}

/** What gradient descent found so far, in words. */
const saidWalk = (last) => (last?.weights ? ` Gradient descent on the network itself moved them by ${number(last.distance, 3)}.`
  : last?.iteration === LONGEST ? ` Gradient descent has not fitted them in ${number(LONGEST)} iterations.` : " Gradient descent is on its way …");

/** How far it is, in words. */
function saidWay({ distance, different, activation }, pair, last) {
  const way = pair.way();
  if (way === Infinity && distance === 2) return `${activation} gives opposite points opposite answers, so no weights give them equal labels: move one, or choose ReLU.`;
  if (way === Infinity) return "no hidden unit tells them apart at the start: more units, or another start.";
  const proved = activation === "ReLU" ? "The certificate says nothing: the slope of ReLU jumps, so Γ is infinite."
    : pair.least ? `Certificate: by at least ${number(pair.least, 3)}.` : "The certificate asks for nothing.";
  return `to fit their ${different ? "different" : "equal"} labels, the linearized network must move its weights by ${number(way, 3)}.${saidWalk(last)} ${proved}`;
}

/** What the network answers on the way, in words. */
function saidAnswers({ by, penalty, after }, { labels }, answers) {
  const near = (goals, slack) => answers.every((one, i) => Math.abs(one - goals[i]) < slack);
  const words = near(labels, 0.1) ? ", their labels" : near([0, 0], 0.25) ? ", about the mean of the labels" : "";
  const when = by === "ridge" ? `With a ridge of ${number(penalty, 3)}` : `Stopped after iteration ${number(after)}`;
  return `${when}, the linearized network answers ${answers.map((one) => number(Math.round(100 * one) / 100 || 0)).join(" and ")}${words}.`;
}

class Far {
  constructor(panel) {
    Object.assign(this, { panel, state: panel.state, computer: new Computer(panel.root), speech: speaker(), tried: [] });
    [this.ways, this.shares] = farCharts();
    const move = (distance) => panel.set({ distance: Number(distance.toPrecision(3)) });
    this.circle = new RoundAbout(move);
    this.ways.drag(move);
    this.wait = iterationSlider("stop after iteration, τ", () => LONGEST, (after) => panel.set({ after }));
    this.weigh = control(panel, "penalty");
    this.same = button("", () => panel.set({ different: !this.state.different }));
    this.later = later(() => this.train());
    panel.root.append(...this.elements());
    panel.on((changed) => this.follow(changed));
    this.follow(new Set(BEGINNING));
  }

  elements() {
    const { panel, circle, ways, shares, wait, weigh, same } = this, views = (...all) => h("div", { class: "lab-views" }, ...all.map((one) => h("div", {}, ...one)));
    return [
      views([circle.svg, legend(["far-before", "before training"], ["", "stopped, or with ridge"], ["lab-given", "trained to the end"])],
        [ways.svg, legend(["", "different labels"], ["lab-control-line", "equal labels"], ["far-least", "certificate: at least"]),
          h("p", { class: "far-key" }, "● gradient descent, at all that you tried (pink: different labels); ○ stopped, or with ridge")]),
      ...this.speech.elements,
      views([control(panel, "distance"), control(panel, "by"), wait.element, weigh, h("div", { class: "lab-row" }, same,
        button("another start", () => panel.set({ seed: (this.state.seed + 1) % 1000 })), share(panel))],
      [shares.svg, legend(["", "stopping"], ["far-ridge", "ridge"])]),
      h("details", {}, h("summary", {}, "more settings"), h("div", { class: "lab-controls" }, presets(panel), ...["hidden_units", "dim", "activation", "paired", "pace", "seed"].map((name) => control(panel, name)),
        button("forget my dots", () => { this.tried = []; this.draw(); }))),
    ];
  }

  follow(changed) {
    const some = (names) => names.some((name) => changed.has(name));
    if (some(BEGINNING)) this.begin();
    if (some([...BEGINNING, "pace"])) this.curves = [true, false].map((different) => DISTANCES.map((distance) => new Pair(this.start, { ...this.state, different, distance })));
    if (some(LEARNED)) {
      this.last = null;
      this.asked = {}; // what is still told of an earlier training is not heard
      this.computer.send({ stop: true });
      this.later();
    }
    this.draw();
  }

  begin() {
    const weights = initialWeights(this.state);
    this.start = { weights, norm: spectralNorm(weights, this.state.dim), ...this.around(weights) };
  }

  around(weights) {
    return { angles: AROUND, ...slopesAt(weights, onCircle(AROUND, this.state.dim), this.state.dim, this.state.activation) };
  }

  /** Train the network itself, until it fits both labels. */
  train() {
    const { distance, different, dim } = this.state, { pair, asked } = this, inputs = Array.from(pair.inputs);
    if (pair.way() === Infinity) return;
    const own = { points: [inputs.slice(0, dim), inputs.slice(dim)], given: [different ? 0 : 1, 1], classes: 2, clusters: 2 };
    this.computer.run({ ...this.state, ...own, iterations: LONGEST, within: WITHIN }, ({ error, records }) => {
      if (asked !== this.asked) return;
      if (error) this.speech.say(error);
      if (!records?.length) return;
      this.last = records[records.length - 1];
      if (this.last.weights) this.arrive({ look: different ? "far-tried" : "far-alike", at: [distance, clamped(this.last.distance, 0.1, 500)] });
      this.draw();
    });
  }

  arrive(dot) {
    this.last.around = this.around(this.last.weights).outputs;
    this.tried.push(dot);
  }

  draw() {
    const { state, start, last, wait, weigh } = this, pair = new Pair(start, state);
    const part = Array.from(pair.linear.squares, filterOf(state.by, state, pair.linear.step)), answers = pair.answers(part);
    this.pair = pair;
    this.circle.show(pair, answers, [start.outputs, last?.around, pair.answers(part, start)]);
    this.drawWays(pair.way(part));
    this.drawShares(pair.linear, part);
    wait.show(state.after);
    wait.element.hidden = state.by === "ridge";
    weigh.hidden = !wait.element.hidden;
    this.same.textContent = state.different ? "give both the label 1" : "give them −1 and 1";
    this.describe(`Two points ${number(state.distance, 3)} apart: ${saidWay(state, pair, last)} ${saidAnswers(state, pair, answers)}`);
  }

  drawWays(stopped) {
    const { ways, tried, state, curves: [different, equal] } = this;
    const line = (list, value) => list.map((one, i) => [DISTANCES[i], value(one)]).filter(([, it]) => it > 0.02 && it < 5000);
    const least = line(different, (one) => one.least), beyond = least[least.length - 1];
    ways.line("shade", "lab-window far-clip far-shade", beyond ? [...least, [beyond[0], 0.1], [0.01, 0.1]] : []);
    ways.line("equal", "lab-control-line far-clip", line(equal, (one) => one.way()));
    ways.line("least", "far-least far-clip", least);
    ways.line("way", "far-clip", line(different, (one) => one.way()));
    ways.note("none", 0.012, 0.16, beyond ? "no weights here fit different labels" : "");
    ways.upright("now", state.distance);
    for (const look of ["far-tried", "far-alike"]) ways.dots(look, look, tried.filter((one) => one.look === look).map((one) => one.at), 4);
    ways.dots("stopped", "far-stopped", [[state.distance, clamped(stopped, 0.1, 500)]], 5);
  }

  drawShares({ step, squares, vectors }, part) {
    const { shares, state } = this, sigmas = Array.from(squares, (one) => Math.sqrt(Math.max(1e-5, one)));
    for (const by of ["stopping", "ridge"])
      shares.line(by, `far-${by} ${by === state.by ? "" : "far-thin"}`, SIGMAS.filter((one) => one <= sigmas[0]).map((one) => [one, filterOf(by, state, step)(one * one)]));
    shares.dots("both", "far-stopped", part.map((one, m) => [sigmas[m], one]), 5);
    sigmas.forEach((sigma, m) => shares.note(m, sigma, part[m], vectors[2 * m] * vectors[2 * m + 1] > 0 ? "mean" : "difference",
      { dx: sigma < 0.02 ? 9 : -9, dy: m ? -6 : 14, "text-anchor": sigma < 0.02 ? "start" : "end" }));
  }

  describe(text) {
    this.speech.say(text);
    this.ways.svg.setAttribute("aria-label", `Distance of the weights against that of the points. ${text}`);
    this.circle.svg.setAttribute("aria-label", `A circle with two points, and what is answered around it. ${text}`);
  }
}

FIGURES.far = (panel) => new Far(panel);
