"""Package data: the embedded subset of MNIST and pretrained float checkpoints."""
