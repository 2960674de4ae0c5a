"""The built-in backbones: models whose slots take any mechanism.

Files with a leading underscore hold what several models share.
"""

from mechanisms.backbones.lit import litv1_b, litv1_m, litv1_s, litv2_b, litv2_m, litv2_s
from mechanisms.backbones.swin import swin_t
from mechanisms.backbones.vit import vit_b16

__all__ = ["litv1_b", "litv1_m", "litv1_s", "litv2_b", "litv2_m", "litv2_s", "swin_t", "vit_b16"]
