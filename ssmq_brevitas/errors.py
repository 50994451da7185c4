"""The exceptions that reach a user as a one-line message."""


class SsmqError(Exception):
    """Bad input or a refused operation: says what is wrong, where, and what to do, in one line.

    >>> from ssmq_brevitas import S4D, SsmqError
    >>> try:
    ...     S4D(heads=0)
    ... except SsmqError as error:
    ...     print(error)
    S4D needs heads and modes from 1 and 0 < dt_min <= dt_max, not heads=0, modes=32, dt_min=0.001, dt_max=0.1
    """

    def __init__(self, message: str):
        # What is passed on of torch or of a file may have several lines.
        super().__init__(" ".join(line.strip() for line in message.splitlines()))


class Interrupted(SsmqError):
    """Stopped by the user, in a state from which the same command goes on."""
