from linformer import LinformerSelfAttention as Layer

from attnbench import Mechanism

build = lambda g: Layer(g.dim, g.tokens, k=256, heads=g.heads)  # noqa: E731
layer = Mechanism("linformer-package", "Linformer (linformer)", build)
