"""Results of calls for numpy and pandas (`pip install ballast-client[data]`)."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Iterable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd


def stack_images(pngs: Iterable[bytes]) -> "npt.NDArray[np.uint8]":
    """PNG files of one size as an array [n, height, width, channels], 0 to 255; channels are 1 (grey) or 3 (RGB)."""
    import numpy as np
    from PIL import Image

    arrays = [np.asarray(Image.open(io.BytesIO(png))) for png in pngs]
    if not arrays:
        return np.zeros((0, 0, 0, 3), np.uint8)
    stacked = np.stack(arrays).astype(np.uint8)
    return stacked[..., None] if stacked.ndim == 3 else stacked


def predictions_frame(csv: bytes) -> "pd.DataFrame":
    """The CSV as a frame: one row per image, with its label and the probability of each class."""
    import pandas as pd

    return pd.read_csv(io.BytesIO(csv))
