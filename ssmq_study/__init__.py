"""Studies of quantisation: what deserves bits, and why. Trains and measures with ssmq_brevitas, knows no graphs.

    allocation.py   widths under a budget of bytes: an integer program, or Optuna
    sensitivity.py  accuracy and output error with one tensor narrow and all others wide; the memory of every mode
"""
