"""Pictures of a tile's size as JPEG, WebP or PNG, in memory."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray

QUALITY = 80
"""Of JPEG and WebP where nothing else is asked for."""

_WEBP_EFFORT = 2
"""Of 0…6: beyond it WebP gains a few percent and takes twice as long."""


def encoded(colors: NDArray[np.uint8], form: str, quality: int = QUALITY) -> bytes:
    """Colours (1 or 3 bands and validity, H, W) as `png`, `webp` or `jpeg`; validity is alpha unless all is 255.

    JPEG has no alpha: what has no data is white. The same pixels give the same bytes.
    """
    from PIL import Image

    bands, alpha = colors[:-1], colors[-1]
    opaque = bool((alpha == 255).all())
    if form == "jpeg" and not opaque:
        share = alpha.astype(np.uint16)
        bands = ((bands * share + 255 * (255 - share) + 127) // 255).astype(np.uint8)
    if form == "jpeg" or opaque:
        planes, mode = bands, "L" if len(bands) == 1 else "RGB"
    else:
        planes, mode = colors, "LA" if len(bands) == 1 else "RGBA"
    pixels = np.ascontiguousarray(planes.transpose(1, 2, 0))
    image = Image.frombuffer(mode, pixels.shape[1::-1], pixels.tobytes(), "raw", mode, 0, 1)
    if form == "webp" and mode in ("L", "LA"):
        image = image.convert("RGB" if mode == "L" else "RGBA")
    out = BytesIO()
    if form == "webp":
        image.save(out, "WEBP", quality=quality, method=_WEBP_EFFORT)
    elif form == "jpeg":
        image.save(out, "JPEG", quality=quality)
    else:
        image.save(out, "PNG", compress_level=6)
    return out.getvalue()


def lossless_webp(pixels: NDArray[np.uint8]) -> bytes:
    """Colours (H, W, 4) as a WebP that keeps every one of them."""
    from PIL import Image

    out = BytesIO()
    Image.fromarray(pixels, "RGBA").save(out, "WEBP", lossless=True, exact=True, quality=0, method=0)
    return out.getvalue()
