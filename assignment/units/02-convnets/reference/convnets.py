"""ConvNets and pooling: the solution, and below it the typical mistakes that students are told."""

import numpy as np


def output_size(size, kernel, stride, padding):
    return (size + 2 * padding - kernel) // stride + 1


def same_padding(kernel):
    return (kernel - 1) // 2


def convolution_weights(kernel, in_maps, out_maps, bias):
    return kernel * kernel * in_maps * out_maps + (out_maps if bias else 0)


def dense_weights(height, width, maps, units):
    return (height * width * maps + 1) * units


def receptive_field(layers):
    field, step = 1, 1
    for kernel, stride in layers:
        field += (int(kernel) - 1) * step
        step *= int(stride)
    return field


def convolve(image, kernel, stride, padding):
    padded = np.pad(image, padding)
    return _each_window(padded, kernel.shape, stride, lambda window: (window * kernel).sum())


def convolve_maps(maps, kernels, bias):
    kernel, _, _, out_maps = kernels.shape
    height, width = (size - kernel + 1 for size in maps.shape[:2])
    result = np.zeros((height, width, out_maps))
    for row in range(height):
        for column in range(width):
            window = maps[row : row + kernel, column : column + kernel]
            result[row, column] = np.tensordot(window, kernels, 3) + bias
    return result


def max_pool(image, size, stride):
    return _each_window(image, (size, size), stride, np.max)


def average_pool(image, size, stride):
    return _each_window(image, (size, size), stride, np.mean)


def relu(values):
    return np.maximum(values, 0)


def _each_window(image, size, stride, work):
    rows = range(0, image.shape[0] - size[0] + 1, stride)
    columns = range(0, image.shape[1] - size[1] + 1, stride)
    return np.array(
        [[work(image[r : r + size[0], c : c + size[1]]) for c in columns] for r in rows]
    )


# --- typical mistakes ------------------------------------------------------------------------


def output_without_one(size, kernel, stride, padding):
    return (size + 2 * padding - kernel) // stride


def output_padded_once(size, kernel, stride, padding):
    return (size + padding - kernel) // stride + 1


def output_rounded_up(size, kernel, stride, padding):
    return -((kernel - size - 2 * padding) // stride) + 1


def output_without_stride(size, kernel, stride, padding):
    return size + 2 * padding - kernel + 1


def half_of_kernel(kernel):
    return kernel - 1


def weights_without_bias(kernel, in_maps, out_maps, bias):
    return kernel * kernel * in_maps * out_maps


def weights_of_one_map(kernel, in_maps, out_maps, bias):
    return kernel * kernel * out_maps + (out_maps if bias else 0)


def weights_kernel_once(kernel, in_maps, out_maps, bias):
    return kernel * in_maps * out_maps + (out_maps if bias else 0)


def weights_bias_for_each(kernel, in_maps, out_maps, bias):
    return kernel * kernel * in_maps * out_maps + (in_maps * out_maps if bias else 0)


def dense_without_bias(height, width, maps, units):
    return height * width * maps * units


def field_without_strides(layers):
    return 1 + sum(int(kernel) - 1 for kernel, _ in layers)


def field_as_sum(layers):
    return sum(int(kernel) for kernel, _ in layers)


def convolve_flipped(image, kernel, stride, padding):
    return convolve(image, kernel[::-1, ::-1], stride, padding)


def convolve_without_stride(image, kernel, stride, padding):
    return convolve(image, kernel, 1, padding)


def convolve_without_padding(image, kernel, stride, padding):
    return convolve(image, kernel, stride, 0)


def convolve_turned(image, kernel, stride, padding):
    return convolve(image, kernel.T, stride, padding)


def maps_without_bias(maps, kernels, bias):
    return convolve_maps(maps, kernels, 0 * bias)


def maps_flipped(maps, kernels, bias):
    return convolve_maps(maps, kernels[::-1, ::-1], bias)


def pool_without_stride(image, size, stride):
    return max_pool(image, size, 1)


def pool_side_by_side(image, size, stride):
    return max_pool(image, size, size)


def pool_minimum(image, size, stride):
    return _each_window(image, (size, size), stride, np.min)


def pool_sum(image, size, stride):
    return _each_window(image, (size, size), stride, np.sum)


def pool_maximum(image, size, stride):
    return max_pool(image, size, stride)


def pool_average(image, size, stride):
    return average_pool(image, size, stride)


def absolute(values):
    return np.abs(values)


def leaky(values):
    return np.where(values > 0, values, 0.01 * values)


def step(values):
    return (values > 0).astype(float)
