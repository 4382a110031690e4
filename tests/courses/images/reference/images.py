"""The course's own solution, and one typical mistake."""

import numpy as np


def crop(image, box):
    left, top, right, bottom = box
    return image[top:bottom, left:right].copy()


def halves(size):
    return size // 2


def rounded_up(size):
    return (size + 1) // 2


def invert(image):
    np.subtract(255, image, out=image)


def save(path, values):
    np.save(path, values)


def first_line(path):
    with open(path, encoding="utf-8") as file:
        return file.readline()
