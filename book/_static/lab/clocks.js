// Two clocks: singular values of the Jacobian at the start, and when the residual along each direction is learned.

import { Chart, iterations, iterationSlider, legend } from "./chart.js";
import { dot } from "./matrices.js";
import { Computer, button, control, h, number, presets, s, share, speaker, still } from "./page.js";
import { Linearized, predictedWindow } from "./theory.js";

const LATEST = 100000, CLOCK_POINTS = 160, SWEEP = 6000; // iterations, points of a curve, milliseconds of a sweep
const FAINTEST = 0.005, BEYOND = 8; // of σ₁, below which values lie on the floor; nuisance directions that are shown
const HANDLES = { last_information: ["last information", -1], first_nuisance: ["first nuisance", 0] };

/** The linearized network that is known, two of its singular values perhaps made by hand; without wrong labels if asked. */
function clockwork({ data, config, squares, along, step, vectors }, state, clean) {
  const values = squares.map((one) => (one > 1e-10 * squares[0] ? one : 0)), { labels, given, truth } = data;
  for (const [name, [, by]] of Object.entries(HANDLES)) if (state[name]) values[config.clusters + by] = state[name] ** 2 * squares[0];
  const noise = Float64Array.from(given, (one, i) => labels[one] - labels[truth[i]]), n = given.length;
  return Object.assign(Object.create(Linearized.prototype), { squares: values, step, vectors,
    labels: Float64Array.from(clean ? truth : given, (one) => labels[one]),
    along: clean ? along.map((one, m) => one + dot(vectors, m * n, noise, 0, n)) : along });
}

/** Shares of the two parts of the residual that are left after τ iterations: the first K directions, and the others. */
function leftOver(linear, K, tau) {
  const left = linear.left(tau), n = left.length;
  return [[0, K], [K, n - K]].map(([from, size]) =>
    Math.sqrt(dot(left, from, left, from, size) / (dot(linear.along, from, linear.along, from, size) || 1)));
}

/** 1/(ησ²) of the slowest information direction, and of the fastest nuisance direction. */
function twoClocks({ squares, step }, K) {
  return [Math.min(...squares.subarray(0, K)), Math.max(...squares.subarray(K))].map((one) => 1 / (step * one));
}

/** Times for curves, even on a logarithmic axis. */
function instants() {
  return [...new Set(Array.from({ length: CLOCK_POINTS + 1 }, (_, i) => Math.round((1 + LATEST) ** (i / CLOCK_POINTS) - 1)))];
}

const duration = (iterations) => (iterations === Infinity ? "no end" : `${number(iterations)} iterations`);
const percent = (share) => `${number(100 * share, share < 0.1 ? 1 : 2)}%`;

/** A singular value that is dragged up and down, or moved by arrow keys. */
class Handle {
  constructor(panel, chart, name) {
    Object.assign(this, { panel, chart, name });
    this.words = s("text", { x: 12, y: name === "first_nuisance" ? 30 : 4, class: "lab-note" });
    this.element = s("g", { role: "slider", tabindex: 0, class: `lab-handle lab-${name}`, "aria-orientation": "vertical", "aria-valuemin": FAINTEST, "aria-valuemax": 1,
      onpointerdown: (event) => this.element.setPointerCapture(event.pointerId),
      onpointermove: (event) => { if (this.element.hasPointerCapture(event.pointerId)) this.follow(event.clientY); },
      onkeydown: (event) => this.keys(event) },
    s("circle", { r: 14, class: "lab-target" }), s("circle", { r: 5 }), s("path", { d: "M0 -14l-4 6h8zM0 14l-4 -6h8z" }), this.words);
    chart.svg.append(this.element);
  }

  /** Stand at direction j, whose singular value is this share of the first. */
  show(j, share, clock) {
    this.share = share;
    const { chart, element, name } = this, [space] = HANDLES[name];
    element.setAttribute("transform", `translate(${chart.across(j)} ${chart.up(Math.max(share, FAINTEST) * this.first)})`);
    element.setAttribute("aria-valuenow", Number(share.toPrecision(3)));
    element.setAttribute("aria-valuetext", `σ = ${number(share * this.first)}, learned in about ${duration(clock)}`);
    element.setAttribute("aria-label", `singular value of the ${space} direction, ${j}`);
    this.words.textContent = duration(clock);
  }

  move(share) {
    this.panel.set({ [this.name]: Number(Math.min(1, Math.max(FAINTEST, share)).toPrecision(3)) });
  }

  follow(y) {
    const { svg, inside: { top, bottom }, height, y: { low, high } } = this.chart, box = svg.getBoundingClientRect();
    const at = (bottom - (y - box.top) * (height / box.height)) / (bottom - top);
    this.move((low * (high / low) ** at) / this.first);
  }

  keys(event) {
    const by = { ArrowUp: 1.05, ArrowRight: 1.05, ArrowDown: 1 / 1.05, ArrowLeft: 1 / 1.05, PageUp: 1.5, PageDown: 1 / 1.5 }[event.key];
    if (by) this.move(Math.max(this.share, FAINTEST) * by);
    else if (event.key === "Delete" || event.key === "Escape") this.panel.set({ [this.name]: 0 });
    else return;
    event.preventDefault();
  }
}

/** Bars from the floor at [x, y]. */
function bars(chart, name, look, points) {
  const path = points.map(([x, y]) => `M${chart.across(x - 0.35)} ${chart.up(0)}V${chart.up(y)}H${chart.across(x + 0.35)}V${chart.up(0)}Z`);
  chart.part(name, "path", { d: path.join(""), class: look });
}

export function clocks(panel) {
  const { state } = panel, { elements, say } = speaker(), computer = new Computer(panel.root), width = 340, times = instants();
  const spectrum = new Chart({ title: "two spaces: how strong each direction is", width, height: 215, x: { low: 0.4, high: 13 }, y: { low: 1, high: 10, label: "singular value of J" } });
  const each = new Chart({ title: "each direction: share not yet learned", width, height: 150, x: { low: 0.4, high: 13 }, y: shareAxis(1, "") });
  const curves = new Chart({ title: "two clocks: share not yet learned", width, height: 300, x: iterations(LATEST), y: shareAxis(1.16, "not yet learned") });
  spectrum.svg.setAttribute("role", "group");
  const handles = Object.keys(HANDLES).map((name) => new Handle(panel, spectrum, name));
  const slider = iterationSlider("stop after iteration", () => LATEST, (one) => panel.set({ stop: one }));
  const reset = button("undo my singular values", () => panel.set({ last_information: 0, first_nuisance: 0 }));
  let known, linear, windows, trouble, busy = false, again = false, sweeping = false;

  const axes = () => {
    const { config: { clusters, samples }, squares } = known, first = Math.sqrt(squares[0]), low = FAINTEST * first;
    const shown = Math.min(samples, clusters + BEYOND), x = { low: 0.4, high: shown + 0.6, label: "direction", ticks: [1, clusters, clusters + 1, shown].filter((one, i, all) => all.indexOf(one) === i) };
    const ticks = [0.01, 0.1, 1, 10, 100].filter((one) => one > low && one < 1.4 * first);
    spectrum.change({ x, y: { scale: "log", low, high: 1.4 * first, ticks } });
    each.change({ x });
    for (const one of handles) one.first = first;
  };
  /** What follows from the singular values. */
  const derive = () => {
    if (!known) return;
    const { data, config: { clusters } } = known, bare = clockwork(known, state, true);
    linear = clockwork(known, state, false);
    windows = [linear, bare].map((one) => predictedWindow(one, data.truth, data.labels, LATEST));
    const rows = times.map((tau) => [tau, ...leftOver(linear, clusters, tau)]), [first, second] = twoClocks(linear, clusters);
    curves.stretch("between", "lab-window", first < second ? first : null, second);
    windows.forEach((one, i) => curves.line(`free${i}`, ["lab-free", "lab-control-line lab-thick"][i], one ? one.map((tau) => [Math.min(tau, LATEST), 1.06 + 0.06 * i]) : []));
    curves.line("information", "lab-information", rows.map(([tau, share]) => [tau, share]));
    curves.line("nuisance", "lab-nuisance", rows.map(([tau, , share]) => [tau, share]));
    spaces();
  };
  const spaces = () => {
    const { config: { clusters }, squares } = known, top = Math.sqrt(squares[0]), [, shown] = ends();
    const dots = Array.from({ length: shown }, (_, j) => [j + 1, Math.max(Math.sqrt(linear.squares[j]), FAINTEST * top)]);
    const middle = spectrum.across(clusters + 0.5), { top: up, bottom } = spectrum.inside;
    spectrum.part("border", "path", { d: `M${middle} ${up}V${bottom}`, class: "lab-border" });
    spectrum.dots("information", "lab-information-fill", dots.slice(0, clusters), 4);
    spectrum.dots("nuisance", "lab-nuisance-fill", dots.slice(clusters), 4);
    handles.forEach((one) => {
      const j = clusters + HANDLES[one.name][1], square = linear.squares[j];
      one.show(j + 1, Math.sqrt(square) / top, 1 / (linear.step * square));
    });
    spectrum.svg.setAttribute("aria-label", `The first ${shown} singular values of the Jacobian, ${clusters} of them of information. Two can be moved.`);
  };
  const ends = () => [known.config.clusters, Math.round(spectrum.x.high - 0.6)];
  /** What follows from the iteration. */
  const draw = () => {
    slider.show(state.stop);
    curves.upright("stop", state.stop);
    reset.disabled = !state.last_information && !state.first_nuisance;
    if (trouble || !known) return say(trouble ?? "");
    const [clusters, shown] = ends();
    const left = Array.from({ length: shown }, (_, j) => [j + 1, Math.abs((1 - linear.step * linear.squares[j]) ** state.stop)]);
    bars(each, "information", "lab-information-fill", left.slice(0, clusters));
    bars(each, "nuisance", "lab-nuisance-fill", left.slice(clusters));
    const text = sentence();
    say(text);
    curves.svg.setAttribute("aria-label", `What is not yet learned, against the iteration. ${text}`);
    each.svg.setAttribute("aria-label", `Shares not yet learned after ${number(state.stop)} iterations, direction by direction: ${left.map(([, one]) => percent(one)).join(", ")}.`);
  };
  const sentence = () => {
    const { clusters } = known.config, [information, nuisance] = leftOver(linear, clusters, state.stop), [first, second] = twoClocks(linear, clusters), [free] = windows;
    const until = free && (free[1] === Infinity ? "on" : `to ${number(free[1])}`);
    return `After ${number(state.stop)} iterations, ${percent(information)} of the information is not yet learned. Of the nuisance, it is ${percent(nuisance)}. `
      + `The clock of the slowest information direction is at ${duration(first)}, that of the fastest nuisance direction at ${duration(second)}${first < second ? ": stop between them" : ", which is no later: no window is open"}. `
      + (free ? `With this Jacobian the network errs on no sample from iteration ${number(free[0])} ${until}.` : "With this Jacobian the network errs on some sample at every iteration.")
      + (reset.disabled ? "" : " A singular value is made by hand: no network needs to have it.");
  };
  const compute = () => {
    again = busy;
    if (busy) return;
    busy = true;
    panel.root.setAttribute("aria-busy", "true");
    const { stop: _, last_information: __, first_nuisance: ___, ...config } = state;
    computer.run({ ...config, changed: [], iterations: 0 }, ({ known: found, error }) => {
      if (!found && !error) return;
      busy = false;
      trouble = error;
      if (found) { known = found; axes(); derive(); }
      draw();
      if (again) compute();
      else panel.root.removeAttribute("aria-busy");
    });
  };
  const play = () => {
    if (still()) return panel.set({ stop: LATEST });
    const begin = performance.now();
    const go = (now) => {
      const part = Math.min(1, Math.max(0, now - begin) / SWEEP);
      sweeping &&= part < 1;
      panel.set({ stop: Math.round((1 + LATEST) ** part - 1) });
      if (sweeping) requestAnimationFrame(go);
    };
    sweeping = !sweeping;
    if (sweeping) requestAnimationFrame(go);
  };

  curves.drag((value) => { sweeping = false; panel.set({ stop: Math.round(value) }); });
  panel.root.append(
    h("div", { class: "lab-views" }, h("div", {}, spectrum.svg, each.svg), h("div", {}, curves.svg,
      legend(["lab-information", "information"], ["lab-nuisance", "nuisance"], ["lab-between", "between the two clocks"],
        ["lab-free", "no error by true labels"], ["lab-control-line lab-thick", "the same without wrong labels"]))),
    ...elements, slider.element,
    h("div", { class: "lab-controls" }, control(panel, "input_noise"), presets(panel)),
    h("div", { class: "lab-row" }, button("play", play), reset, button("other data", () => panel.set({ seed: (state.seed + 1) % 1000 })), share(panel)),
    h("details", {}, h("summary", {}, "more settings"), h("div", { class: "lab-controls" },
      ...["corruption_rate", "clusters", "classes", "samples", "dim", "hidden_units", "pace", "activation", "seed", "one_cluster", "axes", "shell", "paired"].map((name) => control(panel, name)))));
  panel.on((changed) => {
    const names = [...changed].filter((name) => name !== "stop");
    if (names.some((name) => !(name in HANDLES))) compute();
    else if (names.length) derive();
    draw();
  });
  draw();
  compute();
}

function shareAxis(high, label) {
  return { low: 0, high, ticks: [0, 0.5, 1], label, text: (value) => `${100 * value}%` };
}
