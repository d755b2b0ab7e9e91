"""The codebook formats once more, in numpy: what a block's bytes mean. Independent of the C code but for the codebooks.

Every decoder takes blocks (n, bytes) and returns (d, scale, value): weight i of a block is
d * scale[i // 16] * FACTOR * value[i], with integer scale (n, 16) and value (n, 256).
"""

import numpy as np

FACTOR = {"iq1_s": 0.125, "iq1_m": 0.125, "iq2_xxs": 0.125, "iq2_xs": 0.125, "iq2_s": 0.125, "iq3_xxs": 0.25,
          "iq3_s": 1.0, "iq4_xs": 1.0}
CURVE = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113])

# name of a codebook: (points, width, SHA-256 of the points as int8), from the tensor format notes
CODEBOOKS = {
    "iq2_xxs": (256, 8, "05826b5d3e472a3a78f196be62ac78acf81df0f909626e12ab9fa2a5d490dd54"),
    "iq2_xs": (512, 8, "06e47aaca60b4dc1d9b5a3f34540437058a6b142b4d7a59d5ded769b4d1bf1de"),
    "iq2_s": (1024, 8, "e1aa1473412b0552c2174c30ef22ab4073f6a181b85a17056e8249bd2932fd88"),
    "iq3_xxs": (256, 4, "46e35f5a997efdee6c99ce57854c8a0d4f0ff8ca57e5e8a60c0793ea580acf5d"),
    "iq3_s": (512, 4, "bd1af4945a1717c65610b0284e4628b9a1ba3b306fae3a06f6e5f597356e349f"),
    "iq1_s": (2048, 8, "07540ffc1aeaf6ad4d97e96b0fcc765aae39671d4ae4a27bbd0e796fde167c6a"),
}


def bits(values, shift, width):
    """Fields of `width` bits at each shift, along a new last axis."""
    return (values[..., None].astype(np.uint32) >> np.asarray(shift, np.uint32)) & ((1 << width) - 1)


def halves(b, at):
    """The f16 at a byte."""
    return b[:, at:at + 2].copy().view(np.float16)[:, 0].astype(np.float64)


def words(b, at, count, dtype):
    """`count` little-endian integers from a byte on."""
    return b[:, at:at + count * np.dtype(dtype).itemsize].copy().view(dtype)


def nibbles(b):
    """Low nibble, high nibble of each byte."""
    return bits(b, [0, 4], 4).reshape(len(b), -1)


def odd(codes):
    return 2 * codes.astype(np.int64) + 1


def negate(values, signs):
    """signs (n, 32): bit k of byte g negates value 8 g + k."""
    return np.where(bits(signs, range(8), 1).reshape(len(values), 256) == 1, -values, values)


def even(codes):
    """7 bits of signs -> 8 of which an even number is set."""
    ones = bits(codes, range(7), 1).sum(-1)
    return codes | (ones & 1) << 7


def iq2_xxs(b, points):
    w = words(b, 2, 16, np.uint32).reshape(-1, 8, 2)
    index, signs = bits(w[..., 0], [0, 8, 16, 24], 8), bits(w[..., 1], [0, 7, 14, 21], 7)
    value = points[index].reshape(-1, 256)
    return halves(b, 0), odd(np.repeat(w[..., 1] >> 28, 2, 1)), negate(value, even(signs).reshape(-1, 32))


def iq2_xs(b, points):
    q = words(b, 2, 32, np.uint16)
    signs = even((q >> 9).astype(np.uint32))
    return halves(b, 0), odd(nibbles(b[:, 66:74])), negate(points[q & 511].reshape(-1, 256), signs)


def iq2_s(b, points):
    index = b[:, 2:34] | bits(b[:, 66:74], [0, 2, 4, 6], 2).reshape(-1, 32) << 8
    return halves(b, 0), odd(nibbles(b[:, 74:82])), negate(points[index].reshape(-1, 256), b[:, 34:66])


def iq3_xxs(b, points):
    w = words(b, 66, 8, np.uint32)
    signs = even(bits(w, [0, 7, 14, 21], 7)).reshape(-1, 32)
    return halves(b, 0), odd(np.repeat(w >> 28, 2, 1)), negate(points[b[:, 2:66]].reshape(-1, 256), signs)


def iq3_s(b, points):
    index = b[:, 2:66] | bits(b[:, 66:74], range(8), 1).reshape(-1, 64) << 8
    value = negate(points[index].reshape(-1, 256), b[:, 74:106])
    return halves(b, 0), odd(np.repeat(nibbles(b[:, 106:110]), 2, 1)), value


def iq1_s(b, points):
    qh = words(b, 34, 8, np.uint16)
    index = b[:, 2:34] | bits(qh, [0, 3, 6, 9], 3).reshape(-1, 32) << 8
    shift = np.repeat(np.where(qh >> 15, -1, 1), 32, 1)
    return halves(b, 0), odd(np.repeat(qh >> 12 & 7, 2, 1)), 8 * points[index].reshape(-1, 256) + shift


def iq1_m(b, points):
    high, s = nibbles(b[:, 32:48]), words(b, 48, 4, np.uint16)
    index = b[:, :32] | (high & 7) << 8
    shift = np.repeat(np.where(high >> 3, -1, 1), 8, 1)
    d = (s >> 12 << np.array([0, 4, 8, 12], np.uint16)).sum(1).astype(np.uint16).view(np.float16).astype(np.float64)
    return d, odd(bits(s, [0, 3, 6, 9], 3).reshape(-1, 16)), 8 * points[index].reshape(-1, 256) + shift


def iq4_xs(b, points):
    low, high = nibbles(b[:, 4:8]), bits(words(b, 2, 1, np.uint16)[:, 0], range(0, 16, 2), 2)
    codes = bits(b[:, 8:].reshape(-1, 8, 16), [0, 4], 4).transpose(0, 1, 3, 2).reshape(-1, 256)
    return halves(b, 0), np.repeat((low | high << 4).astype(np.int64) - 32, 2, 1), CURVE[codes]


DECODERS = {"iq1_s": iq1_s, "iq1_m": iq1_m, "iq2_xxs": iq2_xxs, "iq2_xs": iq2_xs, "iq2_s": iq2_s, "iq3_xxs": iq3_xxs,
            "iq3_s": iq3_s, "iq4_xs": iq4_xs}
