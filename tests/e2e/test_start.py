"""The start of the program, before main: threads that sleep, and an environment that is the user's again."""

import os
import pty
import subprocess
import unittest

import mformer

SHOW = {"OMP_DISPLAY_ENV": "verbose"}


def settings(**environment):
    """What the OpenMP runtime says that it was told."""
    done = subprocess.run(mformer.command_line(["--version"]), env={**SHOW, **environment}, capture_output=True, text=True, check=True)
    lines = [line.strip().replace("'", "").split(" = ") for line in done.stderr.splitlines() if " = " in line]
    return {name.removeprefix("[host] "): value for name, value in lines}


class StartTest(mformer.EndToEndTest):
    def on_terminal(self, work, *arguments, **environment):
        """What the command prints where its output is a terminal."""
        ours, its = pty.openpty()
        process = subprocess.Popen(mformer.command_line(arguments), cwd=work.path, env=environment, stdin=its, stdout=its)
        os.close(its)
        printed = b""
        try:
            while piece := os.read(ours, 65536):
                printed += piece
        except OSError:
            pass  # the terminal's other end is closed
        os.close(ours)
        self.assertEqual(process.wait(mformer.TIMEOUT_S), 0)
        return printed.decode()

    def test_threads_sleep_in_any_environment(self):
        for environment in ({"HOME": "/", "PATH": "/bin"}, {"HOME": "/"}, {}, dict(os.environ)):
            environment.pop("OMP_WAIT_POLICY", None)
            found = settings(**environment)
            self.assertEqual((found["OMP_WAIT_POLICY"], found["GOMP_SPINCOUNT"]), ("PASSIVE", "3000"), environment)

    def test_the_users_own_policy_stays(self):
        self.assertEqual(settings(HOME="/", PATH="/bin", OMP_WAIT_POLICY="active")["OMP_WAIT_POLICY"], "ACTIVE")

    def test_variables_whose_place_was_borrowed_are_there_again(self):
        work = self.workspace()
        terminals = [self.on_terminal(work, "models", HOME="/", TERM=term, LANG="C.UTF-8") for term in ("dumb", "xterm")]
        self.assertIn("base@2", terminals[0])
        self.assertNotIn("\u2500", terminals[0], "a terminal that draws no lines")
        self.assertNotEqual(*terminals)


if __name__ == "__main__":
    unittest.main()
