"""The exceptions that reach a user as a one-line message."""


class SsmqError(Exception):
    """Bad input or a refused operation: says what is wrong, where, and what to do."""


class Interrupted(SsmqError):
    """Stopped by the user, in a state from which the same command goes on."""
