"""torchcfm's way of learning pairs: its own classes and network, as its examples use them."""

import time

import torch


class Pairwise:
    """One torchcfm model for two sets; `seconds` or `steps` limit its training."""

    def __init__(self, x, y, *, ot=False, width=64, seconds=None, steps=None, seed=0, batch=256):
        from torchcfm import conditional_flow_matching as cfm
        from torchcfm.models.models import MLP

        torch.manual_seed(seed)
        matcher = (
            cfm.ExactOptimalTransportConditionalFlowMatcher if ot else cfm.ConditionalFlowMatcher
        )
        matcher = matcher(sigma=0.0)
        self.network = MLP(dim=x.shape[1], time_varying=True, w=width)
        optimiser = torch.optim.Adam(self.network.parameters())
        start, self.steps = time.perf_counter(), 0
        while self._goes_on(start, seconds, steps):
            x0, x1 = (part[torch.randint(len(part), (batch,))] for part in (x, y))
            t, xt, ut = matcher.sample_location_and_conditional_flow(x0, x1)
            optimiser.zero_grad()
            loss = (self.network(torch.cat([xt, t[:, None]], 1)) - ut).square().mean()
            loss.backward()
            optimiser.step()
            self.steps += 1

    def _goes_on(self, start, seconds, steps):
        if steps is not None:
            return self.steps < steps
        return time.perf_counter() - start < seconds

    @torch.no_grad()
    def states(self, x, backwards=False, steps=50):
        """States at even times, by Heun's method, shape `(steps + 1, b, d)`."""

        def velocity(x, t):
            return self.network(torch.cat([x, torch.full((len(x), 1), t)], 1))

        h = (-1 if backwards else 1) / steps
        states = [x]
        for i in range(steps):
            t = 1 + i * h if backwards else i * h
            first = velocity(x, t)
            second = velocity(x + h * first, t + h)
            x = x + h * (first + second) / 2
            states.append(x)
        return torch.stack(states)
