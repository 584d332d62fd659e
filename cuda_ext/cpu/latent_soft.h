// Soft rounding of latents, for the kernels of the latent_fit op alone:
// round(x) = floor(x) + 1/2 + tanh((x - floor(x) - 1/2) / t) / (2 tanh(1 / (2 t))), twice, with noise in
// between. With e = exp(2 z): tanh(z) = (e - 1) / (e + 1), and its slope is 4 e / (e + 1)^2.
#pragma once

#include "latent_cost_bits.h"

namespace inrcodec {
namespace {

constexpr float kAllWhole = 4194304.0f;  // 2^22: nothing to round from here on
constexpr float kSteepest = 60.0f;       // beyond it, tanh is 1

inline Floats floor_of(Floats x) {
    const Floats nearest = (x + kExponentRounder) - kExponentRounder;
    const Floats below = nearest > x ? nearest - 1.0f : nearest;
    return size_of(x) < kAllWhole ? below : x;
}

// x becomes its soft rounding; gives the slope.
inline Floats soften(Floats& x, float steepness, float height) {
    const Floats below = floor_of(x) + 0.5f;
    Floats exponent = (x - below) * (2.0f * kLog2OfE * steepness);
    exponent = exponent > kSteepest ? splat(kSteepest) : exponent;
    const Power power = exp2_of(exponent < -kSteepest ? splat(-kSteepest) : exponent);
    const Floats inverse = 1.0f / (power.less_one + 2.0f);
    x = below + height * power.less_one * inverse;
    return (4.0f * height * steepness) * power.value * (inverse * inverse);
}

// The number of values, `count`, is at most kLanes; what is beyond is not touched.
inline void soften_some(const SoftCall& call, int64_t at, int count) {
    float values[kLanes] = {}, noise[kLanes] = {}, slopes[kLanes];
    for (int i = 0; i < count; ++i) {
        values[i] = call.units[at + i];
        noise[i] = call.noise[at + i];
    }
    Floats x = load(values) * call.gain;
    Floats slope = soften(x, call.steepness, call.height) * call.gain;
    x += load(noise) * call.noise_scale;
    slope *= soften(x, call.steepness, call.height);
    store(values, x);
    store(slopes, slope);
    for (int i = 0; i < count; ++i) {
        call.out[at + i] = values[i];
        call.slopes[at + i] = slopes[i];
    }
}

void soften_latents(const SoftCall& call, int64_t first, int64_t last) {
    for (; first + kLanes <= last; first += kLanes) soften_some(call, first, kLanes);
    if (first < last) soften_some(call, first, static_cast<int>(last - first));
}

}  // namespace
}  // namespace inrcodec
