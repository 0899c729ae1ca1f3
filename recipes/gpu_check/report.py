"""Parts that run one after another, the most telling first, and one Markdown file about them.

The file is written anew, whole, after each part and while one runs, so that a run that is cut at any point leaves what was
found until then. A part that fails or takes too long is said so, and the next one goes on.
"""

import os
import signal
import subprocess
import sys
import threading
import time

WHOLE = 480  # Seconds, which the parts' limits add up to.
MOST_TEXT = 40_000  # Characters of a part's output that are kept: the last ones
STOPPED_BY = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(Exception):
    """A signal asked for the end."""


def stop(number, frame):
    for one in STOPPED_BY:
        signal.signal(one, signal.SIG_IGN)  # once is enough: what is there is being written down
    raise Interrupted(number)


class Part:
    """One part of the report: commands that run one after another, whatever each gives, within `limit` seconds in all."""

    def __init__(self, title, limit, commands, left_out=""):
        self.title, self.limit, self.commands = title, limit, commands
        self.result, self.seconds, self.text = ("left out: " + left_out if left_out else "not reached"), None, ""
        self.due, self.last = not left_out, ""

    def run(self, limit, changed):
        """Runs it; `changed()` is called whenever there is more to say."""
        started = time.monotonic()
        self.result, failures = "cut short while it ran", []
        changed()
        try:
            for command in self.commands:
                left = limit - (time.monotonic() - started)
                code = self.call(command, left, changed)
                if code != 0 and not self.text.endswith(self.last):
                    self.text += f"{self.last.rstrip()} was the last line\n"
                if code is None:
                    failures.append(f"cut after {limit:.0f} s")
                    break
                if code != 0:
                    failures.append(f"failed: signal {-code}" if code < 0 else f"failed: exit code {code}")
            self.result = ", ".join(failures) or "passed"
        except Interrupted:
            self.result = "interrupted"
            raise
        finally:
            self.seconds = time.monotonic() - started
            changed()

    def call(self, command, limit, changed):
        """The exit code of a command, nothing where it was cut; its output is the part's text as it comes."""
        if limit <= 0:
            return None
        end = time.monotonic() + limit
        try:
            process = subprocess.Popen(command.arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                       env=command.environment, cwd=command.folder, start_new_session=True)
        except OSError as error:
            self.text += f"{command.arguments[0]} does not start: {error.strerror}\n"
            return 127
        reader = threading.Thread(target=self.read, args=(process.stdout, command.keeps), daemon=True)
        reader.start()
        try:
            known = ""
            while process.poll() is None:
                if time.monotonic() > end:
                    return None
                time.sleep(0.1)
                if self.text != known and time.monotonic() % 1 < 0.1:
                    known = self.text
                    changed()
            return process.returncode
        finally:
            # Children of the command hold its output open too.
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
            reader.join(5)

    def read(self, pipe, keeps):
        for line in pipe:
            self.last = line.decode("utf-8", "replace")
            if keeps(self.last):
                self.text = (self.text + self.last)[-MOST_TEXT:]


class Command:
    """What is run, and which lines of its output the report keeps."""

    def __init__(self, arguments, environment, folder, keeps=lambda line: True):
        self.arguments, self.environment, self.folder, self.keeps = [str(one) for one in arguments], environment, folder, keeps


def fenced(text):
    """As a block of Markdown, whatever is in it."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}\n{text.rstrip()}\n{fence}\n"


class Report:
    def __init__(self, file, title, facts, parts):
        self.file, self.title, self.facts, self.parts = file, title, facts, parts

    def markdown(self):
        rows = [f"| {part.title} | {part.result} | {'' if part.seconds is None else f'{part.seconds:.1f}'} |\n" for part in self.parts]
        blocks = [f"\n## {part.title}\n\n{part.result}\n\n{fenced(part.text)}" for part in self.parts if part.text]
        return (f"# {self.title}\n\n" + "".join(f"- {name}: {value}\n" for name, value in self.facts) +
                "\n| part | result | seconds |\n|---|---|---|\n" + "".join(rows) + "".join(blocks))

    def write(self):
        """Whole or not at all: a reader, or a machine that goes away meanwhile, sees the file before or after."""
        new = self.file.with_name(self.file.name + ".new")
        with new.open("w", encoding="utf-8") as out:
            out.write(self.markdown())
            out.flush()
            os.fsync(out.fileno())
        os.replace(new, self.file)

    def keep(self):
        """The same in the middle of a run, which a full disk must not end: the next time may do."""
        try:
            self.write()
        except OSError as error:
            print(f"warning: '{self.file}' can't be written now: {error.strerror}", file=sys.stderr, flush=True)


def run(report, limit, started):
    """Runs the parts that are due; the code to exit with."""
    for part in report.parts:
        left = limit - (time.monotonic() - started)
        if part.due and left > 1:
            print(f"{part.title} ...", flush=True)
            part.run(min(part.limit * limit / WHOLE, left), report.keep)
            print(f"    {part.result}, {part.seconds:.1f} s", flush=True)
    return 0 if all(part.result == "passed" for part in report.parts) else 1
