"""The file of a study on one's own data: what it may say, checked, each mistake told in one sentence with a hint."""

import dataclasses
import difflib
import json
import re
from pathlib import Path

from program import Failed

COMMANDS = ("train", "extend", "finetune")
# What the study itself says to every command.
OWN_OPTIONS = ("data", "dry-run", "eval-tokens", "fields", "into", "json", "model", "quiet", "restart", "seed", "task", "workspace")
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9 ._-]*[A-Za-z0-9_-])?")
TAKEN = ("base", "begin")  # what the study calls its own steps
EVAL_TOKENS = 65536


class Refused(Failed):
    """A file that can't be meant: exit code 2."""

    def __init__(self, what, hint):
        super().__init__(what)
        self.hint = hint


@dataclasses.dataclass(frozen=True)
class Task:
    name: str
    data: Path
    fields: str


@dataclasses.dataclass(frozen=True)
class Setting:
    """One way to learn a task: a command and its options, as words of a command line."""

    name: str
    command: str
    options: tuple


@dataclasses.dataclass(frozen=True)
class StudyFile:
    title: str
    model: dict  # preset, config or from; tokenizer or vocabulary
    base: tuple  # (Task, options) that is trained first, once for each seed; or None
    tasks: tuple  # all, the base's first
    settings: tuple
    seeds: tuple
    eval_tokens: int

    @property
    def learned(self):
        """The tasks that every setting learns, in order."""
        return self.tasks[1:] if self.base else self.tasks


def read(path):
    """The study that the file at `path` describes; relative paths in it are meant from its folder."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"the study file '{path}' can't be read: {error}", "recipes/study/example.json is one to begin with") from None
    try:
        said = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_no_twice, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Refused(f"'{path}' is no JSON: {error}", "a JSON checker shows the place; JSON has no comments and no last comma") from None
    return _study(said, path)


def _no_twice(pairs):
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"'{name}' is there twice")
    return dict(pairs)


def _no_constant(name):
    raise ValueError(f"{name} is no number of JSON")


def _study(said, path):
    folder = path.resolve().parent
    _fields(said, "the study", required=("model", "tasks", "settings"), known=("title", "base", "seeds", "eval_tokens"))
    tasks = _tasks(said["tasks"], folder)
    base = _base(said["base"], tasks) if "base" in said else None
    if base:
        tasks = [base[0]] + [task for task in tasks if task != base[0]]
        if len(tasks) == 1:
            raise Refused("'tasks' has only the base's: there is nothing that a setting could learn", "add a task that comes after it")
    title = said.get("title", path.stem)
    _require(isinstance(title, str) and title.strip() and title.isprintable(), "'title' must be a text on one line", 'for example "title": "German after English"')
    tokens = said.get("eval_tokens", EVAL_TOKENS)
    _require(_is_count(tokens), "'eval_tokens' must be a whole number, 0 or more", "0 measures all held-out text")
    return StudyFile(title, _model(said["model"], folder), base, tuple(tasks), _settings(said["settings"]),
                     _seeds(said.get("seeds", 3)), tokens)


def _require(holds, what, hint):
    if not holds:
        raise Refused(what, hint)


def _is_count(value):
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _fields(value, what, required=(), known=()):
    """`value` must be an object with the required fields and none that is not known."""
    every = (*required, *known)
    _require(isinstance(value, dict), f"{what} must be an object", f"with {', '.join(every)}")
    for name in value:
        if name not in every:
            near = difflib.get_close_matches(name, every, 1)
            raise Refused(f"{what} has no field '{_shown(name)}'", f"did you mean '{near[0]}'?" if near else f"known: {', '.join(every)}")
    for name in required:
        _require(name in value, f"{what} lacks the field '{name}'", "recipes/study/example.json has all of them")


def _shown(text):
    text = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    return text if len(text) <= 60 else text[:57] + "…"


def _path(value, what, folder):
    _require(isinstance(value, str) and value and "\0" not in value, f"{what} must be a path", 'for example "texts/german"')
    place = (folder / Path(value).expanduser()).resolve()
    _require(place.exists(), f"{what} names '{_shown(value)}', and there is nothing at {place}",
             "paths are meant from the folder of the study file")
    return place


def _name(value, what):
    _require(isinstance(value, str) and len(value) <= 60 and NAME.fullmatch(value),
             f"{what} '{_shown(str(value))}' is not made of letters, digits, '.', '_', '-' and spaces inside, at most 60",
             "for example german")
    _require(value.lower() not in TAKEN, f"{what} can't be '{value}', which the study calls a step of its own", "choose another name")
    return value


def _tasks(said, folder):
    _require(isinstance(said, list) and said, "'tasks' must be a list of tasks, in the order in which they are learned",
             'for example "tasks": [{"name": "german", "data": "texts/german"}]')
    tasks = []
    for number, task in enumerate(said, 1):
        what = f"task {number}"
        _fields(task, what, required=("name", "data"), known=("fields",))
        name = _name(task["name"], "the name of " + what)
        _require(name not in [known.name for known in tasks], f"two tasks are called '{name}'", "give each a name of its own")
        fields = task.get("fields", "")
        _require(isinstance(fields, str), f"'fields' of task '{name}' must be a text", "as --fields takes it: text=body")
        tasks.append(Task(name, _path(task["data"], f"'data' of task '{name}'", folder), fields))
    return tasks


def _base(said, tasks):
    _fields(said, "'base'", required=("task",), known=("options",))
    for task in tasks:
        if task.name == said["task"]:
            return task, _options(said.get("options", {}), "'base'")
    raise Refused(f"'base' is trained on task '{_shown(str(said['task']))}', which is not among 'tasks'",
                  f"known: {', '.join(task.name for task in tasks)}")


def _model(said, folder):
    _fields(said, "'model'", known=("preset", "config", "from", "slices", "tokenizer", "vocabulary"))
    sources = [name for name in ("preset", "config", "from") if name in said]
    _require(len(sources) == 1, "'model' needs one of 'preset', 'config' and 'from'",
             '"preset": "tiny" makes fresh weights, "from": "checkpoint" imports some')
    model = dict(said)
    for name in ("config", "from", "tokenizer"):
        if name in model:
            model[name] = str(_path(model[name], f"'{name}' of 'model'", folder))
    if "preset" in model:
        _name(model["preset"], "the preset")
    for name in ("slices", "vocabulary"):
        _require(name not in model or (_is_count(model[name]) and model[name] > 0), f"'{name}' of 'model' must be a whole number above 0", "for example 4096")
    _require(not ("tokenizer" in model and "vocabulary" in model), "'model' has both 'tokenizer' and 'vocabulary'",
             "a vocabulary is learned where there is no tokenizer: leave one out")
    _require("from" in model or "tokenizer" in model or "vocabulary" in model, "fresh weights need a 'tokenizer' or a 'vocabulary'",
             '"vocabulary": 4096 learns one of so many tokens from the first task')
    _require("from" not in model or "vocabulary" not in model, "a model that is imported can't learn another vocabulary",
             "leave 'vocabulary' out")
    return model


def _settings(said):
    _require(isinstance(said, dict) and said, "'settings' must be an object of at least one setting",
             'for example "settings": {"domain": {"command": "extend", "options": {"steps": 200}}}')
    settings = []
    for name, setting in said.items():
        what = f"setting '{_name(name, 'the name of a setting')}'"
        _fields(setting, what, required=("command",), known=("options",))
        command = setting["command"]
        _require(command in COMMANDS, f"{what} has the command '{_shown(str(command))}'", f"known: {', '.join(COMMANDS)}")
        settings.append(Setting(name, command, _options(setting.get("options", {}), what)))
    _require(len({setting.name.lower() for setting in settings}) == len(settings), "two settings differ only by capitals",
             "their files would be the same on some systems")
    return tuple(settings)


def _options(said, what):
    """{"steps": 200, "single-mask": true, "layers": "0-1"} as ("--steps=200", "--single-mask", "--layers=0-1")."""
    _require(isinstance(said, dict), f"'options' of {what} must be an object", 'for example {"steps": 200, "lr": 0.001}')
    words = []
    for name, value in said.items():
        option = name.replace("_", "-")
        _require(re.fullmatch(r"[a-z][a-z0-9-]*", option), f"{what} has an option '{_shown(name)}'", "options are written as on the command line, without --")
        _require(option not in OWN_OPTIONS, f"{what} has the option '{option}', which the study says itself", "leave it out")
        if value is False:
            continue
        if value is True:
            words.append("--" + option)
            continue
        _require(isinstance(value, (int, float, str)) and str(value) and "\0" not in str(value) and value == value,
                 f"option '{option}' of {what} must be a number, a text, true or false", "lists are written as on the command line: \"0.3,0.5\"")
        words.append(f"--{option}={value}")
    return tuple(words)


def _seeds(said):
    if _is_count(said):
        _require(1 <= said <= 1000, "'seeds' as a number says how many, from 1", '"seeds": 3 are the seeds 0, 1 and 2')
        return tuple(range(said))
    _require(isinstance(said, list) and said and all(_is_count(seed) for seed in said), "'seeds' must be a number of seeds, or a list of them", '"seeds": [0, 1, 2]')
    _require(len(set(said)) == len(said), "a seed is there twice", "the same seed gives the same numbers")
    return tuple(said)
