function matrixSection() {
  const part = section("matrix", "Tasks and forgetting", make("p", null, `Held-out loss of each task after each step that led to ${report.shown}, nats per token; less is better.`));
  const matrix = report.matrix;
  if (!matrix) {
    part.append(make("p", null, "Nothing was trained so far."));
    return;
  }
  const names = matrix.steps.map((step) => step.ref);
  part.append(make("p", { class: "soft" }, "Losses over at most " + (report.matrix_tokens > 0 ? report.matrix_tokens : "all") + " held-out tokens. What is not known is -: mformer eval --matrix measures it."),
    scrolled("Matrix of tasks", list("Loss by step and task", ["step", "made by", "trained on", ...matrix.tasks.map((task) => task.name)],
      matrix.steps.map((step) => [step.ref, step.command, step.tasks.join(", ") || "-", ...step.losses.map((loss) => fixed(loss))]), matrix.tasks.map((_, i) => i + 3))),
    make("h3", null, "Forgetting curves"),
    lineChart("Loss of each task after each step", "step", "loss", matrix.tasks.map((task, j) => ({ name: task.name,
      points: matrix.steps.map((step, i) => [i, step.losses[j]]).filter((p) => p[1] !== null) })).filter((one) => one.points.length), names),
    scrolled("Figures by task", list("By task", ["task", "learned in", "forgetting first-last", "retention", "router leak"],
      matrix.tasks.map((task) => [task.name, task.learned === null ? "-" : names[task.learned], signed(task.forgetting), percent(task.retention), percent(task.leak)]), [2, 3, 4])),
    scrolled("Means", list("Means over the learned tasks", ["figure", "value", "unit", "reading"], matrix.figures.map((f) => [f.name, fixed(f.value), f.unit, f.reading]), [1], [3])));
}

function keepSection() {
  const part = section("keep", "Keep curves", make("p", null, "Loss with a share of the modules kept, nothing trained."));
  part.append(report.keep.length ? lineChart("Loss against the share of modules kept", "share kept", "loss", report.keep.map((one) => {
    const means = new Map();
    for (const [keep, loss] of one.points) means.set(keep, [...(means.get(keep) || []), loss]);
    return { name: one.name, points: [...means].map(([keep, losses]) => [keep, losses.reduce((a, b) => a + b) / losses.length]).sort((a, b) => a[0] - b[0]) };
  })) : make("p", null, "None was given: mformer inspect keep-curve --csv FILE writes one, mformer report --keep-curve FILE shows it."));
}

function trainingSection() {
  const part = section("training", "Training", make("p", null, "Loss of each step of the runs whose folders are there."));
  if (!report.curves.length) {
    part.append(make("p", null, "There is none."));
    return;
  }
  const view = make("div", null);
  const show = (i) => view.replaceChildren(make("p", { class: "soft" }, `${report.curves[i].steps} steps: ${report.curves[i].command}`),
    lineChart("Training loss of operation " + report.curves[i].operation, "step", "loss", [{ name: "loss", points: report.curves[i].points }]));
  part.append(choice("Run", report.curves.map((curve, i) => [i, `operation ${curve.operation}: ${curve.command.slice(0, 60)}`]), 0, (value) => show(Number(value))), view);
  show(0);
}

function posteriorSection() {
  const part = section("posterior", "Posterior", make("p", null, "Of versions with domains: how much of a task or document each hypothesis predicted."));
  const text = (shares) => shares.map(([name, share]) => `${name} ${percent(share)}`).join(", ");
  if (report.posterior.length) {
    part.append(scrolled("Posterior by task", list("Recorded by tasks", ["version", "task", "shares"], report.posterior.map((p) => [report.versions[p.version].ref, p.task, text(p.shares)]), [], [2]), true));
  }
  if (report.documents.length) {
    part.append(scrolled("Posterior by document", list("Sample documents, read by " + report.shown, ["task", "document", "loss", "shares", "text"],
      report.documents.map((d) => [d.task, String(d.number), fixed(d.loss), text(d.shares), d.text]), [1, 2], [3, 4]), true));
  } else {
    part.append(make("p", null, "No documents were asked for: mformer report --documents N has them read."));
  }
}

function operationsSection() {
  section("operations", "Operations", scrolled("Operations", list("What was done, the newest first, times in UTC", ["id", "when", "outcome", "before", "after", "command"],
    report.operations.map((o) => [String(o.id), when(o.started), o.outcome, o.before, o.after, o.command + (o.message ? " (" + o.message + ")" : "")]), [0], [5]), true));
}
