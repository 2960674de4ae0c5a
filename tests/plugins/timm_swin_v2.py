from timm.models.swin_transformer_v2 import WindowAttention

from attnbench import Mechanism

layer = Mechanism(
    "timm-swin-v2", "Window v2 (timm)", lambda g: WindowAttention(g.dim, (g.height, g.width), g.heads)
)
