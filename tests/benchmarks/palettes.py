"""Other ways to give a photograph the palette of another, fitted to pixels: `(source, target)`.

Each returns a function of colours `(n, 3)`. Those that compare whole pictures see the pixels that
they are fitted to beside those that they move.
"""

import numpy as np
import ot
from scipy.stats import ortho_group
from skimage.exposure import match_histograms

from multisi.metrics import gaussian_map

FEW, SOME = 2000, 20_000


def deviation(source, target):
    """The mean and the standard deviation of each channel."""
    scale = target.std(0) / source.std(0)
    return lambda x: (x - source.mean(0)) * scale + target.mean(0)


def monge(source, target):
    """The linear Monge map."""
    return lambda x: gaussian_map(source, target)(x).numpy()


def discrete(source, target):
    """Optimal transport of a few pixels; others move as the nearest of them."""
    plan = ot.da.EMDTransport().fit(Xs=source[:FEW], Xt=target[:FEW])
    return lambda x: plan.transform(Xs=x)


def whole(match):
    """A function of two pictures as one of colours."""

    def fit(source, target):
        return lambda x: match(np.concatenate([source, x])[:, None], target[:, None])[-len(x) :, 0]

    return fit


def sliced(bases, rounds):
    """Quantiles along the axes of random bases, all of a round at once, round after round."""
    levels = np.linspace(0, 1, 2001)
    turns = ortho_group.rvs(3, size=rounds * bases, random_state=0).reshape(rounds, bases, 3, 3)

    def curves(turn, x, y):
        return [
            [np.quantile(a, levels) for a in axis]
            for axis in zip((x @ turn).T, (y @ turn).T, strict=True)
        ]

    def moved(x, round):
        for turn, axes in round:
            along = x @ turn
            to = np.stack([np.interp(a, *axis) for a, axis in zip(along.T, axes, strict=True)], 1)
            yield (to - along) @ turn.T

    def fit(source, target):
        x, y, fitted = source[:SOME], target[:SOME], []
        for some in turns:
            fitted.append([(turn, curves(turn, x, y)) for turn in some])
            x = x + np.mean(list(moved(x, fitted[-1])), 0)

        def transport(x):
            for round in fitted:
                x = x + np.mean(list(moved(x, round)), 0)
            return x

        return transport

    return fit


BASELINES = {
    "mean and deviation": deviation,
    "linear Monge map": monge,
    "histogram of each channel": whole(lambda a, b: match_histograms(a, b, channel_axis=2)),
    "iterated distribution transfer": sliced(1, 20),
    "sliced optimal transport": sliced(8, 15),
    "discrete optimal transport": discrete,
}

try:
    from color_matcher import ColorMatcher
except ImportError:  # Then it is left out.
    pass
else:
    BASELINES |= {
        f"color-matcher, {method}": whole(
            lambda a, b, method=method: ColorMatcher().transfer(src=a, ref=b, method=method)
        )
        for method in ("mkl", "hm-mkl-hm")
    }
