# SPDX-License-Identifier: Apache-2.0
"""The picture and the sound that the test publisher sends, and how to read them back.

The top strip of a frame holds CELLS squares: white, black, then the frame number, most significant
bit first, two bits of checksum. It is read as fractions of the width, so that scaling does not
matter. A beep of BEEP_S starts with every frame whose number is a multiple of the frame rate."""

import numpy

CELLS = 20
NUMBER_BITS = CELLS - 4
RATE_HZ = 48000
BEEP_HZ = 1000
BEEP_S = 0.05


def bits_of(number):
    number %= 1 << NUMBER_BITS
    bits = [number >> i & 1 for i in reversed(range(NUMBER_BITS))]
    check = sum(bits) & 3
    return [1, 0] + bits + [check >> 1, check & 1]


def number_of(cells):
    """The number in a row of CELLS brightnesses, None when the row is not whole."""
    high, low = int(cells[0]), int(cells[1])
    if high - low < 60:
        return None
    bits = [int(int(cell) > (high + low) / 2) for cell in cells]
    number = int("".join(map(str, bits[2:2 + NUMBER_BITS])), 2)
    return number if bits == bits_of(number) else None


class Picture:
    """Draws I420 frames: the strip above a moving gradient."""

    def __init__(self, width, height):
        self.width, self.height = width, height
        self.cell = width // CELLS
        row = numpy.arange(width + 512, dtype=numpy.uint16) // 4 % 200 + 20
        self.ramp = row.astype(numpy.uint8)
        self.chroma = numpy.full(width * height // 2, 128, numpy.uint8)

    def draw(self, number):
        shift = number * 4 % 512
        luma = numpy.empty((self.height, self.width), numpy.uint8)
        luma[:] = self.ramp[shift:shift + self.width]
        strip = numpy.repeat(numpy.array(bits_of(number), numpy.uint8) * 200 + 20, self.cell)
        luma[:self.cell, :strip.size] = strip
        return numpy.concatenate([luma.ravel(), self.chroma]).tobytes()


def sound(first_sample, count):
    """Mono 16-bit samples: a beep at the start of each second."""
    at = numpy.arange(first_sample, first_sample + count)
    within = at % RATE_HZ
    tone = numpy.sin(2 * numpy.pi * BEEP_HZ * within / RATE_HZ) * 12000
    return numpy.where(within < BEEP_S * RATE_HZ, tone, 0).astype(numpy.int16)
