// What all living figures share: elements, the state and its address, controls, and who computes.

import SETTINGS from "./settings.json" with { type: "json" };
import { Engine } from "./engine.js";

/** What brings each figure to life: a function of its panel. */
export const FIGURES = {};

/** An element with attributes, listeners (`onclick`, ...) and children; numbers and text become text. */
export function h(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** The same in SVG. */
export function s(name, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function filled(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes))
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value != null) element.setAttribute(key, value);
  element.append(...children.filter((one) => one != null));
  return element;
}

/** A number as the book prints it: a true minus, at most `digits` significant digits. */
export function number(value, digits = 2) {
  if (value === Infinity) return "∞";
  const text = Math.abs(value) >= 100 || Number.isInteger(value) ? Math.round(value).toLocaleString("en-US")
    : String(Number(value.toPrecision(digits)));
  return text.replace("-", "−");
}

// The state: settings within their ranges

/** A value that fits the field, or undefined where it does not. */
export function fitting(name, value) {
  const field = SETTINGS.fields[name];
  if (field.choices) return field.choices.includes(value) ? value : undefined;
  if (field.list) return Array.isArray(value) && value.every((one) => inside(field, one)) ? [...new Set(value)].sort((a, b) => a - b) : undefined;
  if (typeof field.value === "boolean") return typeof value === "boolean" ? value : undefined;
  return inside(field, value) ? value : undefined;
}

function inside({ least, most, step = 1 }, value) {
  const whole = !Number.isInteger(step) || (Number.isInteger(value) && (value - least) % step === 0);
  return typeof value === "number" && value >= least && value <= most && whole;
}

/** The standard state of a figure. */
export function standard(figure) {
  const { fields, values } = SETTINGS.figures[figure];
  return { ...Object.fromEntries(fields.map((name) => [name, SETTINGS.fields[name].value])), ...values };
}

/** The part of an address that keeps a state. */
export function address(figure, state) {
  const usual = standard(figure), parts = [`#lab-${figure}`];
  for (const [name, value] of Object.entries(state))
    if (String(value) !== String(usual[name])) parts.push(`${name}=${encodeURIComponent(written(value))}`);
  return parts.join("&");
}

function written(value) {
  return Array.isArray(value) ? value.join(".") : typeof value === "number" ? String(Number(value.toPrecision(12))) : String(value);
}

/** The state in an address for a figure: { state, refused }, null if it speaks of another. What does not fit is refused. */
export function read(figure, text) {
  const [mark, ...pairs] = text.split("&");
  if (mark !== `#lab-${figure}`) return null;
  const state = {}, refused = [];
  for (const pair of pairs.filter(Boolean)) {
    const [name, ...value] = pair.split("=");
    const known = SETTINGS.figures[figure].fields.includes(name);
    const fits = known ? fitting(name, parsed(SETTINGS.fields[name], value.join("="))) : undefined;
    if (fits === undefined) refused.push(name.slice(0, 30));
    else state[name] = fits;
  }
  return { state: { ...standard(figure), ...state }, refused };
}

function parsed(field, text) {
  let value;
  try { value = decodeURIComponent(text); } catch { return undefined; }
  if (field.choices) return value;
  if (field.list) return /^[-\d.]*$/.test(value) ? value.split(".").filter(Boolean).map(Number) : undefined;
  if (typeof field.value === "boolean") return value === "true" || (value === "false" ? false : undefined);
  return /^[-+.\de]+$/i.test(value) ? Number(value) : undefined;
}

// One living figure

const PATIENCE = 150; // milliseconds before an address or a run follows a control

/** A figure on a page: its state, who listens to it, where it is shown, and the stored numbers that it was given. */
export class Panel {
  constructor(root, figure, state, keep = () => {}, data = null) {
    Object.assign(this, { root, figure, keep, data, listeners: [], state: { ...standard(figure), ...state } });
  }

  /** Change settings; what does not fit is left as it is. Everybody who listens hears of the rest. */
  set(changes) {
    const fits = Object.entries(changes).map(([name, value]) => [name, fitting(name, value)])
      .filter(([name, value]) => value !== undefined && String(value) !== String(this.state[name]));
    if (!fits.length) return;
    Object.assign(this.state, Object.fromEntries(fits));
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.keep(this.state), PATIENCE);
    for (const listener of this.listeners) listener(new Set(fits.map(([name]) => name)), this.state);
  }

  /** Call `listener(changed names, state)` after every change. */
  on(listener) {
    this.listeners.push(listener);
  }
}

/** The control of a setting: a slider, a menu or a box, under its label; `text` words its value. */
export function control(panel, name, { label, text = (value) => number(value, 3), least, most } = {}) {
  const field = SETTINGS.fields[name], caption = label ?? field.label;
  if (field.choices) return menu(panel, name, caption, field.choices);
  if (typeof field.value === "boolean") return box(panel, name, caption);
  if (field.scale === "log") return evenControl(panel, name, caption, text);
  const shown = h("output", {}, text(panel.state[name]));
  const type = field.most - field.least > 1e6 * field.step ? "number" : "range"; // too many steps for a slider
  const input = h("input", { type, min: least ?? field.least, max: most ?? field.most, step: field.step, name,
    oninput: () => panel.set({ [name]: Number(input.value) }) });
  const show = () => {
    input.value = panel.state[name];
    shown.textContent = text(panel.state[name]);
    input.setAttribute("aria-valuetext", shown.textContent);
  };
  show();
  panel.on((changed) => { if (changed.has(name)) show(); });
  return h("label", { class: "lab-control" }, h("span", {}, caption, " ", shown), input);
}

/** A slider with even steps on a logarithmic axis, to values of three digits. */
function evenControl(panel, name, caption, text) {
  const { least, most } = SETTINGS.fields[name], ratio = Math.log(most / least), steps = 200, shown = h("output");
  const input = h("input", { type: "range", min: 0, max: steps, step: 1, name,
    oninput: () => panel.set({ [name]: Number((least * Math.exp((ratio * input.value) / steps)).toPrecision(3)) }) });
  const show = () => {
    input.value = Math.round((steps * Math.log(panel.state[name] / least)) / ratio);
    shown.textContent = text(panel.state[name]);
    input.setAttribute("aria-valuetext", shown.textContent);
  };
  show();
  panel.on((changed) => { if (changed.has(name)) show(); });
  return h("label", { class: "lab-control" }, h("span", {}, caption, " ", shown), input);
}

function menu(panel, name, caption, choices) {
  const input = h("select", { name, onchange: () => panel.set({ [name]: input.value }) },
    ...choices.map((one) => h("option", { value: one }, one)));
  input.value = panel.state[name];
  panel.on((changed) => { if (changed.has(name)) input.value = panel.state[name]; });
  return h("label", { class: "lab-control" }, h("span", {}, caption), input);
}

function box(panel, name, caption) {
  const input = h("input", { type: "checkbox", name, onchange: () => panel.set({ [name]: input.checked }) });
  input.checked = panel.state[name];
  panel.on((changed) => { if (changed.has(name)) input.checked = panel.state[name]; });
  return h("label", { class: "lab-control lab-box" }, input, h("span", {}, caption));
}

/** A menu of the named states of a figure; choosing one sets it. */
export function presets(panel) {
  const known = SETTINGS.figures[panel.figure].presets, names = Object.keys(known);
  const input = h("select", { onchange: () => {
    if (known[input.value]) panel.set({ ...standard(panel.figure), ...known[input.value] });
    input.value = "";
  } }, h("option", { value: "" }, "choose …"), ...names.map((one) => h("option", { value: one }, one)));
  return h("label", { class: "lab-control" }, h("span", {}, "examples"), input);
}

export function button(text, onclick, attributes = {}) {
  return h("button", { type: "button", onclick, ...attributes }, text);
}

/** A button that copies the address of the present state. */
export function share(panel) {
  const it = button("copy link", async () => {
    const link = location.href.split("#")[0] + address(panel.figure, panel.state);
    try { await navigator.clipboard.writeText(link); it.textContent = "copied"; } catch { location.hash = address(panel.figure, panel.state); }
    setTimeout(() => { it.textContent = "copy link"; }, 1500);
  });
  return it;
}

/** A sentence under a figure, read aloud when it has rested for a moment. */
export function speaker() {
  const shown = h("p", { class: "lab-says" }), aloud = h("p", { class: "lab-aloud", role: "status" });
  let timer;
  const say = (text) => {
    shown.textContent = text;
    clearTimeout(timer);
    timer = setTimeout(() => { aloud.textContent = text; }, 700);
  };
  return { elements: [shown, aloud], say };
}

export const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// Who computes: a worker, or the page itself in short slices where none can start

let script = typeof document === "undefined" ? null : document.currentScript?.src;

/** A worker of this very file, or null where a browser starts none: a page from a file, a notebook. */
function worker() {
  if (!script || !/^https?:/.test(script)) return null;
  try { return new Worker(script); } catch { return null; }
}

/** Computes runs for a figure, one at a time; waits while the figure is not on the screen. */
export class Computer {
  constructor(root) {
    this.id = 0;
    this.worker = worker();
    if (this.worker) {
      this.worker.onmessage = ({ data }) => this.hear(data);
      this.worker.onerror = (event) => { event.preventDefault(); this.here(); };
    } else this.here();
    this.seen = true;
    document.addEventListener("visibilitychange", () => this.look());
    new IntersectionObserver((entries) => { this.seen = entries.at(-1).isIntersecting; this.look(); }).observe(root);
  }

  /** Compute only while somebody can see it. */
  look() {
    this.send({ pause: document.hidden || !this.seen });
  }

  /** Compute on the page's own thread, between frames. */
  here() {
    this.worker = null;
    this.engine = new Engine((message) => this.hear(message), 6, (next) => requestAnimationFrame(() => setTimeout(next, 0)));
    if (!this.asked) return;
    this.look();
    this.engine.take(this.asked);
  }

  send(message) {
    if (this.worker) this.worker.postMessage(message);
    else this.engine.take(message);
  }

  /** Begin a run; `told({ known | records, done | error })` hears of it until the next one begins. */
  run(config, told) {
    this.id += 1;
    this.told = told;
    this.asked = { id: this.id, config };
    this.send(this.asked);
  }

  hear(message) {
    if (message.id === this.id) this.told(message);
  }
}

/** Calls a function when nobody has asked again for a moment. */
export function later(what, delay = PATIENCE) {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(what, delay);
  };
}
