"""Trains the network of cnn.py on MNIST and writes its weights. Change it as you like."""

import keras
from cnn import build_model, preprocess

WEIGHTS = "cnn.weights.h5"


def main():
    """Train, measure on the test images, write the weights."""
    keras.utils.set_random_seed(0)
    (images, labels), (test_images, test_labels) = keras.datasets.mnist.load_data()
    model = build_model()
    model.summary()
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(preprocess(images[..., None]), labels, batch_size=128, epochs=3)
    _, accuracy = model.evaluate(preprocess(test_images[..., None]), test_labels, verbose=0)
    model.save_weights(WEIGHTS)
    print(f"{accuracy:.2%} on the test images; the weights are in {WEIGHTS}")


if __name__ == "__main__":
    main()
