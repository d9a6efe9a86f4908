"""From a validated model to a plan: order, wiring, shapes, costs, cuDNN verdicts. Knows no backend."""
