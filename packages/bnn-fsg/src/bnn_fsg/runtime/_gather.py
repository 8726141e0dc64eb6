"""What lies under a convolution's kernel, for the inner loops: where its words lie, or numbers and bits collected.

Arguments as in `_kernels.py`.
"""

from __future__ import annotations

import numpy as np

from bnn_fsg.runtime._compiled import compiled
from bnn_fsg.runtime._tiles import BLOCK, FLOAT_BLOCK
from bnn_fsg.runtime._vectors import add_bits


@compiled
def aligned(count):
    """`count` float32 that begin where a line of the cache does."""
    made = np.empty(count + 16, np.float32)
    first = -made.ctypes.data % 64 // 4
    return made[first : first + count]


@compiled
def _bits_at(row, at, count):
    """`count` <= 64 bits of a row of words, from bit `at`."""
    low = at >> 6
    shift = np.uint64(at & 63)
    bits = row[low] >> shift
    if (at & 63) + count > 64:
        bits |= row[low + 1] << (np.uint64(64) - shift)
    return bits if count == 64 else bits & ((np.uint64(1) << np.uint64(count)) - np.uint64(1))


@compiled
def _spread(left, stride, width, count):
    """(first, last + 1) of `count` pixels, `stride` apart from `left`, that lie inside a row of `width`."""
    if stride == 1:  # most are, and divisions take longer than the copies
        last = max(min(count, width - left), 0)
        return min(max(-left, 0), last), last
    first = 0 if left >= 0 else (stride - 1 - left) // stride
    last = (width - left + stride - 1) // stride if left < width else 0
    last = min(count, last)
    return min(first, last), last


@compiled
def border_classes(place, columns, first, count, classes, insides):
    """Class at the border of `count` output pixels from `first`, of `columns` classes in a row, into classes (BLOCK,);
    and how many steps of the kernel are inside the picture, into insides (BLOCK,)."""
    _, down, across = place
    out_h, out_w = len(down), len(across)
    row, column = first // out_w % out_h, first % out_w
    for index in range(count):
        classes[index] = down[row, 2] * columns + across[column, 2]
        insides[index] = (down[row, 1] - down[row, 0]) * (across[column, 1] - across[column, 0])
        column += 1
        if column == out_w:
            column = 0
            row = row + 1 if row + 1 < out_h else 0


@compiled
def begins_of_pixels(x, place, word, first, count, begins):
    """Where in x (n, h, w, words), padded, the words under the kernel begin for `count` output pixels from `first`."""
    out_h, out_w, stride_h, stride_w = place.shape[0], place.shape[1], place.shape[4], place.shape[5]
    down, right = stride_h * x.shape[2] * x.shape[3], stride_w * x.shape[3]
    picture, row, column = first // out_w // out_h, first // out_w % out_h, first % out_w
    left = picture * x.shape[1] * x.shape[2] * x.shape[3] + row * down + word
    for index in range(count):
        begins[index] = left + column * right
        column += 1
        if column == out_w:
            column, row, left = 0, row + 1, left + down
            if row == out_h:
                row, picture = 0, picture + 1
                left = picture * x.shape[1] * x.shape[2] * x.shape[3] + word


@compiled
def steps_of_kernel(x, place, steps_at):
    """Where each step's word lies from where those of a pixel begin: steps_at (taps words,)."""
    kernel_h, kernel_w, dilation_h, dilation_w = place.shape[2], place.shape[3], place.shape[8], place.shape[9]
    words = len(steps_at) // (kernel_h * kernel_w)
    for i in range(kernel_h):
        for j in range(kernel_w):
            for word in range(words):
                at = (i * dilation_h * x.shape[2] + j * dilation_w) * x.shape[3] + word
                steps_at[(i * kernel_w + j) * words + word] = at


@compiled
def begins_of_steps(x, place, first_channel, zeros, first, count, begins):
    """Where in x (n, h, w, channels) the numbers under each step of the kernel begin, for `count` output pixels from
    `first`, into begins (taps, FLOAT_BLOCK); `zeros` outside the picture. What is too much is the last pixel again."""
    shape, down, across = place
    out_h, out_w, kernel_h, kernel_w = shape[0], shape[1], shape[2], shape[3]
    right, further = shape[9] * x.shape[3], shape[8] * x.shape[2] * x.shape[3]
    flat = begins.reshape(-1)
    picture, row, column = first // out_w // out_h, first // out_w % out_h, first % out_w
    for index in range(FLOAT_BLOCK):
        y0, y1, x0, x1 = down[row, 0], down[row, 1], across[column, 0], across[column, 1]
        top, left = row * shape[4] - shape[6], column * shape[5] - shape[7]
        start = ((picture * x.shape[1] + top) * x.shape[2] + left) * x.shape[3] + first_channel
        for i in range(kernel_h):
            for j in range(kernel_w):
                inside = (i >= y0) & (i < y1) & (j >= x0) & (j < x1)
                at = np.uint64((i * kernel_w + j) * FLOAT_BLOCK + index)
                flat[at] = start + i * further + j * right if inside else zeros
        if index + 1 >= count:
            continue
        column += 1
        if column == out_w:
            column, row = 0, row + 1
            if row == out_h:
                row, picture = 0, picture + 1


@compiled
def gather_numbers(x, place, first_channel, channels, first, count, rows):
    """Numbers under the kernel for `count` output pixels, 0 outside, into rows (..., taps channels)."""
    shape, down, across = place
    out_h, out_w, kernel_w, steps = shape[0], shape[1], shape[3], rows.shape[1]
    flat, flat_rows = x.reshape(-1), rows.reshape(-1)
    together = shape[9] == 1 and x.shape[3] == channels  # a row of the kernel lies in one piece
    picture, row, column = first // out_w // out_h, first // out_w % out_h, first % out_w - 1
    for index in range(count):
        column += 1  # counted, since divisions took longer than the copies
        if column == out_w:
            column, row = 0, row + 1
            if row == out_h:
                row, picture = 0, picture + 1
        top = row * shape[4] - shape[6]
        left = column * shape[5] - shape[7]
        y0, y1, x0, x1 = down[row, 0], down[row, 1], across[column, 0], across[column, 1]
        if y1 - y0 < shape[2] or x1 - x0 < kernel_w:
            for step in range(steps):
                flat_rows[np.uint64(index * steps + step)] = 0
        for i in range(y0, y1):
            source = ((picture * x.shape[1] + top + i * shape[8]) * x.shape[2] + left) * x.shape[3] + first_channel
            target = index * steps + i * kernel_w * channels
            if together:
                for at in range(x0 * channels, x1 * channels):
                    flat_rows[np.uint64(target + at)] = flat[np.uint64(source + at)]
                continue
            for j in range(x0, x1):
                for channel in range(channels):
                    at = np.uint64(source + j * shape[9] * x.shape[3] + channel)
                    flat_rows[np.uint64(target + j * channels + channel)] = flat[at]


@compiled
def gather_bits(x, place, first_channel, channels, pixel, count, rows):
    """Bits under the kernel for `count` output pixels, tight, -1 (0) outside the picture, into rows (words, BLOCK)."""
    shape, down = place.shape, place.down
    out_h, out_w, kernel_w, stride = shape[0], shape[1], shape[3], shape[5]
    for word in range(rows.shape[0]):
        for index in range(count):
            rows[word, index] = np.uint64(0)
    flat, flat_rows = x.reshape(-1), rows.reshape(-1)
    words = (channels + 63) >> 6
    done = 0
    while done < count:  # one run of pixels in a row of the output after the other
        row, column = (pixel + done) // out_w, (pixel + done) % out_w
        run = min(count - done, out_w - column)
        picture, row = row // out_h, row % out_h
        for i in range(down[row, 0], down[row, 1]):
            y = row * shape[4] - shape[6] + i * shape[8]
            for j in range(kernel_w):
                left = column * stride - shape[7] + j * shape[9]
                low, high = _spread(left, stride, x.shape[2], run)
                tap = i * kernel_w + j
                if x.shape[3] == 1:
                    at = tap * channels
                    shift, keep = np.uint64(at & 63), ~np.uint64(0) >> np.uint64(64 - channels)
                    skip, rest = np.uint64(first_channel), np.uint64(64 - (at & 63))
                    source = (picture * x.shape[1] + y) * x.shape[2] + left
                    target = (at >> 6) * BLOCK + done
                    over = (at & 63) + channels > 64
                    none, done_to = np.uint64(0), low
                    while stride == 1 and high - low >= 8 and done_to < high:
                        here = min(done_to, high - 8)  # the last ones once more, where fewer are left
                        add_bits(flat_rows, target + here, flat, source + here, skip, keep, shift, none)
                        if over:
                            add_bits(flat_rows, target + BLOCK + here, flat, source + here, skip, keep, none, rest)
                        done_to = here + 8
                    for index in range(done_to, high):  # unsigned places: numba need not ask whether they are negative
                        bits = (flat[np.uint64(source + index * stride)] >> skip) & keep
                        flat_rows[np.uint64(target + index)] |= bits << shift
                        if over:
                            flat_rows[np.uint64(target + BLOCK + index)] |= bits >> rest
                else:
                    for index in range(low, high):
                        for word in range(words):
                            few = min(64, channels - 64 * word)
                            bits = _bits_at(x[picture, y, left + index * stride], first_channel + 64 * word, few)
                            at = tap * channels + 64 * word
                            rows[at >> 6, done + index] |= bits << np.uint64(at & 63)
                            if (at & 63) + few > 64:
                                rows[(at >> 6) + 1, done + index] |= bits >> np.uint64(64 - (at & 63))
        done += run
