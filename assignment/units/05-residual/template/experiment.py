"""The experiment of unit 5: train four networks, write degradation.csv.

    python experiment.py

Nobody runs this file but you. What is graded is the table that it writes.
"""

import csv

import keras
from residual import plain_network, residual_network

EPOCHS = 8
IMAGES = 2000
"""Of the training set, and as many of the test set; more take longer and tell more."""
BATCH = 32
"""Small, so that there are some hundred steps: before these, the averages of a batch normalisation
are not those of the data, and a network that is evaluated does worse than it has learnt."""
COLUMNS = ("kind", "depth", "epoch", "train_error", "test_error")


def data():
    """CIFAR-10 from Keras's download (170 MB, once): images from 0 to 1 and their classes."""
    (x, y), (x_test, y_test) = keras.datasets.cifar10.load_data()
    train = x[:IMAGES].astype("float32") / 255, y[:IMAGES]
    return train, (x_test[:IMAGES].astype("float32") / 255, y_test[:IMAGES])


def train(model, images, test_images):
    """Train a network, and return one pair for each epoch: its training error and its test error.

    The error is 1 − accuracy. Take care that both are measured on the network as it is at the end
    of the epoch: `model.evaluate(*images)` does it, while the accuracy that `fit` shows is a mean
    over the epoch, during which the network changed.
    """
    raise NotImplementedError("train")


def main():
    """Write one row for each network and epoch."""
    images, test_images = data()
    with open("degradation.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        for kind, build in (("plain", plain_network), ("residual", residual_network)):
            for depth in (20, 32):
                keras.utils.set_random_seed(1)
                errors = train(build(depth), images, test_images)
                for epoch, (train_error, test_error) in enumerate(errors, start=1):
                    rows.writerow((kind, depth, epoch, f"{train_error:.4f}", f"{test_error:.4f}"))
                file.flush()


if __name__ == "__main__":
    main()
