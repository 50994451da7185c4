"""The one exception that reaches a user as a one-line message."""


class SsmqError(Exception):
    """Bad input or a refused operation: says what is wrong, where, and what to do."""
