"""Distillation: a full-precision network whose outputs the 1-bit one follows in addition to the labels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from ninefold.errors import InputError
from torch import Tensor, nn


@dataclass(frozen=True)
class Teacher:
    """A trained network to follow (Hinton et al., arXiv 1503.02531; ReActNet, arXiv 2003.03488, with `share` 1).

    The loss is (1 - share) x that of the labels + share x temperature^2 KL(teacher / temperature || student /
    temperature), which keeps gradients of one size at every temperature.

    Attributes:
        model: gives logits (n, classes); it is put in evaluation and learns nothing.
        share: of its part in the loss, in (0, 1].
        temperature: above 0; higher shows more of the classes that are not the best.

    Examples:
        >>> import torch
        >>> from bnn_fsg import Teacher
        >>> from torch import nn

        >>> seed = torch.manual_seed(0)
        >>> teacher = Teacher(nn.Linear(4, 3), share=0.5, temperature=2.0)
        >>> inputs, labels = torch.rand(8, 4), torch.zeros(8, dtype=torch.int64)
        >>> outputs = nn.Linear(4, 3)(inputs)  # of the student
        >>> loss = nn.functional.cross_entropy(outputs, labels)
        >>> teacher.follow(loss, outputs, inputs).shape
        torch.Size([])
    """

    model: nn.Module
    share: float = 0.5
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise InputError("teacher's share", got=self.share, expected="a number above 0 and at most 1")
        if not self.temperature > 0:
            raise InputError("temperature", got=self.temperature, expected="a number above 0")

    def follow(self, loss: Tensor, outputs: Tensor, inputs: Tensor) -> Tensor:
        """The loss with the teacher's part in it; outputs (n, classes) of the student for inputs."""
        self.model.eval()
        with torch.no_grad():
            wanted = self.model(inputs)
        if wanted.shape != outputs.shape:
            got, expected = f"outputs of shape {tuple(wanted.shape)}", f"{tuple(outputs.shape)}, as the student's"
            raise InputError("teacher", got=got, expected=expected)
        logs = [(one / self.temperature).log_softmax(1) for one in (outputs, wanted)]
        apart = nn.functional.kl_div(logs[0], logs[1], reduction="batchmean", log_target=True)
        return (1 - self.share) * loss + self.share * self.temperature**2 * apart
