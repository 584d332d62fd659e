"""How close a decoded signal is, and what it costs: numbers for tables, units in the names."""

from inrcodec.metrics.bd import BdRate, bd_rate
from inrcodec.metrics.distortion import (
    MOST_FRAME_DB,
    MS_SSIM_MIN_SIDE,
    Samples,
    bpp,
    film_psnr_db,
    frame_psnrs_db,
    kbps,
    max_abs_error,
    mean_psnr_db,
    ms_ssim,
    mse,
    peak_of,
    psnr_db,
    ratio_db,
    si_sdr_db,
    signal_power,
    snr_db,
    ssim,
)
from inrcodec.metrics.spectrum import band_snr_db, log_spectral_distance_db
from inrcodec.metrics.speech import estoi, pesq_wb

__all__ = [
    "MOST_FRAME_DB",
    "MS_SSIM_MIN_SIDE",
    "BdRate",
    "Samples",
    "band_snr_db",
    "bd_rate",
    "bpp",
    "estoi",
    "film_psnr_db",
    "frame_psnrs_db",
    "kbps",
    "log_spectral_distance_db",
    "max_abs_error",
    "mean_psnr_db",
    "ms_ssim",
    "mse",
    "peak_of",
    "pesq_wb",
    "psnr_db",
    "ratio_db",
    "si_sdr_db",
    "signal_power",
    "snr_db",
    "ssim",
]
