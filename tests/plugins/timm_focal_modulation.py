from timm.models.focalnet import FocalModulation as Layer

from attnbench import Mechanism

build = lambda g: Layer(g.dim, focal_window=3, focal_level=3)  # noqa: E731
layer = Mechanism("timm-focal-modulation", "Focal Modulation (timm)", build, layout="channels first")
