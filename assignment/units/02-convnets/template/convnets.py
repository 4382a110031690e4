"""ConvNets and pooling. Fill in the functions; keep their names and the order of their arguments.

NumPy is all you need. `grade check` tells you how far you are.
"""

import numpy as np

# --- arithmetic ------------------------------------------------------------------------------


def output_size(size, kernel, stride, padding):
    """How many values a convolution gives along one side.

    Args:
        size: Of the input along this side.
        kernel: Of the filter along this side.
        stride: By how much the filter moves on.
        padding: Zeros that are added at each of the two ends.
    """
    raise NotImplementedError


def same_padding(kernel):
    """The padding at each end by which a filter of odd size and stride 1 keeps the size."""
    raise NotImplementedError


def convolution_weights(kernel, in_maps, out_maps, bias):
    """How many weights a convolution has.

    Args:
        kernel: Side of the square filters.
        in_maps: Maps that come in; every filter sees all of them.
        out_maps: Filters, each of which gives one map.
        bias: Whether each filter has a bias.
    """
    raise NotImplementedError


def dense_weights(height, width, maps, units):
    """How many weights, biases included, a fully connected layer has behind flattened maps."""
    raise NotImplementedError


def receptive_field(layers):
    """How many pixels of the input along one side one value of the last layer depends on.

    Args:
        layers: An array with a row for each layer, the first layer first: kernel, stride.

    Returns:
        A whole number.
    """
    raise NotImplementedError


# --- by hand ---------------------------------------------------------------------------------


def convolve(image, kernel, stride, padding):
    """One filter over one map, as ConvNets do it: the filter is not flipped.

    Args:
        image: An array (height, width).
        kernel: An array (k, k).
        stride: Both down and to the right.
        padding: Rows and columns of zeros on each of the four sides.

    Returns:
        An array of floats; a filter that would reach beyond the end is not placed.
    """
    raise NotImplementedError


def convolve_maps(maps, kernels, bias):
    """A whole convolution with stride 1 and no padding.

    Args:
        maps: An array (height, width, in_maps).
        kernels: An array (k, k, in_maps, out_maps), as Keras has it.
        bias: An array (out_maps).

    Returns:
        An array (new height, new width, out_maps).
    """
    raise NotImplementedError


def max_pool(image, size, stride):
    """The largest value of each size × size window of an array (height, width)."""
    raise NotImplementedError


def average_pool(image, size, stride):
    """The mean of each size × size window of an array (height, width)."""
    raise NotImplementedError


def relu(values):
    """The array with 0 in place of everything negative; the argument stays as it is."""
    raise NotImplementedError
