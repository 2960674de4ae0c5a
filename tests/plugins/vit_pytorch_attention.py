from vit_pytorch.vit import Attention

from attnbench import Mechanism

layer = Mechanism(
    "vit-pytorch", "Attention (vit-pytorch)", lambda g: Attention(g.dim, heads=g.heads, dim_head=g.head_dim)
)
