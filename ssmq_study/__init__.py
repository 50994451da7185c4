"""The study: the paper's table, sensitivity, allocation of widths, the model zoo and the report.

It joins training (``ssmq_brevitas``) and integer execution (``ssmq_export``); it prints nothing.
"""
