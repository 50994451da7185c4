"""The report: results/*.json as README tables, pictures and one self-contained HTML page.

A result file says what it is by its ``kind``, or by its name (``kinds.KINDS``); a file without either is an `ssmq run`.
"""
