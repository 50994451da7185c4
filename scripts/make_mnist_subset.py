"""Write the embedded subset of MNIST: 500 training and 100 test images a class, the first of each in file order.

python scripts/make_mnist_subset.py DATA_ROOT
"""

import sys
from pathlib import Path

import numpy as np
from ssmq_brevitas import assets
from ssmq_brevitas.data import SUBSET, import_torchvision_datasets


def first_of_each_class(dataset, count: int) -> tuple[np.ndarray, np.ndarray]:
    images, labels = dataset.data.numpy(), dataset.targets.numpy()
    chosen = np.sort(np.concatenate([np.flatnonzero(labels == k)[:count] for k in range(10)]))
    return images[chosen], labels[chosen].astype(np.uint8)


def main(root: str) -> None:
    mnist = import_torchvision_datasets().MNIST
    x_train, y_train = first_of_each_class(mnist(root, train=True), 500)
    x_test, y_test = first_of_each_class(mnist(root, train=False), 100)
    path = Path(assets.__file__).parent / SUBSET
    np.savez_compressed(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    print(path, path.stat().st_size)


if __name__ == "__main__":
    main(sys.argv[1])
