// The cost of latents under Laplace distributions, and its slopes, for the kernels of the
// latent_fit op alone: vectors of exponentials and logarithms.
//
// 2^t = 2^k 2^f with f in [-1/2, 1/2], a polynomial with a relative error of 2e-9. log2: of the
// mantissa m in [sqrt(1/2), sqrt(2)), 2 artanh((m - 1) / (m + 1)), with one below 2e-8.
#pragma once

#include "row_products.h"

namespace inrcodec {
namespace {

constexpr float kLeastExponent = -126.0f;
constexpr float kLog2OfE = 1.44269504f;
constexpr float kLn2 = 0.693147181f;
constexpr float kExponentRounder = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
constexpr int32_t kRootOfHalf = 0x3f3504f3;

constexpr float kLargestScale = 15.0f;   // log2, above the smallest
constexpr float kSmallestScale = -5.0f;  // log2
constexpr float kLeastProbability = 0x1p-16f;

struct Power {
    Floats value, less_one;  // 2^t, and 2^t - 1 without cancellation
};

// For t <= 126; NaN stays NaN.
inline Power exp2_of(Floats t) {
    t = t < kLeastExponent ? splat(kLeastExponent) : t;
    const Floats shifted = t + kExponentRounder;
    const Floats f = t - (shifted - kExponentRounder);
    Floats p = f * 1.53375775e-4f + 1.33998599e-3f;
    p = p * f + 9.61851981e-3f;
    p = p * f + 5.55032901e-2f;
    p = p * f + 2.40226462e-1f;
    p = p * f + 6.93147182e-1f;
    p = p * f;
    const Ints bits = (reinterpret_cast<const Ints&>(shifted) << 23) + 0x3f800000;
    const Floats scale = reinterpret_cast<const Floats&>(bits);
    return {p * scale + scale, p * scale + (scale - 1.0f)};
}

// For normal numbers; of NaN nothing is said.
inline Floats log2_of(Floats x) {
    const Ints bits = reinterpret_cast<const Ints&>(x);
    const Ints exponent = (bits - kRootOfHalf) >> 23;
    const Ints mantissa = bits - (exponent << 23);
    const Floats m = reinterpret_cast<const Floats&>(mantissa);
    const Floats s = (m - 1.0f) / (m + 1.0f);
    const Floats square = s * s;
    Floats p = square * 2.987093627e-1f + 3.997757435e-1f;
    p = p * square + 6.666677594e-1f;
    const Floats log = 2.0f * s + (s * square) * p;
    return __builtin_convertvector(exponent, Floats) + log * kLog2OfE;
}

inline Floats size_of(Floats x) {
    const Ints bits = reinterpret_cast<const Ints&>(x) & 0x7fffffff;
    return reinterpret_cast<const Floats&>(bits);
}

// Bits, and their slopes by the value, by the mean and by the log2 of the scale that comes in.
struct Cost {
    Floats bits, by_value, by_mean, by_scale;
};

// With d = |value - mean| and w the inverse of the scale, from the mean to either side of the
// interval around the value: u = exp(-w (d + 1/2)), l = exp(-w |d - 1/2|). The probability is
// 1 - (u + l) / 2 if d < 1/2, else (l - u) / 2 = l (1 - exp(-w)) / 2; the slopes of both are the
// same, (u - l) w / 2 by d and ((d + 1/2) u - (d - 1/2) l) / 2 by w.
inline Cost cost_of(Floats value, Floats mean, Floats log2_scale) {
    const auto in_range = (log2_scale >= 0.0f) & (log2_scale <= kLargestScale);
    Floats held = log2_scale < 0.0f ? Floats{} : log2_scale;
    held = held > kLargestScale ? splat(kLargestScale) : held;
    const Floats inverse = exp2_of(-kSmallestScale - held).value;
    const Floats offset = value - mean;
    const Floats d = size_of(offset), beyond = d - 0.5f;
    const auto inside = beyond < 0.0f;
    const Floats falloff = inverse * -kLog2OfE;
    const Power lower = exp2_of(size_of(beyond) * falloff);
    const Power other = exp2_of(inside ? (d + 0.5f) * falloff : falloff);  // u, or exp(-w)
    const Floats product = lower.value * other.less_one;
    const Floats raw = -0.5f * (inside ? lower.less_one + other.less_one : product);
    const Floats drop = inside ? other.less_one - lower.less_one : product;
    const Floats spread = inside ? (d + 0.5f) * other.value - beyond * lower.value
                                 : lower.value * other.value + beyond * product;
    const auto too_small = raw < kLeastProbability;
    const Floats probability = too_small ? splat(kLeastProbability) : raw;

    Cost cost;
    cost.bits = (probability - probability) - log2_of(probability);  // NaN stays NaN
    const Floats by_raw = too_small ? Floats{} : -0.5f * kLog2OfE / probability;
    const Floats by_distance = by_raw * inverse * drop;
    cost.by_value = offset < 0.0f ? -by_distance : by_distance;
    cost.by_value = offset == 0.0f ? Floats{} : cost.by_value;
    cost.by_mean = -cost.by_value;
    cost.by_scale = in_range ? by_raw * spread * inverse * -kLn2 : Floats{};
    return cost;
}

}  // namespace
}  // namespace inrcodec
