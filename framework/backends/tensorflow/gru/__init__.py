"""The documented GRU as a Keras 3 layer.

:mod:`~framework.backends.tensorflow.gru.layer` is the class; the other modules are what it is made of, one idea each.
"""

from framework.backends.tensorflow.gru.layer import GRU

__all__ = ["GRU"]
