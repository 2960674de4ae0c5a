"""Plain transcriptions: each mechanism's formula in eager PyTorch, as people publish it.

They are what attnbench's layers are timed against, with the same weights:
`attnbench run msa plain-msa --plugin tests/plain`. Submodules carry the names of `mechanisms`.
"""
