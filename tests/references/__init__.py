"""Slow references, one file a mechanism: the formula as loops, for float64, differentiable by autograd.

`reference(layer, x, geometry, **settings)` takes the weights from `layer` by name and computes its output
from the paper's mathematics alone. It shares no code with `mechanisms`. `layer` is typed `Any`: it is any
module with weights of those names, and `nn.Module` would type each of them `Tensor | Module`.
"""
