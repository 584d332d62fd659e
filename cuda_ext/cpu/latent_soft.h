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

// Of one vector of values.
inline void soften_vector(const SoftCall& call, const float* units, const float* noise, float* out,
                          float* slopes) {
    Floats x = load(units) * call.gain;
    Floats slope = soften(x, call.steepness, call.height) * call.gain;
    x += load(noise) * call.noise_scale;
    slope *= soften(x, call.steepness, call.height);
    store(out, x);
    store(slopes, slope);
}

void soften_latents(const SoftCall& call, int64_t first, int64_t last) {
    for (; first + kLanes <= last; first += kLanes) {
        soften_vector(call, call.units + first, call.noise + first, call.out + first,
                      call.slopes + first);
    }
    float rest[4][kLanes] = {};
    for (int64_t i = first; i < last; ++i) {
        rest[0][i - first] = call.units[i];
        rest[1][i - first] = call.noise[i];
    }
    soften_vector(call, rest[0], rest[1], rest[2], rest[3]);
    for (int64_t i = first; i < last; ++i) {
        call.out[i] = rest[2][i - first];
        call.slopes[i] = rest[3][i - first];
    }
}

}  // namespace
}  // namespace inrcodec
