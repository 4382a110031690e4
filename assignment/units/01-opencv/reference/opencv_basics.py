"""Basics of OpenCV: the solution, and below it the typical mistakes that students are told of."""

import os

import cv2


def read_image(path):
    image = cv2.imread(path)
    if image is None:
        raise FileNotFoundError(path)
    return image


def size_of(image):
    height, width = image.shape[:2]
    return width, height


def bgr_to_rgb(image):
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def to_grey(image):
    return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)


def resize(image, width, height):
    return cv2.resize(image, (width, height))


def crop(image, box):
    left, top, right, bottom = box
    return image[top:bottom, left:right].copy()


def draw_box(image, box, colour, thickness):
    left, top, right, bottom = box
    return cv2.rectangle(image.copy(), (left, top), (right, bottom), tuple(colour), thickness)


def save_image(path, image):
    if not cv2.imwrite(path, image):
        raise OSError(path)


# --- typical mistakes ------------------------------------------------------------------------


def read_as_rgb(path):
    return bgr_to_rgb(read_image(path))


def read_as_grey(path):
    return cv2.imread(path, cv2.IMREAD_GRAYSCALE)


def height_first(image):
    return image.shape[0], image.shape[1]


def grey_of_rgb(image):
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def grey_as_mean(image):
    return image.mean(axis=2).round().astype("uint8")


def resize_height_first(image, width, height):
    return cv2.resize(image, (height, width))


def resize_nearest(image, width, height):
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_NEAREST)


def crop_columns_first(image, box):
    left, top, right, bottom = box
    return image[left:right, top:bottom].copy()


def crop_by_size(image, box):
    left, top, width, height = box
    return image[top : top + height, left : left + width].copy()


def box_filled(image, box, colour, thickness):
    return draw_box(image, box, colour, -1)


def box_one_thick(image, box, colour, thickness):
    return draw_box(image, box, colour, 1)


def box_of_rgb(image, box, colour, thickness):
    return draw_box(image, box, colour[::-1], thickness)


def save_as_rgb(path, image):
    save_image(path, bgr_to_rgb(image))


def save_beside(path, image):
    save_image(os.path.basename(path), image)
