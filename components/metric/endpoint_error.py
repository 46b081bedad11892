from designspace.evaluation.measure import Measured, root_mean
from designspace.evaluation.rows import Diagnostic
from designspace.registry.literature import KARRAS_2022
from designspace.sampling.probe import STEPS, Probe
from designspace.sampling.sample import sample


class EndpointError(Diagnostic, name="endpoint_error"):
    r"""The distance of samples from the exact end points of the flow for the same latents.

    The root mean square is over ``images`` images of d values each, in units of the data in [-1, 1]. Here x* is the
    converged solution from the same :math:`\sigma_0`, by 256 steps of the classical Runge-Kutta method in float64. No
    reference and no features are needed, and every trial uses the same images. Reports show the error of the converged
    solution, estimated by the distance from a solution with half as many steps. An image that ends at another mode
    counts with its full distance. Karras et al. (2022), Section 3 and Appendix D.1.
    """

    formula = r"\sqrt{\tfrac1n \sum_k \tfrac1d |x_k - x^*_k|^2}"
    sources = (KARRAS_2022,)

    def observe(self, probe: Probe) -> Measured:
        last = probe.flow.sigma[-1]
        exact, coarse = (probe.solution(steps).at(last).flatten(1) for steps in (STEPS, STEPS // 2))
        x = sample(probe.design, probe.D, probe.latents, probe.num_steps).x.flatten(1)
        floor = float((coarse - exact).square().mean().sqrt())
        return root_mean((x - exact).square().mean(1).cpu(), floor=floor)
