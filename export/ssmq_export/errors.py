"""The one exception of the export side that reaches a user as a one-line message."""


class ExportError(Exception):
    """Bad input or a refused operation: says what is wrong, where, and what to do."""
