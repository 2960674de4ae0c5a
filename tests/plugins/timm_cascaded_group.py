from timm.models.efficientvit_msra import LocalWindowAttention as Layer

from attnbench import Mechanism

build = lambda g: Layer(g.dim, 16, g.heads, g.head_dim // 16, g.height, 7, (7, 5) + (3,) * (g.heads - 2))  # noqa: E731
layer = Mechanism("timm-cascaded-group", "Cascaded Group (timm)", build, layout="channels first, contiguous")
