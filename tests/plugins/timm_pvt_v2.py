from timm.models.pvt_v2 import Attention

from attnbench import Mechanism

layer = Mechanism(
    "timm-pvt-v2", "SRA (timm)", lambda g: Attention(g.dim, g.heads, sr_ratio=2), layout="tokens, size"
)
