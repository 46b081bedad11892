"""The publications that components declare as their ``sources``."""

from typing import NamedTuple


class Source(NamedTuple):
    """A publication, as a component names it in its ``sources``."""

    authors: str
    """The authors, as in a citation: ``Karras et al.``, ``Nichol and Dhariwal``, ``Xiao, Rasul and Vollgraf``."""
    year: int
    title: str
    url: str


def _arxiv(number: str, authors: str, year: int, title: str) -> Source:
    return Source(authors, year, title, f"https://arxiv.org/abs/{number}")


ALPAYDIN_1998 = Source(
    "Alpaydin and Kaynak", 1998, "Optical Recognition of Handwritten Digits", "https://doi.org/10.24432/C50P49"
)
BINKOWSKI_2018 = _arxiv("1801.01401", "Binkowski et al.", 2018, "Demystifying MMD GANs")
BONNEEL_2015 = Source(
    "Bonneel et al.",
    2015,
    "Sliced and Radon Wasserstein Barycenters of Measures",
    "https://doi.org/10.1007/s10851-014-0506-3",
)
CHEN_2024 = _arxiv("2405.11326", "Chen et al.", 2024, "On the Trajectory Regularity of ODE-based Diffusion Sampling")
BLACK_2024 = _arxiv(
    "2410.24164", "Black et al.", 2024, "π0: A Vision-Language-Action Flow Model for General Robot Control"
)
CHOI_2022 = _arxiv("2204.00227", "Choi et al.", 2022, "Perception Prioritized Training of Diffusion Models")
CHONG_2020 = _arxiv(
    "1911.07023", "Chong and Forsyth", 2020, "Effectively Unbiased FID and Inception Score and Where to Find Them"
)
CROWSON_2022 = Source("Crowson", 2022, "k-diffusion", "https://github.com/crowsonkb/k-diffusion")
CROWSON_2024 = _arxiv(
    "2401.11605",
    "Crowson et al.",
    2024,
    "Scalable High-Resolution Pixel-Space Image Synthesis with Hourglass Diffusion Transformers",
)
CUI_2023 = _arxiv(
    "2309.06169", "Cui et al.", 2023, "Elucidating the Solution Space of Extended Reverse-Time SDE for Diffusion Models"
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
DHARIWAL_2021 = _arxiv("2105.05233", "Dhariwal and Nichol", 2021, "Diffusion Models Beat GANs on Image Synthesis")
DIELEMAN_2022 = _arxiv("2211.15089", "Dieleman et al.", 2022, "Continuous diffusion for categorical data")
DORMAND_1980 = Source(
    "Dormand and Prince",
    1980,
    "A family of embedded Runge-Kutta formulae",
    "https://doi.org/10.1016/0771-050X(80)90013-3",
)
ESSER_2024 = _arxiv(
    "2403.03206", "Esser et al.", 2024, "Scaling Rectified Flow Transformers for High-Resolution Image Synthesis"
)
FAN_2025 = _arxiv(
    "2503.18886", "Fan et al.", 2025, "CFG-Zero*: Improved Classifier-Free Guidance for Flow Matching Models"
)
FRIEDMAN_2023 = _arxiv(
    "2210.02410", "Friedman and Dieng", 2023, "The Vendi Score: A Diversity Evaluation Metric for Machine Learning"
)
GENMO_2024 = Source("Genmo Team", 2024, "Mochi 1", "https://github.com/genmoai/mochi")
GRETTON_2012 = Source("Gretton et al.", 2012, "A Kernel Two-Sample Test", "https://jmlr.org/papers/v13/gretton12a.html")
GU_2023 = _arxiv("2310.02664", "Gu et al.", 2023, "On Memorization in Diffusion Models")
HANG_2023 = _arxiv("2303.09556", "Hang et al.", 2023, "Efficient Diffusion Training via Min-SNR Weighting Strategy")
HANG_2024 = _arxiv("2407.03297", "Hang et al.", 2024, "Improved Noise Schedule for Diffusion Training")
HEUSEL_2017 = _arxiv(
    "1706.08500",
    "Heusel et al.",
    2017,
    "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium",
)
HE_2016 = _arxiv("1512.03385", "He et al.", 2016, "Deep Residual Learning for Image Recognition")
HOCHBRUCK_2010 = Source(
    "Hochbruck and Ostermann", 2010, "Exponential integrators", "https://doi.org/10.1017/S0962492910000048"
)
HOEFFDING_1948 = Source(
    "Hoeffding",
    1948,
    "A Class of Statistics with Asymptotically Normal Distribution",
    "https://doi.org/10.1214/aoms/1177730196",
)
HOOGEBOOM_2023 = _arxiv(
    "2301.11093", "Hoogeboom et al.", 2023, "Simple Diffusion: End-to-End Diffusion for High Resolution Images"
)
HOOGEBOOM_2024 = _arxiv(
    "2410.19324",
    "Hoogeboom et al.",
    2024,
    "Simpler Diffusion (SiD2): 1.5 FID on ImageNet512 with pixel-space diffusion",
)
HO_2020 = _arxiv("2006.11239", "Ho et al.", 2020, "Denoising Diffusion Probabilistic Models")
JAYASUMANA_2024 = _arxiv(
    "2401.09603", "Jayasumana et al.", 2024, "Rethinking FID: Towards a Better Evaluation Metric for Image Generation"
)
KARRAS_2022 = _arxiv(
    "2206.00364", "Karras et al.", 2022, "Elucidating the Design Space of Diffusion-Based Generative Models"
)
KARRAS_2024 = _arxiv(
    "2312.02696", "Karras et al.", 2024, "Analyzing and Improving the Training Dynamics of Diffusion Models"
)
KARRAS_2024_AUTOGUIDANCE = _arxiv(
    "2406.02507", "Karras et al.", 2024, "Guiding a Diffusion Model with a Bad Version of Itself"
)
KINGMA_2023 = _arxiv(
    "2303.00848",
    "Kingma and Gao",
    2023,
    "Understanding Diffusion Objectives as the ELBO with Simple Data Augmentation",
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
HO_2022 = _arxiv("2207.12598", "Ho and Salimans", 2022, "Classifier-Free Diffusion Guidance")
KYNKAANNIEMI_2019 = _arxiv(
    "1904.06991", "Kynkäänniemi et al.", 2019, "Improved Precision and Recall Metric for Assessing Generative Models"
)
KYNKAANNIEMI_2024 = _arxiv(
    "2404.07724",
    "Kynkäänniemi et al.",
    2024,
    "Applying Guidance in a Limited Interval Improves Sample and Distribution Quality in Diffusion Models",
)
LEE_2024 = _arxiv(
    "2407.12173",
    "Lee et al.",
    2024,
    "Beta Sampling is All You Need: Efficient Image Generation Strategy for Diffusion Models using Stepwise Spectral"
    " Analysis",
)
LIN_2024 = _arxiv("2305.08891", "Lin et al.", 2024, "Common Diffusion Noise Schedules and Sample Steps are Flawed")
LIPMAN_2023 = _arxiv("2210.02747", "Lipman et al.", 2023, "Flow Matching for Generative Modeling")
LIU_2022_PNDM = _arxiv("2202.09778", "Liu et al.", 2022, "Pseudo Numerical Methods for Diffusion Models on Manifolds")
LIU_2022_RECTIFIED_FLOW = _arxiv(
    "2209.03003",
    "Liu et al.",
    2022,
    "Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow",
)
LU_2022_DPM_SOLVER = _arxiv(
    "2206.00927",
    "Lu et al.",
    2022,
    "DPM-Solver: A Fast ODE Solver for Diffusion Probabilistic Model Sampling in Around 10 Steps",
)
LU_2022_DPM_SOLVER_PP = _arxiv(
    "2211.01095", "Lu et al.", 2022, "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models"
)
NAEEM_2020 = _arxiv("2002.09797", "Naeem et al.", 2020, "Reliable Fidelity and Diversity Metrics for Generative Models")
NICHOL_2021 = _arxiv("2102.09672", "Nichol and Dhariwal", 2021, "Improved Denoising Diffusion Probabilistic Models")
PARMAR_2022 = _arxiv(
    "2104.11222", "Parmar, Zhang and Zhu", 2022, "On Aliased Resizing and Surprising Subtleties in GAN Evaluation"
)
PASARKAR_2024 = _arxiv(
    "2310.12952",
    "Pasarkar and Dieng",
    2024,
    "Cousins Of The Vendi Score: A Family Of Similarity-Based Diversity Metrics For Science And Machine Learning",
)
PEI_2025 = _arxiv("2503.21774", "Pei, Hu and Gu", 2025, "Optimal Stepsize for Diffusion Sampling")
PLATEN_2022 = Source("von Platen et al.", 2022, "Diffusers", "https://github.com/huggingface/diffusers")
POTJE_2024 = _arxiv("2404.19174", "Potje et al.", 2024, "XFeat: Accelerated Features for Lightweight Image Matching")
RABIN_2011 = Source(
    "Rabin et al.",
    2011,
    "Wasserstein Barycenter and Its Application to Texture Mixing",
    "https://doi.org/10.1007/978-3-642-24785-9_37",
)
ROMBACH_2022 = _arxiv(
    "2112.10752", "Rombach et al.", 2022, "High-Resolution Image Synthesis with Latent Diffusion Models"
)
SABOUR_2024 = _arxiv(
    "2404.14507", "Sabour et al.", 2024, "Align Your Steps: Optimizing Sampling Schedules in Diffusion Models"
)
SADAT_2024 = _arxiv(
    "2410.02416",
    "Sadat et al.",
    2024,
    "Eliminating Oversaturation and Artifacts of High Guidance Scales in Diffusion Models",
)
SALIMANS_2016 = _arxiv("1606.03498", "Salimans et al.", 2016, "Improved Techniques for Training GANs")
SALIMANS_2022 = _arxiv(
    "2202.00512", "Salimans and Ho", 2022, "Progressive Distillation for Fast Sampling of Diffusion Models"
)
SONG_2020 = _arxiv("2010.02502", "Song et al.", 2020, "Denoising Diffusion Implicit Models")
SONG_2021 = _arxiv(
    "2011.13456", "Song et al.", 2021, "Score-Based Generative Modeling through Stochastic Differential Equations"
)
SZEGEDY_2016 = _arxiv("1512.00567", "Szegedy et al.", 2016, "Rethinking the Inception Architecture for Computer Vision")
TAN_2019 = _arxiv(
    "1905.11946", "Tan and Le", 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks"
)
TONG_2024 = _arxiv("2405.15506", "Tong et al.", 2024, "Learning to Discretize Denoising Diffusion ODEs")
VASERSTEIN_1969 = Source(
    "Vaserstein",
    1969,
    "Markov processes over denumerable products of spaces, describing large systems of automata",
    "http://mi.mathnet.ru/ppi1811",
)
VASWANI_2017 = _arxiv("1706.03762", "Vaswani et al.", 2017, "Attention Is All You Need")
XIAO_2017 = _arxiv(
    "1708.07747",
    "Xiao, Rasul and Vollgraf",
    2017,
    "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms",
)
XUE_2023 = _arxiv(
    "2309.05019", "Xue et al.", 2023, "SA-Solver: Stochastic Adams Solver for Fast Sampling of Diffusion Models"
)
XU_2023 = _arxiv("2306.14878", "Xu et al.", 2023, "Restart Sampling for Improving Generative Processes")
YOON_2023 = Source(
    "Yoon et al.",
    2023,
    "Diffusion Probabilistic Models Generalize when They Fail to Memorize",
    "https://openreview.net/forum?id=shciCbSk9h",
)
YU_2023 = _arxiv("2310.08442", "Yu et al.", 2023, "Unmasking Bias in Diffusion Model Training")
ZHANG_2022 = _arxiv(
    "2204.13902", "Zhang and Chen", 2022, "Fast Sampling of Diffusion Models with Exponential Integrator"
)
ZHAO_2023 = _arxiv(
    "2302.04867",
    "Zhao et al.",
    2023,
    "UniPC: A Unified Predictor-Corrector Framework for Fast Sampling of Diffusion Models",
)
