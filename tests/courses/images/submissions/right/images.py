import numpy as np


def crop(picture, corners):
    x1, y1, x2, y2 = corners
    return np.array(picture[y1:y2][:, x1:x2])


def halves(n):
    return int(n / 2)


def invert(image):
    image[...] = 255 - image


def save(where, what):
    with open(where, "wb") as file:
        np.save(file, what)


def first_line(path):
    return open(path).read().splitlines()[0]
