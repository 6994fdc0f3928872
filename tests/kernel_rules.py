"""Rules that ask of a kernel what no shipped rule does; a file for `--rules`."""

from accelsim.elementary import cos, exp, first, log, maximum, minimum, sign, sqrt, total, where
from accelsim.rule import optimizer, real, step_size, switch


@optimizer(
    positions="w x y",
    memories=dict(m=0, fixed=-0.5, given=1, counted=0, idle=3),
    returns="w",
    lr=step_size(0.01),
)
def unusual(s, t, h):
    """States that trade places, are passed on, are one number or the step's; every choice, no total.

    Where there is no coordinate, in what pads a tile, it is 0 / 0.
    """
    g = yield where(first(t), s.w, s.w - h.lr * s.m)
    m = where(first(t), g, 0.75 * s.m + 0.25 * g)
    cut = minimum(maximum(g, -0.5), s.given / 2) - maximum(0, -m)
    long = sqrt(abs(cut)) + (1 + m**2) ** -1 + (1 + abs(g)) ** 0.5 - s.fixed * s.counted
    return dict(
        w=s.x - h.lr * sign(cut) * long,
        x=s.w - h.lr * g / abs(g),
        y=s.y,
        m=m,
        fixed=0.5,
        given=s.idle,
        counted=2.0**-t,
        idle=1,
    )


@optimizer(positions="w v", memories="m n", returns="w", lr=step_size(0.01), p=real(0.75))
def coupled(s, t, h):
    """Totals of vectors that totals scale, and functions of them and of vectors."""
    g = yield s.w
    u = g / (0.1 + sqrt(total(g * g)))
    v = s.v - h.lr * total(s.v * u) * u
    z = v * total(v * g) / (1 + total(v * v) + total(total(v * u) * g) ** 2)
    bent = (1 + abs(g)) ** -h.p + exp(-g * g) * cos(s.m) * log(1 + u**4)
    n = sqrt(total(abs(z)) + total(s.n) / 1024)
    return dict(w=s.w - h.lr * (z + u + bent), v=v + h.lr * bent, m=0.9 * s.m + u, n=n)


@optimizer(positions="w", returns="w", lr=step_size(0.01))
def extragradient(s, t, h):
    """Two queries a step, each on a sample of its own."""
    ahead = s.w - h.lr * (yield s.w)
    return dict(w=s.w - h.lr * (yield ahead))


@optimizer(positions="w", memories="last", returns="w", lr=step_size(0.01))
def intertwined(s, t, h):
    """Pairs of queries on one sample, one of them at a number; the later pair where a clipped gradient leads."""
    a, b = yield s.w, 0.25
    c = a + (a - s.last) / 4
    c = c / maximum(1, sqrt(total(c * c)))
    d, e = yield s.w - h.lr * c, s.w * 0.5 + b / (1 + total(b * c) ** 2)
    norm = sqrt(total(d * d)) + abs(total(c * e))
    return dict(w=s.w - h.lr * (c + d / maximum(1, norm) - e * total(a * d) / (1 + total(e * e)) / 4), last=a)


@optimizer(positions="w slow", memories="m", returns="slow", lr=step_size(0.01), warm=switch(3))
def timed(s, t, h):
    """Conditions on the step."""
    g = yield where(t % 4 == 1, s.slow, s.w)
    m = where(t < h.warm, g, where(t % 5 != 0, 0.75, 0) * s.m + g)
    w = s.w - h.lr * (1 - (t % 8) / 16) * m
    return dict(w=where(t >= 4, w, s.w - h.lr * g), slow=where(t > 2, (s.slow + w) / 2, w), m=m)


@optimizer(positions="w", returns="w")
def bare(s, t, h):
    """No number comes with a step."""
    g = yield s.w
    return dict(w=s.w - g)


@optimizer(positions="w", returns="w", lr=step_size(0.01))
def littered(s, t, h):
    """More numbers come with a step than a processor has bits."""
    g = yield s.w
    return dict(w=s.w - h.lr * sum(((0.5 + k / 128) * g for k in range(1, 70)), 0 * g))
