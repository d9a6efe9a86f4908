"""What kind of graph is being made, if any."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def current_graph() -> Any:
    """The graph that operations go into now; None where they run at once."""
    return None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()


def in_xla() -> bool:
    """Whether a graph for XLA (``jit_compile=True``) is being made."""
    try:
        from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext
    except ImportError:  # not a public name
        return False
    graph = current_graph()
    return graph is not None and bool(GraphOrParentsInXlaContext(graph))
