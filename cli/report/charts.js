// Lines over two axes; what they show is in a table below too.
const colours = [0, 1, 2, 3, 4, 5].map((i) => "var(--c" + i + ")");
const dashes = ["", "6 3", "2 3", "8 3 2 3", "1 2", "12 4"];

function ticks(low, high, count) {
  const raw = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw) || raw;
  const all = [];
  for (let i = Math.ceil(low / step); i * step <= high + step * 1e-9 && all.length < 50; ++i) all.push(i * step);
  return all;
}

const short = (x) => (Math.abs(x) >= 1e5 || (x !== 0 && Math.abs(x) < 1e-3) ? x.toExponential(1) : String(+x.toPrecision(4)));

// series: [{name, points: [[x, y]]}]; names: words for x where these are places of a list.
function lineChart(title, xName, yName, series, names) {
  const points = series.flatMap((one) => one.points);
  if (!points.length) return make("p", { class: "soft" }, "There is nothing to draw.");
  const bounds = (k) => points.reduce(([low, high], p) => [Math.min(low, p[k]), Math.max(high, p[k])], [Infinity, -Infinity]);
  const [x0, x1] = bounds(0), [y0, y1] = bounds(1);
  const width = 640, height = 260, left = 64, right = 44, top = 12, bottom = 44;
  const x = (v) => left + (x1 > x0 ? (v - x0) / (x1 - x0) : 0.5) * (width - left - right);
  const y = (v) => height - bottom - (y1 > y0 ? (v - y0) / (y1 - y0) : 0.5) * (height - top - bottom);
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": title });
  for (const v of ticks(y0, y1, 5)) {
    svg.append(draw("line", { class: "grid", x1: left, x2: width - right, y1: y(v), y2: y(v) }),
      draw("text", { x: left - 6, y: y(v) + 4, "text-anchor": "end" }, short(v)));
  }
  const places = names ? names.map((name, i) => [i, name]) : ticks(x0, x1, 6).map((v) => [v, short(v)]);
  const every = Math.ceil(places.length / 8);
  places.filter((_, i) => i % every === 0).forEach(([v, text]) =>
    svg.append(draw("text", { x: x(v), y: height - bottom + 16, "text-anchor": "middle" }, text.length > 12 ? text.slice(0, 11) + "…" : text)));
  svg.append(draw("path", { class: "axis", d: `M${left} ${top}V${height - bottom}H${width - right}` }),
    draw("text", { x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" }, xName),
    draw("text", { x: 14, y: height / 2, "text-anchor": "middle", transform: `rotate(-90 14 ${height / 2})` }, yName));
  series.forEach((one, i) => {
    const path = one.points.map((p, k) => (k ? "L" : "M") + x(p[0]).toFixed(1) + " " + y(p[1]).toFixed(1)).join("");
    svg.append(draw("path", { d: path, fill: "none", stroke: colours[i % 6], "stroke-width": 2, "stroke-dasharray": dashes[i % 6] || null }));
    if (one.points.length <= 60) {
      for (const p of one.points) {
        svg.append(draw("circle", { cx: x(p[0]), cy: y(p[1]), r: 3.5, fill: colours[i % 6] },
          draw("title", null, `${one.name}: ${names ? names[p[0]] : short(p[0])}, ${fixed(p[1])}`)));
      }
    }
  });
  const legend = make("ul", { class: "legend" }, series.map((one, i) => make("li", null,
    draw("svg", { width: 34, height: 10, "aria-hidden": "true" },
      draw("line", { x1: 1, x2: 33, y1: 5, y2: 5, stroke: colours[i % 6], "stroke-width": 3, "stroke-dasharray": dashes[i % 6] || null })), " " + one.name)));
  const rows = series.flatMap((one) => one.points.map((p) => [one.name, names ? names[p[0]] : short(p[0]), fixed(p[1])]));
  return make("div", null, scrolled(title, svg), legend,
    folded("As a table", scrolled(title + ", table", list(title, ["line", xName, yName], rows, [1, 2]), true)));
}
