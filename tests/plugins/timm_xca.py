from timm.models.xcit import XCA

from attnbench import Mechanism

layer = Mechanism("timm-xca", "XCA (timm)", lambda g: XCA(g.dim, num_heads=g.heads, qkv_bias=True))
