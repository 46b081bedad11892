"""The publications that components declare as their ``sources``."""

from typing import NamedTuple


class Source(NamedTuple):
    """A publication, as a component names it in its ``sources``."""

    authors: str
    """The authors, as in a citation: ``Karras et al.``, ``Nichol and Dhariwal``, ``Xiao, Rasul and Vollgraf``."""
    year: int
    title: str
    url: str


ALPAYDIN_1998 = Source(
    "Alpaydin and Kaynak", 1998, "Optical Recognition of Handwritten Digits", "https://doi.org/10.24432/C50P49"
)
BINKOWSKI_2018 = Source("Binkowski et al.", 2018, "Demystifying MMD GANs", "https://arxiv.org/abs/1801.01401")
BONNEEL_2015 = Source(
    "Bonneel et al.",
    2015,
    "Sliced and Radon Wasserstein Barycenters of Measures",
    "https://doi.org/10.1007/s10851-014-0506-3",
)
CHONG_2020 = Source(
    "Chong and Forsyth",
    2020,
    "Effectively Unbiased FID and Inception Score and Where to Find Them",
    "https://arxiv.org/abs/1911.07023",
)
CROWSON_2022 = Source("Crowson", 2022, "k-diffusion", "https://github.com/crowsonkb/k-diffusion")
CUI_2023 = Source(
    "Cui et al.",
    2023,
    "Elucidating the Solution Space of Extended Reverse-Time SDE for Diffusion Models",
    "https://arxiv.org/abs/2309.06169",
)
DEBOOR_1973 = Source(
    "de Boor", 1973, "Good approximation by splines with variable knots. II", "https://doi.org/10.1007/BFb0069107"
)
DELBARRIO_1999 = Source(
    "del Barrio et al.",
    1999,
    "Central limit theorems for the Wasserstein distance between the empirical and the true distributions",
    "https://doi.org/10.1214/aop/1022677394",
)
DHARIWAL_2021 = Source(
    "Dhariwal and Nichol", 2021, "Diffusion Models Beat GANs on Image Synthesis", "https://arxiv.org/abs/2105.05233"
)
DORMAND_1980 = Source(
    "Dormand and Prince",
    1980,
    "A family of embedded Runge-Kutta formulae",
    "https://doi.org/10.1016/0771-050X(80)90013-3",
)
ESSER_2024 = Source(
    "Esser et al.",
    2024,
    "Scaling Rectified Flow Transformers for High-Resolution Image Synthesis",
    "https://arxiv.org/abs/2403.03206",
)
GU_2023 = Source("Gu et al.", 2023, "On Memorization in Diffusion Models", "https://arxiv.org/abs/2310.02664")
HANG_2023 = Source(
    "Hang et al.",
    2023,
    "Efficient Diffusion Training via Min-SNR Weighting Strategy",
    "https://arxiv.org/abs/2303.09556",
)
HEUSEL_2017 = Source(
    "Heusel et al.",
    2017,
    "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium",
    "https://arxiv.org/abs/1706.08500",
)
HE_2016 = Source("He et al.", 2016, "Deep Residual Learning for Image Recognition", "https://arxiv.org/abs/1512.03385")
HOCHBRUCK_2010 = Source(
    "Hochbruck and Ostermann", 2010, "Exponential integrators", "https://doi.org/10.1017/S0962492910000048"
)
HOEFFDING_1948 = Source(
    "Hoeffding",
    1948,
    "A Class of Statistics with Asymptotically Normal Distribution",
    "https://doi.org/10.1214/aoms/1177730196",
)
HOOGEBOOM_2023 = Source(
    "Hoogeboom et al.",
    2023,
    "Simple Diffusion: End-to-End Diffusion for High Resolution Images",
    "https://arxiv.org/abs/2301.11093",
)
HO_2020 = Source("Ho et al.", 2020, "Denoising Diffusion Probabilistic Models", "https://arxiv.org/abs/2006.11239")
KARRAS_2022 = Source(
    "Karras et al.",
    2022,
    "Elucidating the Design Space of Diffusion-Based Generative Models",
    "https://arxiv.org/abs/2206.00364",
)
KARRAS_2024 = Source(
    "Karras et al.",
    2024,
    "Analyzing and Improving the Training Dynamics of Diffusion Models",
    "https://arxiv.org/abs/2312.02696",
)
KRIZHEVSKY_2009 = Source(
    "Krizhevsky",
    2009,
    "Learning Multiple Layers of Features from Tiny Images",
    "https://www.cs.toronto.edu/~kriz/learning-features-2009-TR.pdf",
)
KUTTA_1901 = Source(
    "Kutta",
    1901,
    "Beitrag zur näherungsweisen Integration totaler Differentialgleichungen",
    "https://zbmath.org/?q=an:32.0316.02",
)
KYNKAANNIEMI_2019 = Source(
    "Kynkäänniemi et al.",
    2019,
    "Improved Precision and Recall Metric for Assessing Generative Models",
    "https://arxiv.org/abs/1904.06991",
)
LIN_2024 = Source(
    "Lin et al.",
    2024,
    "Common Diffusion Noise Schedules and Sample Steps are Flawed",
    "https://arxiv.org/abs/2305.08891",
)
LIPMAN_2023 = Source("Lipman et al.", 2023, "Flow Matching for Generative Modeling", "https://arxiv.org/abs/2210.02747")
LIU_2022_PNDM = Source(
    "Liu et al.", 2022, "Pseudo Numerical Methods for Diffusion Models on Manifolds", "https://arxiv.org/abs/2202.09778"
)
LIU_2022_RECTIFIED_FLOW = Source(
    "Liu et al.",
    2022,
    "Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow",
    "https://arxiv.org/abs/2209.03003",
)
LU_2022_DPM_SOLVER = Source(
    "Lu et al.",
    2022,
    "DPM-Solver: A Fast ODE Solver for Diffusion Probabilistic Model Sampling in Around 10 Steps",
    "https://arxiv.org/abs/2206.00927",
)
LU_2022_DPM_SOLVER_PP = Source(
    "Lu et al.",
    2022,
    "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models",
    "https://arxiv.org/abs/2211.01095",
)
NAEEM_2020 = Source(
    "Naeem et al.",
    2020,
    "Reliable Fidelity and Diversity Metrics for Generative Models",
    "https://arxiv.org/abs/2002.09797",
)
NICHOL_2021 = Source(
    "Nichol and Dhariwal", 2021, "Improved Denoising Diffusion Probabilistic Models", "https://arxiv.org/abs/2102.09672"
)
PARMAR_2022 = Source(
    "Parmar, Zhang and Zhu",
    2022,
    "On Aliased Resizing and Surprising Subtleties in GAN Evaluation",
    "https://arxiv.org/abs/2104.11222",
)
RABIN_2011 = Source(
    "Rabin et al.",
    2011,
    "Wasserstein Barycenter and Its Application to Texture Mixing",
    "https://doi.org/10.1007/978-3-642-24785-9_37",
)
ROMBACH_2022 = Source(
    "Rombach et al.",
    2022,
    "High-Resolution Image Synthesis with Latent Diffusion Models",
    "https://arxiv.org/abs/2112.10752",
)
SABOUR_2024 = Source(
    "Sabour et al.",
    2024,
    "Align Your Steps: Optimizing Sampling Schedules in Diffusion Models",
    "https://arxiv.org/abs/2404.14507",
)
SALIMANS_2016 = Source(
    "Salimans et al.", 2016, "Improved Techniques for Training GANs", "https://arxiv.org/abs/1606.03498"
)
SALIMANS_2022 = Source(
    "Salimans and Ho",
    2022,
    "Progressive Distillation for Fast Sampling of Diffusion Models",
    "https://arxiv.org/abs/2202.00512",
)
SONG_2020 = Source("Song et al.", 2020, "Denoising Diffusion Implicit Models", "https://arxiv.org/abs/2010.02502")
SONG_2021 = Source(
    "Song et al.",
    2021,
    "Score-Based Generative Modeling through Stochastic Differential Equations",
    "https://arxiv.org/abs/2011.13456",
)
SZEGEDY_2016 = Source(
    "Szegedy et al.",
    2016,
    "Rethinking the Inception Architecture for Computer Vision",
    "https://arxiv.org/abs/1512.00567",
)
TAN_2019 = Source(
    "Tan and Le",
    2019,
    "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
    "https://arxiv.org/abs/1905.11946",
)
VASERSTEIN_1969 = Source(
    "Vaserstein",
    1969,
    "Markov processes over denumerable products of spaces, describing large systems of automata",
    "http://mi.mathnet.ru/ppi1811",
)
VASWANI_2017 = Source("Vaswani et al.", 2017, "Attention Is All You Need", "https://arxiv.org/abs/1706.03762")
VON_PLATEN_2022 = Source("von Platen et al.", 2022, "Diffusers", "https://github.com/huggingface/diffusers")
XIAO_2017 = Source(
    "Xiao, Rasul and Vollgraf",
    2017,
    "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms",
    "https://arxiv.org/abs/1708.07747",
)
XUE_2023 = Source(
    "Xue et al.",
    2023,
    "SA-Solver: Stochastic Adams Solver for Fast Sampling of Diffusion Models",
    "https://arxiv.org/abs/2309.05019",
)
XU_2023 = Source(
    "Xu et al.", 2023, "Restart Sampling for Improving Generative Processes", "https://arxiv.org/abs/2306.14878"
)
YOON_2023 = Source(
    "Yoon et al.",
    2023,
    "Diffusion Probabilistic Models Generalize when They Fail to Memorize",
    "https://openreview.net/forum?id=shciCbSk9h",
)
ZHANG_2022 = Source(
    "Zhang and Chen",
    2022,
    "Fast Sampling of Diffusion Models with Exponential Integrator",
    "https://arxiv.org/abs/2204.13902",
)
ZHAO_2023 = Source(
    "Zhao et al.",
    2023,
    "UniPC: A Unified Predictor-Corrector Framework for Fast Sampling of Diffusion Models",
    "https://arxiv.org/abs/2302.04867",
)
