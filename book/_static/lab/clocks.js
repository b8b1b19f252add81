// Two clocks: singular values of the Jacobian at the start, and when the residual along each direction is learned.

import { Chart, iterations, iterationSlider, legend } from "./chart.js";
import { dot } from "./matrices.js";
import { FIGURES, Computer, button, control, h, number, presets, s, share, speaker } from "./page.js";
import { Linearized, moments, predictedWindow } from "./theory.js";

const LATEST = 100000, FAINTEST = 0.01, BEYOND = 8; // iterations; of σ₁, the least that is drawn; nuisance directions that are shown
const BY_HAND = { last_information: -1, first_nuisance: 0 }; // where they stand, counted from K
const APART = ["stop", "input_noise", ...Object.keys(BY_HAND)]; // settings with a control of their own

/** The linearized network of a run, two of its singular values perhaps made by hand; `clean` is without wrong labels. */
function clockwork({ data, config, squares, along, step, vectors }, state, clean) {
  const { labels, given, truth } = data, own = squares.map((one) => (one > 1e-10 * squares[0] ? one : 0)), n = given.length;
  for (const [name, by] of Object.entries(BY_HAND)) if (state[name]) own[config.clusters + by] = state[name] ** 2 * squares[0];
  const noise = Float64Array.from(given, (one, i) => labels[one] - labels[truth[i]]);
  return Object.assign(Object.create(Linearized.prototype), { squares: own, step, vectors,
    labels: Float64Array.from(clean ? truth : given, (one) => labels[one]),
    along: clean ? along.map((one, m) => one + dot(vectors, m * n, noise, 0, n)) : along });
}

/** Shares of the residual that are left after τ iterations: along the first K directions, and along the others. */
function leftOver(linear, K, tau) {
  const left = linear.left(tau), length = (x, from, to) => Math.sqrt(dot(x, from, x, from, to - from));
  return [[0, K], [K, left.length]].map(([from, to]) => length(left, from, to) / (length(linear.along, from, to) || 1));
}

/** 1/(ησ²) of the slowest information direction, and of the fastest nuisance direction. */
function twoClocks({ squares, step }, K) {
  return [Math.min(...squares.subarray(0, K)), Math.max(...squares.subarray(K))].map((one) => 1 / (step * one));
}

const duration = (clock) => (clock === Infinity ? "for ever" : `about ${number(clock)} iteration${number(clock) === "1" ? "" : "s"}`);
const percent = (part) => (part > 0 && part < 1e-4 ? "less than 0.01%" : `${number(100 * part, part < 0.1 ? 1 : 2)}%`);

/** A singular value that is dragged up and down, or moved by arrow keys. */
class Handle {
  constructor(panel, chart, name) {
    Object.assign(this, { panel, chart, name });
    this.words = s("text");
    this.element = s("g", { role: "slider", tabindex: 0, class: `lab-handle lab-${name}`, "aria-orientation": "vertical", "aria-valuemin": 0, "aria-valuemax": 1,
      ontouchstart: (event) => event.preventDefault(), // no scrolling: touch-action does not reach into SVG
      onpointerdown: (event) => this.element.setPointerCapture(event.pointerId),
      onpointermove: (event) => { if (this.element.hasPointerCapture(event.pointerId)) this.follow(event.clientY); },
      onkeydown: (event) => this.keys(event) },
    s("circle", { r: 14, class: "lab-target" }), s("circle", { r: 5 }), s("path", { d: "M0 -14l-4 6h8zM0 14l-4 -6h8z" }), this.words);
    chart.svg.append(this.element);
  }

  /** Stand at a direction of a network. */
  show({ squares, step }, K, first) {
    const { chart, element, name } = this, at = K + BY_HAND[name], value = Math.sqrt(squares[at]);
    Object.assign(this, { first, part: value / first });
    const [x, y] = name === "last_information" ? [-4, -19] : this.panel.state[name] ? [16, 4] : [-4, 29]; // where no dots are
    this.words.textContent = duration(1 / (step * squares[at]));
    this.words.setAttribute("x", x);
    this.words.setAttribute("y", y);
    element.setAttribute("transform", `translate(${chart.across(at + 1)} ${chart.up(Math.max(value, FAINTEST * first))})`);
    element.setAttribute("aria-valuenow", Number(this.part.toPrecision(3)));
    element.setAttribute("aria-valuetext", `σ = ${number(value)}: ${this.words.textContent}`);
    element.setAttribute("aria-label", `singular value of the ${name.replace("_", " ")} direction`);
  }

  move(part) {
    this.panel.set({ [this.name]: Number(Math.min(1, Math.max(FAINTEST, part)).toPrecision(3)) });
  }

  follow(y) {
    const { svg, inside: { top, bottom }, height, y: { low, high } } = this.chart, box = svg.getBoundingClientRect();
    this.move((low * (high / low) ** ((bottom - (y - box.top) * (height / box.height)) / (bottom - top))) / this.first);
  }

  keys(event) {
    const by = { ArrowUp: 1.05, ArrowRight: 1.05, ArrowDown: 1 / 1.05, ArrowLeft: 1 / 1.05, PageUp: 1.5, PageDown: 1 / 1.5 }[event.key];
    if (!by) return;
    event.preventDefault();
    this.move(Math.max(this.part, FAINTEST) * by);
  }
}

class Clocks {
  constructor(panel) {
    Object.assign(this, { panel, state: panel.state, computer: new Computer(panel.root), speech: speaker() });
    const chart = (title, height, x, y) => new Chart({ title, width: 340, height, x, y }), direction = { low: 0.4, high: 13 };
    const shares = { low: 0, high: 1, ticks: [0, 0.5, 1], text: (value) => `${100 * value}%` }, time = iterations(LATEST);
    this.spectrum = chart("two spaces: how strong each direction is", 215, direction, { low: 1, high: 10 });
    this.each = chart("each direction: share not yet learned", 150, direction, shares);
    this.curves = chart("two clocks: share not yet learned", 300, { ...time, ticks: time.ticks.slice(0, -1) }, { ...shares, high: 1.16 });
    this.spectrum.svg.setAttribute("role", "group");
    this.handles = Object.keys(BY_HAND).map((name) => new Handle(panel, this.spectrum, name));
    this.slider = iterationSlider("stop after iteration", () => LATEST, (stop) => panel.set({ stop }));
    this.curves.drag((value) => panel.set({ stop: Math.round(value) }));
    this.reset = button("undo my singular values", () => panel.set({ last_information: 0, first_nuisance: 0 }));
    panel.root.append(...this.elements());
    panel.on((changed) => this.follow([...changed].filter((name) => name !== "stop")));
    this.compute();
  }

  elements() {
    const { panel, state } = this;
    return [
      h("div", { class: "lab-views" }, h("div", {}, this.spectrum.svg, this.each.svg), h("div", {}, this.curves.svg,
        legend(["lab-information", "information"], ["lab-nuisance", "nuisance"], ["lab-between", "between the two clocks"],
          ["lab-free", "no answer is wrong: stop here"], ["lab-control-line lab-thick", "the same without wrong labels"]))),
      this.slider.element, ...this.speech.elements,
      h("div", { class: "lab-controls" }, control(panel, "input_noise"), presets(panel)),
      h("div", { class: "lab-row" }, this.reset, button("other data", () => panel.set({ seed: (state.seed + 1) % 1000 })), share(panel)),
      h("details", {}, h("summary", {}, "more settings"), h("div", { class: "lab-controls" }, ...Object.keys(state).filter((name) => !APART.includes(name)).map((name) => control(panel, name)))),
    ];
  }

  /** After a change of anything but the stop: anew, or from the same Jacobian. */
  follow(changed) {
    if (changed.some((name) => !(name in BY_HAND))) this.compute();
    else if (changed.length && this.known) this.derive();
    this.draw();
  }

  /** The Jacobian of the present state; while one is computed, the next one waits. */
  compute() {
    const { root } = this.panel;
    this.again = this.busy;
    if (this.busy) return;
    this.busy = true;
    root.setAttribute("aria-busy", "true");
    this.computer.run({ ...this.state, changed: [], iterations: 0 }, ({ known, error }) => {
      if (!known && !error) return;
      this.busy = false;
      this.take(known, error);
      this.draw();
      if (this.again) this.compute();
      else root.removeAttribute("aria-busy");
    });
  }

  take(known, error) {
    const { samples, clusters } = known?.config ?? {}, none = samples <= clusters && `${samples} samples in ${clusters} clusters leave no nuisance space`;
    this.error = `This cannot be: ${error ?? none}.`;
    this.known = error || none ? null : known;
    this.panel.root.classList.toggle("lab-impossible", !this.known);
    if (this.known) this.derive();
  }

  /** What follows from the singular values. */
  derive() {
    const { known, state, curves } = this, { data, config: { clusters } } = known;
    this.linear = clockwork(known, state, false);
    this.windows = [this.linear, clockwork(known, state, true)].map((one) => predictedWindow(one, data.truth, data.labels, LATEST));
    this.clocks = twoClocks(this.linear, clusters);
    const rows = moments(LATEST).map((tau) => [tau, ...leftOver(this.linear, clusters, tau)]), [first, second] = this.clocks;
    curves.stretch("between", "lab-window", first < second ? first : null, second);
    this.windows.forEach((one, i) => curves.line(`free ${i}`, ["lab-free", "lab-control-line lab-thick"][i],
      (one ?? []).map((tau) => [Math.min(tau, LATEST), 1.06 + 0.06 * i])));
    curves.line("information", "lab-information", rows);
    curves.line("nuisance", "lab-nuisance", rows.map(([tau, , part]) => [tau, part]));
    this.spaces();
  }

  /** The first singular values, in their two spaces. */
  spaces() {
    const { spectrum, linear, known: { squares, config: { clusters, samples } } } = this, first = Math.sqrt(squares[0]), least = FAINTEST * first;
    const shown = this.shown = Math.min(samples, clusters + BEYOND), x = { low: 0.4, high: shown + 0.6, label: "direction", ticks: [1, clusters, clusters + 1, shown] };
    spectrum.change({ x, y: { scale: "log", low: least / 2.5, high: 2.5 * first, label: "singular value of J", ticks: [0.01, 0.1, 1, 10].filter((one) => one > least / 2.5 && one < 2.5 * first) } });
    this.each.change({ x });
    const dots = Array.from(linear.squares.subarray(0, shown), (one, j) => [j + 1, Math.max(Math.sqrt(one), least)]), middle = spectrum.across(clusters + 0.5);
    spectrum.part("border", "path", { d: `M${middle} ${spectrum.inside.top}V${spectrum.inside.bottom}`, class: "lab-border" });
    spectrum.dots("information", "lab-last_information", dots.slice(0, clusters), 4);
    spectrum.dots("nuisance", "lab-first_nuisance", dots.slice(clusters), 4);
    for (const one of this.handles) one.show(linear, clusters, first);
    spectrum.svg.setAttribute("aria-label", `The first ${shown} singular values of the Jacobian, ${clusters} of them of information. Two can be moved.`);
  }

  /** What follows from the iteration. */
  draw() {
    const { state, known, linear, each, curves } = this;
    this.slider.show(state.stop);
    this.reset.disabled = !state.last_information && !state.first_nuisance;
    if (!known) return this.speech.say(this.error ?? "");
    curves.upright("stop", state.stop);
    const left = Array.from(linear.squares.subarray(0, this.shown), (one, j) => [j + 1, Math.abs((1 - linear.step * one) ** state.stop)]);
    const bars = (points) => points.map(([x, y]) => `M${each.across(x - 0.35)} ${each.up(0)}V${each.up(y)}H${each.across(x + 0.35)}V${each.up(0)}Z`).join("");
    each.part("information", "path", { d: bars(left.slice(0, known.config.clusters)), class: "lab-last_information" });
    each.part("nuisance", "path", { d: bars(left.slice(known.config.clusters)), class: "lab-first_nuisance" });
    const text = this.sentence();
    this.speech.say(text);
    curves.svg.setAttribute("aria-label", `What is not yet learned, against the iteration. ${text}`);
  }

  sentence() {
    const { linear, state, clocks: [first, second], windows: [free] } = this, [information, nuisance] = leftOver(linear, this.known.config.clusters, state.stop);
    return `After ${number(state.stop)} iterations ${percent(information)} of the information is not yet learned. Of the nuisance it is ${percent(nuisance)}. `
      + `The slowest information direction takes ${duration(first)}, the fastest nuisance direction ${duration(second)}${first < second ? "" : ": the window between the clocks is closed"}. `
      + (free ? `As this Jacobian predicts, no answer is wrong from iteration ${number(free[0])} ${free[1] === Infinity ? "on" : `to ${number(free[1])}`}: stop there.`
        : "As this Jacobian predicts, some answer is wrong at every iteration shown.")
      + (this.reset.disabled ? "" : " A singular value here is made by hand, not that of a network.");
  }
}

FIGURES.clocks = (panel) => new Clocks(panel);
