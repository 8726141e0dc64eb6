"""Adam whose whole state is one array, so that a killed fit resumes bit by bit."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from recsys.neural._parallel import Group


class Trainer:
    """A network with Adam; `state` is float32 (3, parameters): values, first and second moments."""

    def __init__(self, net: nn.Module, learning_rate: float) -> None:
        self.net, self.steps = net, 0
        self.adam = torch.optim.Adam(net.parameters(), lr=learning_rate)

    def state(self) -> np.ndarray:
        """Everything needed to resume, except for the number of steps done."""
        parts = [vector_of(self.net)]
        for name in ("exp_avg", "exp_avg_sq"):
            held = [self.adam.state.get(one, {}).get(name, torch.zeros_like(one)) for one in self.net.parameters()]
            parts.append(np.concatenate([one.detach().cpu().numpy().ravel() for one in held]))
        return np.stack(parts)

    def restore(self, state: np.ndarray, steps: int) -> None:
        """Resume from a state after so many steps."""
        set_vector(self.net, state[0])
        self.steps, start = steps, 0
        for one in self.net.parameters():
            part = slice(start, start + one.numel())
            first, second = (torch.from_numpy(row[part].copy()).view_as(one).to(one.device) for row in state[1:])
            self.adam.state[one] = {"step": torch.tensor(float(steps)), "exp_avg": first, "exp_avg_sq": second}
            start = part.stop

    def epoch(self, losses: Iterable[Callable[[], Tensor]], seed: tuple[int, int], group: Group | None = None) -> float:
        """One step for each loss; torch draws (dropout, noise) from a generator of its own. Returns the mean loss.

        With a group, a loss is what this process's rows add to the batch's; each process draws for itself.
        """
        group = group or Group()
        seeds = (*seed, group.rank) if group.rank else seed
        total, count = 0.0, 0
        self.net.train()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(np.random.SeedSequence(seeds).generate_state(1)[0]))
            for loss in losses:
                self.adam.zero_grad(set_to_none=False)
                value = loss()
                value.backward()
                group.add_gradients(self.net)
                self.adam.step()
                total, count, self.steps = total + float(value.detach()), count + 1, self.steps + 1
        return total / max(count, 1)


def vector_of(net: nn.Module) -> np.ndarray:
    """All parameters in their order, float32 (parameters,)."""
    return parameters_to_vector(net.parameters()).detach().cpu().numpy()


def set_vector(net: nn.Module, vector: np.ndarray) -> None:
    """The inverse of `vector_of`, in place."""
    device = next(net.parameters()).device
    vector_to_parameters(torch.tensor(vector, device=device), net.parameters())
