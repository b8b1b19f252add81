// How far is the noise: two points, their labels, and the way of the weights to both.

import { Chart, iterationSlider, legend } from "./chart.js";
import { initialWeights } from "./data.js";
import { Pair, filterOf, onCircle } from "./pair.js";
import { Computer, button, control, h, later, number, presets, s, share, speaker } from "./page.js";
import { slopesAt, spectralNorm } from "./theory.js";

const LONGEST = 200000, WITHIN = 0.01; // iterations of a training, and how well it fits
const even = (low, high, steps) => Array.from({ length: steps + 1 }, (_, i) => low * (high / low) ** (i / steps));
const DISTANCES = even(0.01, 2, 80), SIGMAS = even(0.003, 1.5, 120);
const AROUND = Array.from({ length: 180 }, (_, i) => (Math.PI * i) / 90);
const START = ["seed", "hidden_units", "dim", "paired", "activation"], TRAINED = [...START, "distance", "different", "pace"];

const clamped = (value, low, high) => Math.max(low, Math.min(high, value));

/** Where an answer stands on the picture of the circle: the larger, the further out. */
function spot(angle, answer) {
  const far = 80 + 22 * clamped(answer, -2.5, 2.5);
  return [(150 + far * Math.sin(angle)).toFixed(1), (158 - far * Math.cos(angle)).toFixed(1)];
}

/** The circle, what is answered around it, and both points at their labels; the second is moved by hand. */
class Circle {
  constructor(moved) {
    this.lines = ["far-before", "lab-given", ""].map((look) => s("path", { class: `lab-line ${look}` }));
    this.points = ["", "far-grip"].map((look) => s("g", { class: look }, s("circle", { r: 14 }), s("text", { "text-anchor": "middle", dy: 4 })));
    this.answers = [0, 1].map(() => s("circle", { r: 5, class: "far-stopped" }));
    const levels = [-1, 0, 1].flatMap((one) => [s("circle", { cx: 150, cy: 158, r: 80 + 22 * one, class: "lab-disc" }),
      s("text", { x: 150, y: 242 + 22 * one, "text-anchor": "middle", class: "far-level" }, number(one))]);
    this.svg = s("svg", { viewBox: "0 0 300 300", class: "lab-map", role: "img" }, s("text", { x: 0, y: 13, class: "lab-title" }, "answers around a circle: larger, further out"),
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
function charts() {
  const log = { scale: "log", text: (value) => number(value) };
  return [new Chart({ title: "how far the weights must go", x: { ...log, low: 0.01, high: 2, ticks: [0.01, 0.03, 0.1, 0.3, 1], label: "distance of the points, ε₀" },
    y: { ...log, low: 0.1, high: 500, ticks: [0.1, 1, 10, 100], label: "‖W − W₀‖" } }),
  new Chart({ title: "how much is fitted of two directions", height: 220, x: { ...log, low: 0.003, high: 1.5, ticks: [0.01, 0.1, 1], label: "singular value, σ" },
    y: { low: 0, high: 1.05, ticks: [0, 0.5, 1], label: "share fitted" } })];
}

/** What is seen, in words. */
function told(state, pair, answers, last) {
  const { distance, different, activation, after, by, penalty } = state, way = pair.way(), odd = distance === 2 && pair.linear.step;
  const near = (goals, slack) => answers.every((one, i) => Math.abs(one - goals[i]) < slack);
  const walked = !last ? "" : last.weights ? ` Gradient descent on the network itself moved them by ${number(last.distance, 3)}.`
    : last.iteration < LONGEST ? " Gradient descent is on its way …" : ` Gradient descent has not fitted them in ${number(LONGEST)} iterations.`;
  const proved = activation === "ReLU" ? "The certificate says nothing: the slope of ReLU jumps, so Γ is infinite."
    : pair.least ? `Certificate: by at least ${number(pair.least, 3)}.` : "The certificate asks for nothing.";
  const fit = way < Infinity ? `to fit their ${different ? "different" : "equal"} labels, the linearized network must move its weights by ${number(way, 3)}.${walked} ${proved}`
    : odd ? `${activation} gives opposite points opposite answers, so no weights give them equal labels: move one, or choose ReLU.` : "no hidden unit tells them apart at the start: more units, or another start.";
  const words = near(pair.labels, 0.1) ? ", the labels" : near([0, 0], 0.25) ? ", about the mean of the labels" : "";
  return `Two points ${number(distance, 3)} apart: ${fit} ${by === "ridge" ? `With a ridge of ${number(penalty, 3)}` : `Stopped after iteration ${number(after)}`}, `
    + `the linearized network answers ${answers.map((one) => number(Math.round(100 * one) / 100 || 0)).join(" and ")}${words}.`;
}

export function far(panel) {
  const { state } = panel, { elements, say } = speaker(), computer = new Computer(panel.root), [ways, shares] = charts();
  const move = (distance) => panel.set({ distance: Number(distance.toPrecision(3)) }), circle = new Circle(move);
  const wait = iterationSlider("stop after iteration, τ", () => LONGEST, (after) => panel.set({ after })), weigh = control(panel, "penalty");
  let start, pair, curves, last, tried = [];

  const around = (weights) => ({ angles: AROUND, ...slopesAt(weights, onCircle(AROUND, state.dim), state.dim, state.activation) });
  const begin = () => {
    const weights = initialWeights(state);
    start = { weights, norm: spectralNorm(weights, state.dim), ...around(weights) };
  };
  const curve = () => { curves = [true, false].map((different) => DISTANCES.map((distance) => new Pair(start, { ...state, different, distance }))); };

  const drawWays = (part) => {
    const shown = (list, value) => list.map((one, i) => [DISTANCES[i], value(one)]).filter(([, it]) => it > 0.02 && it < 5000);
    const least = shown(curves[0], (one) => one.least);
    ways.line("shade", "lab-window far-clip far-shade", least.length ? [...least, [least[least.length - 1][0], 0.1], [0.01, 0.1]] : []);
    ways.line("alike", "lab-control-line far-clip", shown(curves[1], (one) => one.way()));
    ways.line("least", "far-least far-clip", least);
    ways.line("way", "far-clip", shown(curves[0], (one) => one.way()));
    ways.note("none", 0.012, 0.16, least.length ? "no weights here fit different labels" : "");
    ways.upright("now", state.distance);
    for (const look of ["far-tried", "far-alike"]) ways.dots(look, look, tried.filter((one) => one.look === look).map((one) => one.at), 4);
    ways.dots("stopped", "far-stopped", [[state.distance, clamped(pair.way(part), 0.1, 500)]], 5);
  };
  const drawShares = (part) => {
    const { step, squares, vectors } = pair.linear, sigma = (m) => Math.sqrt(Math.max(1e-5, squares[m]));
    for (const by of ["stopping", "ridge"])
      shares.line(by, `far-${by} ${by === state.by ? "" : "far-thin"}`, SIGMAS.filter((one) => one <= sigma(0)).map((one) => [one, filterOf(by, state, step)(one * one)]));
    shares.dots("both", "far-stopped", part.map((one, m) => [sigma(m), one]), 5);
    part.forEach((one, m) => shares.note(m, sigma(m), one, vectors[2 * m] * vectors[2 * m + 1] > 0 ? "mean" : "difference",
      { dx: sigma(m) < 0.02 ? 9 : -9, dy: m ? -6 : 14, "text-anchor": sigma(m) < 0.02 ? "start" : "end" }));
  };
  const draw = () => {
    pair = new Pair(start, state);
    const part = Array.from(pair.linear.squares, filterOf(state.by, state, pair.linear.step)), answers = pair.answers(part), text = told(state, pair, answers, last);
    circle.show(pair, answers, [start.outputs, last?.around, pair.answers(part, start)]);
    drawWays(part);
    drawShares(part);
    wait.show(state.after);
    weigh.hidden = !(wait.element.hidden = state.by === "ridge");
    same.textContent = state.different ? "give both the label 1" : "give them −1 and 1";
    say(text);
    ways.svg.setAttribute("aria-label", `Distance of the weights against that of the points. ${text}`);
    circle.svg.setAttribute("aria-label", `A circle with two points, and what is answered around it. ${text}`);
  };
  const train = later(() => {
    const { distance, different, dim } = state, inputs = Array.from(pair.inputs);
    if (pair.way() === Infinity) return;
    computer.run({ ...state, points: [inputs.slice(0, dim), inputs.slice(dim)], given: [different ? 0 : 1, 1], classes: 2, clusters: 2, iterations: LONGEST, within: WITHIN }, ({ error, records }) => {
      if (error) return say(error);
      if (!records?.length) return;
      last = records[records.length - 1];
      if (last.weights) {
        last.around = around(last.weights).outputs;
        tried.push({ look: different ? "far-tried" : "far-alike", at: [distance, clamped(last.distance, 0.1, 500)] });
      }
      draw();
    });
  });

  const same = button("", () => panel.set({ different: !state.different }));
  ways.drag(move);
  panel.root.append(
    h("div", { class: "lab-views" },
      h("div", {}, circle.svg, legend(["far-before", "before training"], ["", "stopped, or with ridge"], ["lab-given", "trained to the end"])),
      h("div", {}, ways.svg, legend(["", "different labels"], ["lab-control-line", "the same label"], ["far-least", "certificate: at least"]),
        h("p", { class: "far-key" }, "● gradient descent, ○ stopped, or with ridge"))),
    ...elements,
    h("div", { class: "lab-views" },
      h("div", {}, control(panel, "distance"), control(panel, "by"), wait.element, weigh, h("div", { class: "lab-row" }, same,
        button("another start", () => panel.set({ seed: (state.seed + 1) % 1000 })), share(panel))),
      h("div", {}, shares.svg, legend(["", "stopping"], ["far-ridge", "ridge"]))),
    h("details", {}, h("summary", {}, "more settings"), h("div", { class: "lab-controls" }, presets(panel),
      ...["hidden_units", "dim", "activation", "paired", "pace", "seed"].map((name) => control(panel, name)), button("forget my dots", () => { tried = []; draw(); }))));
  const follow = (changed) => {
    const some = (names) => names.some((name) => changed.has(name));
    if (some(START)) begin();
    if (some([...START, "pace"])) curve();
    if (some(TRAINED)) {
      last = null;
      computer.send({ stop: true });
      train();
    }
    draw();
  };
  panel.on(follow);
  follow(new Set(START));
}
