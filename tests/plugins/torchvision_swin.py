from torchvision.models.swin_transformer import ShiftedWindowAttention as Layer

from attnbench import Mechanism

build = lambda g: Layer(g.dim, [7, 7], [3, 3], g.heads)  # noqa: E731
layer = Mechanism("torchvision-swin", "Shifted Window (torchvision)", build, layout="channels last")
