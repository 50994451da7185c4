"""Studies of quantisation: what deserves bits, and why. Trains and measures with ssmq_brevitas, knows no graphs.

    sensitivity.py  accuracy and output error with one tensor narrow and all others wide; the memory of every mode
"""
