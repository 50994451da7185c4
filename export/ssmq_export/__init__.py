"""Graphs of a trained model, their lowering to integers and their legality; see ``export``, ``lower`` and ``check``."""
