"use strict";
// What all parts of the page build elements with. Text from the registry is only ever set as text, and shown with control
// characters and marks that reorder text escaped.
const report = JSON.parse(document.getElementById("data").textContent);
const SVG = "http:" + "//www.w3.org/2000/svg";  // a name, not an address: nothing is fetched from it

function shown(value) {
  return String(value).replace(/[\u0000-\u001f\u007f-\u009f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffe\uffff]/g,
    (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
}

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  return fill(element, attributes, children);
}

function draw(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== undefined) element.setAttribute(name, shown(value));
  }
  for (const child of children.flat(3)) {
    element.append(child instanceof Node ? child : document.createTextNode(shown(child)));
  }
  return element;
}

const fixed = (x, digits = 4) => (x === null || x === undefined ? "-" : x.toFixed(digits));
const signed = (x) => (x === null || x === undefined ? "-" : (x >= 0 ? "+" : "") + x.toFixed(4));
const percent = (x) => (x === null || x === undefined ? "-" : (100 * x).toFixed(1) + " %");
const when = (ms) => (ms ? new Date(ms).toISOString().slice(0, 16).replace("T", " ") : "-");
const kinds = ["attention", "feed-forward"];
const kindWords = ["att", "mlp"];

function section(id, title, ...children) {
  const heading = make("h2", { id: id + "-title" }, title);
  const part = make("section", { id, "aria-labelledby": id + "-title" }, heading, ...children);
  document.getElementById("main").append(part);
  document.getElementById("sections").append(make("li", null, make("a", { href: "#" + id }, title)));
  return part;
}

// Rows of cells; a cell is a text, or a number's text where its column is one of `numbers`.
function list(caption, head, rows, numbers = [], long = []) {
  const kind = (i) => (numbers.includes(i) ? "number" : long.includes(i) ? "long" : null);
  return make("table", { class: "list" }, make("caption", null, caption),
    make("thead", null, make("tr", null, head.map((text, i) => make("th", { scope: "col", class: kind(i) }, text)))),
    make("tbody", null, rows.map((row) => make("tr", null, row.map((cell, i) => make("td", { class: kind(i) }, cell))))));
}

function scrolled(label, child, tall) {
  return make("div", { class: tall ? "wide tall" : "wide", role: "region", "aria-label": label + ", can be scrolled", tabindex: "0" }, child);
}

function folded(title, child) {
  return make("details", null, make("summary", null, title), child);
}

function choice(label, options, chosen, onChange) {
  const select = make("select", { change: (event) => onChange(event.target.value) },
    options.map(([value, text]) => make("option", { value, selected: String(value) === String(chosen) ? "" : null }, text)));
  return make("label", null, label, select);
}
