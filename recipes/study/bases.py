"""What both recipes begin with: the texts with a vocabulary, and for each seed a model pretrained on one domain."""

import json

import switching
import texts
from runner import write_whole
from token_bytes import TokenBytes

TOKENIZER = "text/tokenizer.json"  # relative to the study's folder, where the program runs

KINDS = {
    "modular": lambda settings: {}, "dense-active": lambda settings: settings.dense_active,
    "dense-total": lambda settings: settings.dense_total
}


def get_texts(study, settings, domains):
    text = study.folder / "text"
    text.mkdir(parents=True, exist_ok=True)
    if settings.name == "quick":
        texts.copy_sample(text, domains)
    else:
        texts.fetch(text, domains)


def config_file(study, settings, kind):
    """The config.json of a base, relative to the study's folder."""
    config = {
        "model_type": "moduleformer", "vocab_size": settings.vocabulary, "block_size": settings.context,
        "history_length": settings.context, **settings.base_config, **KINDS[kind](settings)
    }
    file = study.folder / f"config-{kind}.json"
    write_whole(file, json.dumps(config, indent=1) + "\n")
    return file.name, json.dumps(config, sort_keys=True)


def prepare(study, settings):
    """The vocabulary; returns the tokens of each domain."""
    text = study.folder / "text"

    def task(chain, domain):
        return chain.step(f"task-{domain}", "task", "add", domain, "--data", f"text/{domain}")

    def body(chain):
        chain.derive("vocabulary-text", lambda: texts.vocabulary_text(text, settings.domains, text / "vocabulary"))
        chain.step("tokenizer", "tokenizer", "train", "--data", "text/vocabulary", "--vocab-size", settings.vocabulary,
                   "--out", TOKENIZER, "--overwrite")
        chain.step("init", "init", "--config", config_file(study, settings, "modular")[0], "--tokenizer", TOKENIZER)
        return {domain: sum(task(chain, domain)["tokens"].values()) for domain in settings.domains}

    return study.chain("text", body)


def prepare_switches(study, settings):
    """The documents that change domain, as switching.make returns them."""
    text, tokenizer = study.folder / "text", study.folder / TOKENIZER

    def make():
        return switching.make(study.program, tokenizer, TokenBytes(tokenizer), text, settings.domains, settings.context,
                              settings.switches, text / "switch")

    return study.chain("switches", lambda chain: chain.derive("documents", make, settings.switches), parent="text",
                       keep=False)


def common(settings, seed):
    """Options of every command that trains."""
    return (*(("--bf16",) if settings.bfloat16 else ()), "--seed", seed, "--batch", settings.batch, "--context", settings.context, "--eval-tokens",
            settings.eval_tokens)


def base_name(seed, kind="modular"):
    return f"seed{seed}/base" if kind == "modular" else f"seed{seed}/base-{kind}"


def make_base(study, settings, seed, kind="modular", extra=(), name=None):
    """A model pretrained on the first domain; its chain's name and its version. `extra`: further options of train."""
    name = name or base_name(seed, kind)
    file, content = config_file(study, settings, kind)

    def body(chain):
        chain.derive("config", lambda: json.loads(content), content)
        chain.step("init", "init", "--config", file, "--tokenizer", TOKENIZER, "--seed", seed)
        made = chain.step(settings.base, "train", "--data", f"text/{settings.base}", "--steps", settings.base_steps,
                          "--lr", settings.rates["base" if kind == "modular" else kind + "-base"],
                          *extra, *common(settings, seed))
        for domain in settings.new:
            chain.step(f"unseen-{domain}", "eval", "--data", f"text/{domain}", "--max-tokens", settings.eval_tokens)
        return made["model"]

    return name, study.chain(name, body)
