"""Learning rates, chosen on validation text of the first new domain, a third of the steps each: `run.sh --tune`.

What it prints is written into methods.py by hand."""

import dataclasses

import methods


def run(study, settings, base, only, python_of):
    short = dataclasses.replace(settings, steps=max(2, settings.steps // 3), seed=100)
    domain = settings.new[0]
    for method, rates in methods.TUNE.items():
        if method not in only:
            continue
        losses = {rate: one(study, short, base, method, domain, rate, python_of) for rate in rates}
        print(f"{method}: " + ", ".join(f"{rate:g} → {loss:.4f}" for rate, loss in losses.items()) +
              f"; best {min(losses, key=losses.get):g}", flush=True)


def one(study, settings, base, method, domain, rate, python_of):
    def by_program(chain):
        made = chain.step(domain, "--model", base, *methods.COMMANDS[method], "--task", domain, "--into", "tuned",
                          *methods.training(settings, rate))
        return made["training"]["validation_loss"]

    def by_lora(chain):
        folder = study.folder / "lora"
        chain.step("export", "--model", base, "export", folder / "model", "--dtype", "float32", "--overwrite")
        wanted = methods.parameters_of(study, settings)[domain]
        made = chain.derive(domain, lambda: methods.run_lora(study, settings, python_of(study.folder), folder, domain, wanted,
                                                             rate, validate=True), settings, wanted, rate)
        return made["validation_loss"]

    return study.chain(f"tune/{method}-{rate:g}", by_lora if method == "lora" else by_program, parent=methods.BASE, keep=False)
