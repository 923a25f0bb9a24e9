"""An exported network in the place of a torch one, so that tasks measure what pipelines will run."""

import numpy as np
import torch
from torch import nn

from models.bundle import Bundle
from models.runtime import Network


class OnnxNetwork(nn.Module):
    """A bundle's network as a torch module: same inputs by position, same outputs, run by the inference runtime.

    Args:
        inputs: the names of the network's inputs, in forward()'s order.
    """

    def __init__(self, bundle: Bundle, inputs: list[str]):
        super().__init__()
        self._inputs = inputs
        self._network = Network(bundle)

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        arrays = {
            name: np.ascontiguousarray(tensor.cpu().numpy()) for name, tensor in zip(self._inputs, tensors, strict=True)
        }
        outputs = tuple(torch.from_numpy(array) for array in self._network(arrays).values())
        return outputs[0] if len(outputs) == 1 else outputs
