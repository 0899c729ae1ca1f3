// The graph of versions, the modules of the one that is chosen, and the life of a module.
const state = { version: 0, module: null };
const versionModules = (v) => (report.versions[v].layout === undefined ? [] : report.layouts[report.versions[v].layout]);
const frozenModules = (v) => new Set(report.versions[v].frozen === undefined ? [] : report.frozen_sets[report.versions[v].frozen]);
const fields = (m) => {
  const [uid, layer, kind, birth, operation, from, revisions, earlier] = report.modules[m];
  return { uid, layer, kind, birth, operation, from, revisions, earlier };
};

// Every version in a column of its own line of descent, newest first: the column of its first child, if that is free.
function columns() {
  const column = [], open = [];
  report.versions.forEach((version, i) => {
    const mine = open.map((wanted, c) => [wanted, c]).filter(([wanted]) => wanted === i).map(([, c]) => c);
    const here = mine.length ? mine[0] : open.indexOf(null) >= 0 ? open.indexOf(null) : open.length;
    column[i] = here;
    mine.forEach((c) => { open[c] = null; });
    open[here] = version.parents.length ? version.parents[0] : null;
  });
  return column;
}

function versionText(version) {
  const names = [...version.models, ...version.tags.map((tag) => "tag " + tag)];
  return version.ref + (names.length ? " (" + names.join(", ") + ")" : "");
}

function versionGraph() {
  const column = columns(), row = 30, step = 22;
  const across = Math.min(Math.max(...column, 0) + 1, 30);
  const x = (i) => 16 + Math.min(column[i], 29) * step, y = (i) => 18 + i * row;
  const width = across * step + 740;  // 90 letters of the widest fonts
  const svg = draw("svg", { width, height: report.versions.length * row + 10, role: "group", "aria-label": "Graph of versions, newest first" });
  report.versions.forEach((version, i) => version.parents.forEach((parent) =>
    svg.append(draw("path", { class: "edge", d: `M${x(i)} ${y(i)}C${x(i)} ${y(i) + 20} ${x(parent)} ${y(parent) - 20} ${x(parent)} ${y(parent)}` }))));
  report.versions.forEach((version, i) => {
    const says = `${versionText(version)}, made by ${version.command}` + (version.mark === "left" ? ", no name leads to it" : "");
    const node = draw("circle", { class: "node " + version.mark, cx: x(i), cy: y(i), r: 7, role: "button", tabindex: i ? "-1" : "0",
      "aria-pressed": "false", "aria-label": says, "data-version": i, click: () => chooseVersion(i, true), keydown: (event) => versionKey(event, i) },
    draw("title", null, says));
    const text = `${versionText(version)}  ${version.command}`;
    svg.append(node, draw("text", { x: across * step + 16, y: y(i) + 4, "aria-hidden": "true" }, text.length > 90 ? text.slice(0, 89) + "…" : text));
  });
  return svg;
}

function versionKey(event, i) {
  const last = report.versions.length - 1;
  const to = { ArrowDown: Math.min(i + 1, last), ArrowUp: Math.max(i - 1, 0), Home: 0, End: last }[event.key];
  if (to !== undefined) chooseVersion(to, true);
  else if (event.key === "Enter" || event.key === " ") chooseVersion(i, true);
  else return;
  event.preventDefault();
}

function chooseVersion(i, focus) {
  state.version = i;
  for (const node of document.querySelectorAll("[data-version]")) {
    const mine = Number(node.dataset.version) === i;
    node.classList.toggle("chosen", mine);
    node.setAttribute("aria-pressed", String(mine));
    node.setAttribute("tabindex", mine ? "0" : "-1");
    if (mine && focus) node.focus();
  }
  showVersion();
}

function facts(rows) {
  return make("dl", null, rows.filter(([, value]) => value !== "" && value !== null).map(([name, value]) => [make("dt", null, name), make("dd", null, value)]));
}

function showVersion() {
  const version = report.versions[state.version], modules = versionModules(state.version), frozen = frozenModules(state.version);
  const parents = new Set(version.parents.flatMap((p) => versionModules(p)));
  const mark = (m) => (version.parents.length && !parents.has(m) ? "n" : frozen.has(m) ? "f" : "");
  const births = [...new Set(modules.map((m) => fields(m).birth))];
  const panel = document.getElementById("version");
  panel.replaceChildren(make("h3", null, "Version " + version.ref),
    facts([["made by", version.command + ", operation " + version.operation], ["when (UTC)", when(version.created)],
      ["made from", version.parents.map((p) => report.versions[p].ref).join(", ") + (version.cut_off ? " …" : "")], ["merged with", version.merged],
      ["names here", [...version.models, ...version.tags.map((tag) => "tag " + tag)].join(", ")], ["stood here", version.stood], ["hash", version.hash],
      ["modules", modules.length ? `${modules.length}, of them ${frozen.size} frozen` : "not told of in this page"]]));
  if (!modules.length) return;
  const colour = (m) => "--c" + (births.indexOf(fields(m).birth) % 6);
  panel.append(make("ul", { class: "legend" }, births.map((birth, i) => make("li", null,
    draw("svg", { width: 14, height: 14, "aria-hidden": "true" }, draw("rect", { width: 14, height: 14, fill: colours[i % 6] })), " born by " + birth))),
  make("p", { class: "soft" }, "n: new in this version, f: frozen. A module's life is shown where it is chosen."),
  moduleMaps("Modules of " + version.ref, modules, (m) => ({ colour: colour(m), strength: 0.35, mark: mark(m),
    says: "born by " + fields(m).birth + (mark(m) === "n" ? ", new here" : "") + (frozen.has(m) ? ", frozen" : "") })));
}

function showModule(m) {
  state.module = m;
  const one = fields(m);
  const inside = report.versions.map((v, i) => [v, i]).filter(([, i]) => versionModules(i).includes(m));
  const frozen = inside.filter(([, i]) => frozenModules(i).has(m)).map(([v]) => v.ref);
  const uses = report.routing.filter((map) => versionModules(map.version).includes(m)).map((map) =>
    [report.versions[map.version].ref, map.task, percent(map.shares[versionModules(map.version).indexOf(m)] / 10000)]);
  const operationText = (id) => {
    const found = report.operations.find((operation) => operation.id === id);
    return id + (found ? ": " + found.command : "");
  };
  document.getElementById("module").replaceChildren(make("h3", null, "Module " + one.uid),
    facts([["place", `layer ${one.layer}, ${kinds[one.kind]}`], ["born by", one.birth + ", operation " + one.operation], ["copied from", one.from],
      ["in versions", inside.map(([v]) => v.ref).join(", ")], ["frozen in", frozen.join(", ") || "none"]]),
    make("h4", null, "Its weights were written by"),
    make("ol", null, one.earlier ? make("li", null, `${one.earlier} earlier operations`) : [], one.revisions.map((id) => make("li", null, "operation " + operationText(id)))),
    uses.length ? scrolled("Use of the module", list("Its share of its layer's work", ["version", "task", "share"], uses, [2])) : make("p", null, "No routing of it is recorded."));
}
