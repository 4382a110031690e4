import numpy as np


def crop(image, box):
    left, top, right, bottom = box
    return image[left:right, top:bottom].copy()


def halves(size):
    return -(-size // 2)


def invert(image):
    return 255 - image


def save(path, values):
    np.save("another.npy", values)


def first_line(path):
    return ""
