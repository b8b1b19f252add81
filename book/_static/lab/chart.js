// A chart in SVG: axes, lines, shaded stretches, and an upright line that is dragged.

import { h, number, s } from "./page.js";

const MARGIN = { left: 54, right: 12, top: 32, bottom: 40 };

const SCALES = {
  linear: (x) => x,
  log: Math.log10,
  log1: (x) => Math.log10(1 + x), // iterations, from 0 on
};
const BACK = { linear: (x) => x, log: (x) => 10 ** x, log1: (x) => 10 ** x - 1 };

/** Each axis: { low, high, scale, ticks, label, text }. Lines and marks are drawn in the order of their calls. */
export class Chart {
  constructor({ title, x, y, width = 360, height = 250 }) {
    Object.assign(this, { width, height, x: axis(x), y: axis(y), parts: new Map() });
    this.inside = { left: MARGIN.left, right: width - MARGIN.right, top: MARGIN.top, bottom: height - MARGIN.bottom };
    this.svg = s("svg", { viewBox: `0 0 ${width} ${height}`, class: "lab-chart", role: "img", "aria-label": title });
    this.frame = s("g", { "aria-hidden": "true" });
    this.marks = s("g", { "aria-hidden": "true" });
    this.svg.append(this.frame, this.marks, s("text", { x: MARGIN.left, y: 13, class: "lab-title" }, title));
    this.axes();
  }

  /** Pixels of a value. */
  across(value) {
    return place(this.x, value, this.inside.left, this.inside.right);
  }

  up(value) {
    return place(this.y, value, this.inside.bottom, this.inside.top);
  }

  /** Give an axis other ends, ticks or words, and draw it anew. */
  change({ x = {}, y = {} }) {
    this.x = axis({ ...this.x, ...x });
    this.y = axis({ ...this.y, ...y });
    this.axes();
  }

  axes() {
    const { left, right, top, bottom } = this.inside, g = [];
    for (const value of this.x.ticks) {
      const at = this.across(value);
      g.push(s("path", { d: `M${at} ${top}V${bottom}`, class: "lab-grid" }));
      g.push(s("text", { x: at, y: bottom + 15, class: "lab-tick", "text-anchor": "middle" }, this.x.text(value)));
    }
    for (const value of this.y.ticks) {
      const at = this.up(value);
      g.push(s("path", { d: `M${left} ${at}H${right}`, class: "lab-grid" }));
      g.push(s("text", { x: left - 6, y: at + 4, class: "lab-tick", "text-anchor": "end" }, this.y.text(value)));
    }
    const middle = (top + bottom) / 2;
    g.push(s("path", { d: `M${left} ${top}V${bottom}H${right}`, class: "lab-frame" }));
    g.push(s("text", { x: (left + right) / 2, y: bottom + 33, class: "lab-name", "text-anchor": "middle" }, this.x.label));
    g.push(s("text", { x: 12, y: middle, class: "lab-name", "text-anchor": "middle", transform: `rotate(-90 12 ${middle})` }, this.y.label));
    this.frame.replaceChildren(...g);
  }

  /** The part of that name, made when it is asked for first. */
  part(name, tag, attributes) {
    if (!this.parts.has(name)) this.marks.append(this.parts.set(name, s(tag, {})).get(name));
    const element = this.parts.get(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  }

  /** A curve through points [x, y]; the class gives its look. */
  line(name, look, points) {
    const path = points.map(([x, y], i) => `${i ? "L" : "M"}${this.across(x).toFixed(1)} ${this.up(y).toFixed(1)}`);
    this.part(name, "path", { d: path.join(""), class: `lab-line ${look}` });
  }

  /** Dots at points [x, y]. */
  dots(name, look, points, radius = 3) {
    const path = points.map(([x, y]) => `M${this.across(x).toFixed(1)} ${this.up(y).toFixed(1)}m${-radius} 0a${radius} ${radius} 0 1 0 ${2 * radius} 0a${radius} ${radius} 0 1 0 ${-2 * radius} 0`);
    this.part(name, "path", { d: path.join(""), class: look });
  }

  /** A shaded stretch of x from `low` to `high`; none where `low` is null. */
  stretch(name, look, low, high) {
    const { top, bottom, left, right } = this.inside;
    const from = low == null ? 0 : Math.max(left, this.across(Math.max(low, this.x.low)));
    const to = low == null ? 0 : Math.min(right, this.across(Math.min(high, this.x.high)));
    this.part(name, "rect", { x: from, y: top, width: low == null ? 0 : Math.max(to - from, 2), height: bottom - top, class: look });
  }

  /** Words at a place. */
  note(name, x, y, text, attributes = {}) {
    this.part(name, "text", { x: this.across(x), y: this.up(y), class: "lab-note", ...attributes }).textContent = text;
  }

  /** An upright line that follows the pointer; the value goes to `moved`. The keyboard has its own slider. */
  drag(moved) {
    const follow = (event) => {
      const box = this.svg.getBoundingClientRect();
      moved(this.value((event.clientX - box.left) * (this.width / box.width)));
    };
    this.svg.classList.add("lab-drag");
    this.svg.addEventListener("pointerdown", (event) => { this.svg.setPointerCapture(event.pointerId); follow(event); });
    this.svg.addEventListener("pointermove", (event) => { if (this.svg.hasPointerCapture(event.pointerId)) follow(event); });
  }

  /** The value of x at some pixels, within the axis. */
  value(pixels) {
    const { left, right } = this.inside, share = Math.min(1, Math.max(0, (pixels - left) / (right - left)));
    const scale = SCALES[this.x.scale], low = scale(this.x.low);
    return BACK[this.x.scale](low + share * (scale(this.x.high) - low));
  }

  upright(name, value) {
    const { top, bottom } = this.inside, at = this.across(value);
    this.part(name, "path", { d: `M${at} ${top - 4}V${bottom}`, class: "lab-upright" });
    this.part(`${name} grip`, "circle", { cx: at, cy: top - 4, r: 6, class: "lab-grip" });
  }
}

function axis({ scale = "linear", text = (value) => number(value), ticks = [], label = "", ...ends }) {
  return { scale, text, ticks, label, ...ends };
}

function place({ scale, low, high }, value, from, to) {
  const go = SCALES[scale], start = go(low);
  return from + ((go(value) - start) / (go(high) - start)) * (to - from);
}

/** Ticks 0, 1, 10, ... of an axis of iterations. */
export function iterations(last) {
  const ticks = [0];
  for (let one = 1; one <= last; one *= 10) ticks.push(one);
  return { scale: "log1", low: 0, high: last, ticks, label: "iteration" };
}

/** A slider of iterations whose steps are even on a logarithmic axis; arrow keys go to the next of `among`, if given. */
export function iterationSlider(label, last, moved, among) {
  const steps = 400, shown = h("output");
  const value = (step) => Math.round((1 + last()) ** (step / steps) - 1);
  const input = h("input", { type: "range", min: 0, max: steps, step: 1, oninput: () => moved(value(Number(input.value))),
    onkeydown: (event) => {
      const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
      if (!by) return;
      event.preventDefault();
      moved(Math.max(0, Math.min(last(), beside(by))));
    } });
  let now = 0;
  const beside = (by) => {
    const list = among?.();
    if (!list) return now + by * Math.max(1, Math.round(0.02 * now));
    return list[Math.max(0, Math.min(list.length - 1, list.findLastIndex((one) => one <= now) + by))];
  };
  const show = (iteration) => {
    now = iteration;
    input.value = Math.round((steps * Math.log1p(iteration)) / Math.log1p(last()));
    shown.textContent = number(iteration);
    input.setAttribute("aria-valuetext", `iteration ${iteration}`);
  };
  return { element: h("label", { class: "lab-control lab-wide" }, h("span", {}, label, " ", shown), input), show };
}

/** A legend: [look, words] each. */
export function legend(...entries) {
  return h("ul", { class: "lab-legend" }, ...entries.map(([look, words]) =>
    h("li", {}, s("svg", { width: 26, height: 10, "aria-hidden": "true" }, s("path", { d: "M1 5H25", class: `lab-line ${look}` })), " ", words)));
}
