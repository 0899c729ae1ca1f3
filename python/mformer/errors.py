"""What the program refuses, as exceptions."""

from __future__ import annotations

from typing import Optional


class Error(Exception):
    """A command failed. `str()` is the sentence; `hint` what to do; `code` a word for the kind, where the program gives one;
    `exit_code` what a shell would see: 1 failed, 2 wrong usage."""

    def __init__(self, message: str, hint: str = "", code: Optional[str] = None, exit_code: int = 1):
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code
        self.exit_code = exit_code

    def __str__(self) -> str:
        return self.message if not self.hint else f"{self.message}\nhint: {self.hint}"


class UsageError(Error):
    """Wrong arguments, or a name that is not known: exit code 2."""


class Interrupted(Error):
    """Stopped by a signal. What is saved goes on when the same command is given again."""
