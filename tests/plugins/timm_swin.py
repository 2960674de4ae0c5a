from timm.models.swin_transformer import WindowAttention

from attnbench import Mechanism

layer = Mechanism(
    "timm-swin", "Window (timm)", lambda g: WindowAttention(g.dim, g.heads, window_size=(g.height, g.width))
)
