"""When an accuracy counts, and how sure it is; pure arithmetic, for engine and scoring alike."""

from __future__ import annotations

import math

Z_95 = 1.959963984540054
"""The standard normal's 97.5% point, for two-sided 95% intervals."""


def wilson_interval(correct: int, images: int, z: float = Z_95) -> tuple[float, float]:
    """The Wilson score interval of a share.

    Unlike the normal approximation it stays inside 0..1 and holds near its ends.

    Args:
        correct: Images classified correctly.
        images: Images in all, more than 0.
        z: Normal quantile of the two-sided level.

    Returns:
        Lower and upper end, as fractions.

    Raises:
        ValueError: Not 0 <= correct <= images, or no images.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference",
        JASA 22 (1927).
    """
    if not 0 <= correct <= images or images == 0:
        raise ValueError(f"expected 0 <= correct <= images. Received: {correct} of {images}")
    share = correct / images
    scale = 1 + z * z / images
    centre = (share + z * z / (2 * images)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / images + z * z / (4 * images * images))
    # At 0 and 1 the ends are exact; rounding would leave them an ulp away.
    lower = 0.0 if correct == 0 else centre - half
    upper = 1.0 if correct == images else centre + half
    return lower, upper


def is_met(
    accuracy: float,
    threshold: float,
    wall_time_s: float,
    time_budget_s: float,
    mode: str = "weights",
) -> bool:
    """The rule itself: strictly above the threshold, in time; false for any NaN."""
    return accuracy > threshold and is_in_time(wall_time_s, time_budget_s, mode)


def is_in_time(seconds: float, time_budget_s: float, mode: str = "weights") -> bool:
    """Whether an accuracy counts for its time; false for a NaN.

    Retraining is ended by our own clock, to half a step of its budget, so it is never late.
    """
    return mode == "retrain" or seconds <= time_budget_s
