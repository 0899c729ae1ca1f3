// Maps of modules: rows are layers, columns places. One stop of the Tab key each; arrows move, Enter shows a module's life.
function moduleMaps(title, modules, look) {
  return make("div", null, [0, 1].map((kind) => {
    const rows = new Map();
    for (const m of modules) {
      if (fields(m).kind !== kind) continue;
      if (!rows.has(fields(m).layer)) rows.set(fields(m).layer, []);
      rows.get(fields(m).layer).push(m);
    }
    return rows.size ? moduleMap(`${title}: ${kinds[kind]} modules`, rows, look) : [];
  }));
}

// Between the colour of nothing and the cell's own, and on it black or white, whichever can be read: one of them always has
// a contrast of 4.5.
function paint(cells) {
  const known = new Map(), style = getComputedStyle(document.documentElement);
  const channels = (name) => {
    if (!known.has(name)) known.set(name, [1, 3, 5].map((i) => parseInt(style.getPropertyValue(name).trim().slice(i, i + 2), 16)));
    return known.get(name);
  };
  for (const cell of cells) {
    const full = channels(cell.dataset.colour), empty = channels("--empty"), strength = Number(cell.dataset.strength);
    const mixed = full.map((x, i) => Math.round(empty[i] + (x - empty[i]) * strength));
    const [r, g, b] = mixed.map((x) => (x / 255 <= 0.04045 ? x / 255 / 12.92 : ((x / 255 + 0.055) / 1.055) ** 2.4));
    cell.style.backgroundColor = `rgb(${mixed.join(",")})`;
    cell.style.color = 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff";
  }
}

function moduleMap(title, rows, look) {
  const wide = Math.max(...[...rows.values()].map((row) => row.length));
  const details = make("p", { class: "soft", role: "status" }, "Point at a module, or move to it with the arrow keys.");
  const cells = [];
  const body = [...rows].map(([layer, row], r) => make("tr", null, make("th", { scope: "row" }, layer), row.map((m, c) => {
    const { colour, strength, mark, says } = look(m);
    const text = `layer ${layer}, ${kinds[fields(m).kind]} module ${c}, ${fields(m).uid}: ${says}`;
    const cell = make("td", { tabindex: r + c ? "-1" : "0", "aria-label": text, "data-module": m, "aria-selected": "false",
      mouseenter: () => { details.textContent = shown(text); }, focus: () => { details.textContent = shown(text); },
      click: () => pick(r, c), keydown: (event) => move(event, r, c) }, mark || []);
    cell.dataset.colour = colour;
    cell.dataset.strength = strength;
    (cells[r] = cells[r] || [])[c] = cell;
    return cell;
  })));
  const table = make("table", { class: "map", role: "grid", "aria-label": title },
    make("thead", null, make("tr", null, make("th", { scope: "col" }, "layer"), Array.from({ length: wide }, (_, c) => make("th", { scope: "col" }, make("span", { class: c % 4 ? "unseen" : null }, String(c)))))),
    make("tbody", null, body));
  function go(r, c) {
    for (const cell of cells.flat()) cell.setAttribute("tabindex", "-1");
    cells[r][c].setAttribute("tabindex", "0");
    cells[r][c].focus();
  }
  function pick(r, c) {
    for (const cell of document.querySelectorAll("td[aria-selected=true]")) cell.setAttribute("aria-selected", "false");
    cells[r][c].setAttribute("aria-selected", "true");
    go(r, c);
    showModule(Number(cells[r][c].dataset.module));
  }
  function move(event, r, c) {
    const near = (row, column) => go(row, Math.max(0, Math.min(column, cells[row].length - 1)));
    const keys = { ArrowRight: () => near(r, c + 1), ArrowLeft: () => near(r, c - 1), ArrowDown: () => near(Math.min(r + 1, cells.length - 1), c),
      ArrowUp: () => near(Math.max(r - 1, 0), c), Home: () => near(r, 0), End: () => near(r, cells[r].length - 1), Enter: () => pick(r, c), " ": () => pick(r, c) };
    if (!keys[event.key]) return;
    keys[event.key]();
    event.preventDefault();
  }
  paint(cells.flat());
  return make("div", null, make("h3", null, title), make("div", { class: "wide" }, table), details);
}

function routingSection() {
  const part = section("routing", "Routing", make("p", null, "Which modules each task uses: the share of a layer's top-k slots, or, where all modules are taken, of its output norm."));
  if (!report.routing.length) {
    part.append(make("p", null, "The registry has no routing. mformer inspect routing measures and keeps it."));
    return;
  }
  const view = make("div", null);
  let shownMap = 0, against = "";
  const name = (map) => `${map.task} in ${report.versions[map.version].ref}`;
  const options = report.routing.map((map, i) => [i, name(map)]);
  part.append(choice("Routing of", options, 0, (value) => { shownMap = Number(value); show(); }),
    choice("less that of", [["", "nothing"], ...options], "", (value) => { against = value; show(); }), view);
  const byModule = (map) => new Map(versionModules(map.version).map((m, i) => [m, map.shares[i] / 10000]));
  function show() {
    const map = report.routing[shownMap], here = byModule(map), frozen = frozenModules(map.version);
    const other = against === "" ? null : report.routing[Number(against)], there = other ? byModule(other) : new Map();
    const values = new Map([...here].map(([m, share]) => [m, share - (there.get(m) || 0)]));
    const most = Math.max(...[...values.values()].map(Math.abs), 1e-9);
    const mark = (m) => (other && !there.has(m) ? "n" : frozen.has(m) ? "f" : fields(m).birth.startsWith("extend") ? "e" : "");
    const says = (m) => `${percent(here.get(m))} of the work of ${name(map)}` + (other ? `, ${percent(there.get(m) || 0)} of ${name(other)}` : "") +
      `, born by ${fields(m).birth}` + (frozen.has(m) ? ", frozen" : "");
    const gone = [...there.keys()].filter((m) => !here.has(m));
    const rows = [...here.keys()].map((m) => [String(fields(m).layer), kinds[fields(m).kind], fields(m).uid, fields(m).birth, percent(here.get(m)), other ? percent(values.get(m)) : ""]);
    view.replaceChildren(make("p", { class: "soft" }, `${map.tokens} tokens. 90 % of the work is done by ${percent(map.ninety_percent)} of the modules. The strongest colour stands for ${percent(most)}` +
      (other ? "; orange is less, blue more" : "") + (other ? "; n: not in the other version" : "") + ". e: born by an extension, f: frozen." + (gone.length ? ` ${gone.length} modules of the other version are not in this one.` : "") +
      (map.of_norm.length ? " Shares of output norms: " + map.of_norm.join(", ") + "." : "")),
    moduleMaps(name(map), [...here.keys()], (m) => ({ colour: values.get(m) < 0 ? "--c1" : "--c0", strength: Math.abs(values.get(m)) / most, mark: mark(m), says: says(m) })),
    folded("As a table", scrolled("Routing of " + name(map), list("Shares of " + name(map), ["layer", "kind", "module", "born by", "share", "change"], rows, [0, 4, 5]), true)));
  }
  show();
  if (report.older_routing) part.append(make("p", { class: "soft" }, `${report.older_routing} older maps are left out, to keep the page small.`));
}

function shiftsSection() {
  const part = section("shifts", "Leak and drift", make("p", null, "What became of a task's routing from a version to the one made from it. Leak: share that goes to modules that the earlier one does not have. Drift: Jensen-Shannon divergence, 0 = as before, 1 = no module in common."));
  const rows = report.shifts.map((s) => [report.versions[s.from].ref, report.versions[s.to].ref, s.task, percent(s.leak), fixed(s.divergence),
    s.losses ? fixed(s.losses[0]) : "-", s.losses ? fixed(s.losses[1]) : "-", s.losses ? signed(s.losses[1] - s.losses[0]) : "-"]);
  part.append(rows.length ? scrolled("Leak and drift", list("Losses in nats per token, held-out text", ["before", "after", "task", "leak", "drift (bits)", "loss before", "loss after", "change"], rows, [3, 4, 5, 6, 7]), true)
    : make("p", null, "There is no task whose routing is known both of a version and of the one that it was made from."));
}
