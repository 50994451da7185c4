"""Train quantised S4D models with PyTorch and Brevitas; see ``model``, ``quantize``, ``train`` and ``scan``."""
