"""What the figures of the rows show, how they are computed, and after whom."""

from __future__ import annotations

_KARRAS = "[Karras et al. (2022)](https://arxiv.org/abs/2206.00364)"

TITLES = {
    "time_steps": "The noise levels of all rules",
    "schedule": "The noise level of all schedules against time",
    "scaling": "The scale of all scalings against time",
    "c_skip": "c_skip of all components against the noise level",
    "c_out": "c_out of all components against the noise level",
    "c_in": "c_in of all components against the noise level",
    "c_noise": "c_noise of all components against the noise level",
    "noise_distribution": "The densities of all distributions of noise levels",
    "loss_weight": "The weights of all components against the noise level",
    "solver": "The error of all solvers against the number of evaluations",
    "stochasticity": "The noise that churn adds at each level, and the spread of samples along the way",
    "guidance": "The mean and the spread of guided samples against the weight",
    "ema": "The weights of the parameters in averages at the end of a training",
    "augmentation": "Ten digits and what becomes of them in training",
    "data": "A mixture, a tree and digits",
    "denoiser": "The output of the ideal denoiser of two peaks",
    "network": "The cost of an evaluation against the number of parameters",
    "detector": "The change of features by noise",
    "metric": "Metrics of shifted and of stretched samples",
    "reference": "The Fréchet distance against the number of images",
}
"""The texts that stand for the figures."""
CAPTIONS = {
    "time_steps": f"""The noise levels for N = 18 against the index, without `explicit` and without those that are
measured, such as `oss`, each with its default fields. All rules take longer steps at high noise. After Table 1 of
{_KARRAS}.""",
    "schedule": f"""The noise level against time, in units of the time of the highest level, 80; each component with
its default fields. With σ(t) = t the noise grows evenly. After Table 1 of {_KARRAS}.""",
    "scaling": f"""The scale against time with the schedule `vp`, in units of the time of the highest level. `none`
keeps the samples as large as their noise makes them. After Table 1 of {_KARRAS}.""",
    "c_skip": f"""The weight of the noisy input in the denoised image. Between 1 at low noise and 0 at high noise, the
network predicts less and less of the noise and more and more of the image. After Table 1 of {_KARRAS}.""",
    "c_out": f"""The factor on the output of the network, and so on its errors. With `edm` it never exceeds σ_data.
After Table 1 of {_KARRAS}.""",
    "c_in": f"""The factor on the input of the network. With `edm` the input has unit variance at every level, with
`ve` it grows with the noise. After Table 1 of {_KARRAS}.""",
    "c_noise": f"""What the network is told about the noise level, as a share of the range of each component, because
the ranges differ by factors up to thousands. After Table 1 of {_KARRAS}.""",
    "noise_distribution": f"""The density of ln σ in training, computed from 20,000 quantiles of each component with
its default fields. The area below each curve is 1. After Table 1 of {_KARRAS}.""",
    "loss_weight": f"""The weight of the squared error of D against the noise level, each component with its default
fields. What counts in training is its product with the density of the noise levels. After Table 1 of {_KARRAS}.""",
    "solver": """The relative error of the standard deviation of the samples, for Gaussian data of standard deviation
0.5 and the design `edm` with σ_min = 0.0005 and 8, 16, 32, 64 and 128 steps. Their exact denoiser is linear, so that
the response to each draw of noise can be computed alone: no number here is random. For a deterministic solver, this
is the global error of the flow, whose solution is x ∝ √(σ² + 0.25). `rk45` chooses its own steps; its points are for
tolerances of 0.1 to 10⁻⁶. Grey lines fall with the orders 1 to 4. Euler's method halves its error with twice the
evaluations, Heun's quarters it, and multistep methods of the same order need half of its evaluations. Orders are
those of a smooth problem: with a network, or few steps, another solver may be best.""",
    "stochasticity": f"""Above: γ at each of 256 levels, which is S_churn / N between S_min and S_max; time runs to
the right. Below: how far the standard deviation of x at each level is from √(σ² + 0.25), its exact value for Gaussian
data of standard deviation 0.5, with Heun's method and the exact denoiser. It is computed from the responses to all
draws of noise, without random numbers. Churn adds errors of its own, because each step begins at higher noise and is
longer. S_noise above 1, which EDM's authors use against the loss of detail by networks, makes samples of an exact
denoiser too wide. Algorithm 2 of {_KARRAS}.""",
    "guidance": """The mean (above) and the standard deviation (below) of samples of one class along the line between
two classes, relative to those without guidance. The classes are Gaussians in four dimensions whose means are 2.4
standard deviations apart. All samples begin at the same 1,000 latents and take 32 steps of Heun's method with the
exact denoiser, `space: D` and, for `cfg_zero`, no steps of zero; the guide of `autoguidance` is the denoiser of
classes that are 1.3 times as wide. All others push samples away from the other class. `autoguidance` only makes them
more alike. After [Ho and Salimans (2022)](https://arxiv.org/abs/2207.12598) and the sources of the components.""",
    "ema": f"""The weight of the parameters at each point of a training in the average at its end, for 200,000 images
in batches of 128, computed from the decay of each step. Its mean over the training is 1. Half-lives are limited to 5
% of the images seen unless `ramp_up` says otherwise, so that 50,000 has no effect here. The weights of `half_life`
fall exponentially into the past, those of `power` like a power, and the start of the training has none. Appendix F.2
of {_KARRAS}, and [Karras et al. (2024)](https://arxiv.org/abs/2312.02696), Section 3.1.""",
    "augmentation": f"""Ten digits of 8 x 8 pixels, and below what the component makes of them with the default
fields, and with each kind of change in every image (seed 0). In training, the network is told what was done; in
sampling, that nothing was. Appendix F.2 of {_KARRAS}.""",
    "data": """Data sets that need no file: the values of `mixture`, the points of `tree` with the colours of its
classes, and 40 images of `digits`. The others read images from files or download them.""",
    "denoiser": f"""The output of `gaussian_mixture` for its default, two peaks at -0.5 and 0.5 of which the right one
has 60 % of the data. At low noise, it moves x to the nearer peak. At high noise, it is the mean of all data whatever
x is. Every component of this row is an approximation of such a function. Eq. 57 of {_KARRAS}.""",
    "network": """The floating-point operations of an evaluation of one colour image of 32 x 32 against the number of
parameters: `mlp` with a width of 64 to 512, `unet` of each size, and the others with 32 and 64 channels at the
highest resolution. Both are counted, not measured. Cost grows with the parameters and, in convolutional networks,
with the resolution at which they are used, so that the `mlp` is hundreds of times cheaper.""",
    "detector": """How far features of 48 digits move when noise is added to the images, in units of the mean distance
between the features of two digits. Pixels move in proportion to the noise. The features of a network react to a
little noise that hardly changes an image, so that a distance of such features punishes it. `inception` and `file`
need a file.""",
    "metric": """Above: distances of 500 points in four dimensions from 500 others of a unit Gaussian, when the former
are shifted along each axis, left, and stretched, right, relative to the largest value. Below: shares, for the same
points. All distances find both, but differ in what counts: KID is nearly blind to a shrunken distribution. Precision
stays high when samples are too alike, and recall when they are too different. The other metrics need a denoiser,
images or labels.""",
    "reference": """The Fréchet distance of n points of a unit Gaussian in 16 dimensions from the statistics of 20,000
others of the same distribution, the mean of 8 draws. The true distance is 0. The value falls like 1 / n, and only the
same n compares like with like; `bias_corrected` removes most of it. After [Chong and Forsyth
(2020)](https://arxiv.org/abs/1911.07023).""",
}
