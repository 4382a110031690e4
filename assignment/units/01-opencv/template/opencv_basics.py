"""Basics of OpenCV. Fill in the functions; keep their names and the order of their arguments.

An image is a NumPy array of shape (height, width, 3) and dtype uint8, its channels in the order
blue, green, red, as cv2.imread gives it. `grade check` tells you how far you are.
"""

import cv2


def read_image(path):
    """The image in a file.

    Args:
        path: Of an image file.

    Returns:
        The image as OpenCV reads it.

    Raises:
        FileNotFoundError: There is no such file. (What does cv2.imread do then?)
    """
    raise NotImplementedError


def size_of(image):
    """The width and the height of an image, in this order, as two whole numbers."""
    raise NotImplementedError


def bgr_to_rgb(image):
    """The image with its channels in the order red, green, blue, as matplotlib wants it."""
    raise NotImplementedError


def to_grey(image):
    """The image in grey: an array of two axes. Green counts more than red, and red more than
    blue, as OpenCV weighs them."""
    raise NotImplementedError


def resize(image, width, height):
    """The whole image in another size, with OpenCV's default interpolation."""
    raise NotImplementedError


def crop(image, box):
    """A part of an image.

    Args:
        image: It stays as it is, whatever is done to the part later.
        box: (left, top, right, bottom) in pixels; right and bottom are the first column and row
            that do not belong to it.

    Returns:
        The part, as an array of its own.
    """
    raise NotImplementedError


def draw_box(image, box, colour, thickness):
    """A bounding box on a copy of an image.

    Args:
        image: It stays as it is.
        box: (left, top, right, bottom): two opposite corners, as cv2.rectangle takes them.
        colour: Three numbers from 0 to 255 in the order of the image's channels.
        thickness: Of the line, in pixels.

    Returns:
        The copy with the box.
    """
    raise NotImplementedError


def save_image(path, image):
    """Write an image to a file, so that read_image gives it back."""
    raise NotImplementedError
