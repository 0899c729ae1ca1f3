function themeSwitch() {
  const button = document.getElementById("theme"), root = document.documentElement;
  const set = (dark) => {
    root.classList.toggle("dark", dark);
    button.textContent = dark ? "Light colours" : "Dark colours";
    paint(document.querySelectorAll("td[data-module]"));
  };
  button.addEventListener("click", () => set(!root.classList.contains("dark")));
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  system.addEventListener("change", (event) => set(event.matches));
  set(system.matches);
}

function versionsSection() {
  const part = section("versions", "Versions and modules", make("p", null, "The newest version is at the top. A filled circle is where the current model stands, a dashed one has no name that leads to it."));
  if (!report.versions.length) {
    part.append(make("p", null, "There is no version yet."));
    return;
  }
  part.append(make("div", { class: "wide tall" }, versionGraph()),
    report.older_versions ? make("p", { class: "soft" }, `${report.older_versions} older versions are left out.`) : [],
    make("div", { class: "panel", id: "version" }),
    make("div", { class: "panel", id: "module", role: "region", "aria-live": "polite", "aria-label": "The chosen module" }, make("p", null, "Choose a module to see its life.")));
  const shownFirst = report.versions.findIndex((version) => version.ref === report.shown);
  chooseVersion(Math.max(shownFirst, 0), false);
}

document.getElementById("about").textContent = shown(`Workspace ${report.workspace}, version ${report.shown}; mformer ${report.program}`);
themeSwitch();
versionsSection();
routingSection();
shiftsSection();
matrixSection();
keepSection();
trainingSection();
posteriorSection();
operationsSection();
