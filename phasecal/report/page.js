"use strict";

/* Copy buttons, and figures that answer: series to switch off, points to read by pointer or arrow keys. */

const SVG = "http://www.w3.org/2000/svg";
const NEAR = 14; /* how far from a point the pointer may be, in units of the SVG */

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

async function copy(button) {
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch { /* no permission: the old way */
    const area = element("textarea", { class: "offscreen" });
    area.value = button.dataset.copy;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    button.focus();
  }
  const words = button.textContent;
  button.textContent = "copied";
  setTimeout(() => { button.textContent = words; }, 1500);
}

for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", () => copy(button));
}

/* A link to a node opens the list that it is in. */
function reveal() {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (!target) return;
  for (let box = target.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
  target.scrollIntoView({ block: "center" });
  target.focus({ preventScroll: true });
}
window.addEventListener("hashchange", reveal);
reveal();

function quantity([name, unit], value) {
  return name ? `${name} = ${value}${unit ? ` ${unit}` : ""}` : "";
}

class Reader {
  constructor(drawing) {
    this.drawing = drawing;
    this.svg = drawing.querySelector("svg");
    this.hidden = new Set();
    this.series = JSON.parse(drawing.dataset.series);
    this.curves = this.series.flatMap(({ name, curves }) => curves.map((curve) => ({ name, ...curve })));
    this.curve = 0;
    this.point = -1;
    this.output = element("output", { class: "reading", "aria-live": "polite" });
    this.mark = document.createElementNS(SVG, "circle");
    this.mark.setAttribute("r", 4);
    this.mark.setAttribute("class", "mark");
  }

  start() {
    const tools = element("div", { class: "tools" });
    if (this.series.length > 1) for (const one of this.series) tools.append(this.toggle(one));
    if (this.curves.length) {
      this.svg.append(this.mark);
      this.clear();
      tools.append(this.output);
      this.drawing.setAttribute("aria-description", "Arrow keys read the points: left and right along a curve, up and down between curves.");
      this.drawing.addEventListener("pointermove", (event) => this.under(event));
      this.drawing.addEventListener("pointerleave", () => this.clear());
      this.drawing.addEventListener("keydown", (event) => this.key(event));
    }
    if (tools.childNodes.length) this.drawing.after(tools);
  }

  toggle({ name, ids }) {
    const button = element("button", { type: "button", class: "toggle", "aria-pressed": "true" }, name);
    button.addEventListener("click", () => {
      const shown = this.hidden.has(name);
      if (shown) this.hidden.delete(name); else this.hidden.add(name);
      button.setAttribute("aria-pressed", String(shown));
      for (const id of ids) {
        const part = document.getElementById(`${this.drawing.dataset.name}-${id}`);
        if (part) part.style.display = shown ? "" : "none";
      }
      this.clear();
    });
    return button;
  }

  clear() {
    this.mark.style.display = "none";
    this.output.textContent = "";
  }

  show() {
    const { name, x, y, points } = this.curves[this.curve];
    const [left, top, first, second] = points[this.point];
    this.mark.setAttribute("cx", left);
    this.mark.setAttribute("cy", top);
    this.mark.style.display = "";
    this.output.textContent = `${name}: ${[quantity(x, first), quantity(y, second)].filter(Boolean).join(", ")}`;
  }

  under(event) {
    const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
    let nearest = NEAR;
    let found = false;
    this.curves.forEach(({ name, points }, i) => {
      if (this.hidden.has(name)) return;
      points.forEach(([left, top], j) => {
        const distance = Math.hypot(left - place.x, top - place.y);
        if (distance < nearest) [nearest, this.curve, this.point, found] = [distance, i, j, true];
      });
    });
    if (found) this.show(); else this.clear();
  }

  key(event) {
    const shown = [...this.curves.keys()].filter((i) => !this.hidden.has(this.curves[i].name));
    const along = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const across = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (event.key === "Escape") this.clear();
    if (!shown.length || (!along && !across)) return;
    event.preventDefault();
    const at = Math.max(shown.indexOf(this.curve), 0);
    this.curve = shown[(at + (across || 0) + shown.length) % shown.length];
    const last = this.curves[this.curve].points.length - 1;
    this.point = Math.min(Math.max(this.point + (along || 0), 0), last);
    this.show();
  }
}

for (const drawing of document.querySelectorAll("[data-series]")) new Reader(drawing).start();
