"""What goes wrong, as exceptions. The sentence is the one the command prints."""


class Error(Exception):
    """Base of all errors of kvplace."""


class BadInput(Error, ValueError):
    """The input is wrong; the message names file, place and mend. The command's exit code 2."""


class Failed(Error, RuntimeError):
    """Something could not be done: disk full, out of memory. The command's exit code 1."""


class Rejected(Error):
    """A schedule or a certificate does not prove what it claims. The command's exit code 4."""


class Interrupted(Error):
    """Stopped through an Interrupt before there was anything to return. The command's exit code 3."""
