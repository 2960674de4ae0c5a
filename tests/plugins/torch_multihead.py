from torch.nn import MultiheadAttention as Layer

from attnbench import Mechanism

build = lambda g: Layer(g.dim, g.heads, batch_first=True)  # noqa: E731
layer = Mechanism("torch-multihead", "Multihead (torch)", build, layout="query, key, value", output=0)
