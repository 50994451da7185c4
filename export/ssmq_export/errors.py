"""The one exception of the export side that reaches a user as a one-line message."""


class ExportError(Exception):
    """Bad input or a refused operation: says what is wrong, where, and what to do, in one line.

    >>> from ssmq_export import ExportError, check
    >>> try:
    ...     check("missing.onnx")
    ... except ExportError as error:
    ...     print(error)
    missing.onnx: no such file; give the path of an .onnx file
    """

    def __init__(self, message: str):
        # What is passed on of torch or of a file may have several lines.
        super().__init__(" ".join(line.strip() for line in message.splitlines()))
