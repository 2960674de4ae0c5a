from timm.layers import Attention

from attnbench import Mechanism

layer = Mechanism(
    "timm-attention", "Attention (timm)", lambda g: Attention(g.dim, num_heads=g.heads, qkv_bias=True)
)
