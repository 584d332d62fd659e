// What damped sines are multiplied by, f(x) = sin(x) d(x), for the kernels of the mlp op alone.
//
// Of |x|, for all that is finite: the root is exact to rounding. arctan: t = |x| or 1/|x|, in [0, 1],
// then t + t^3 P(t^2). ln(1 + |x|): u = 1 + |x| rounded, u = 2^k m with m in [sqrt(1/2), sqrt(2)),
// ln m = 2 artanh(s) with s = (m - 1) / (m + 1), plus what rounding took from u over u. Polynomials
// are minimax in relative error, which is below 2e-8. Measured for |x| from 1e-45 to 3e38: f is off
// by at most 2.4e-7 d, its slope by 2.2e-7 (|d| + |d'| min(|x|, 1)). Where x is infinite or NaN,
// sine and cosine are NaN already.
#pragma once

#include "mlp_sine.h"

namespace inrcodec {
namespace {

constexpr float kSmallestNormal = 1.17549435e-38f;
constexpr float kHalfPi = 1.57079633f;
constexpr int32_t kRootOfHalfBits = 0x3f3504f3;
constexpr float kLn2[2] = {0.693359375f, -2.12194440e-4f};  // its products with k are exact

inline Ints sign_bits(Floats x) {
    return reinterpret_cast<const Ints&>(x) & INT32_MIN;
}

inline Floats magnitude(Floats x) {
    return with_sign(x, sign_bits(x));
}

inline Floats square_root(Floats x) {
    for (int lane = 0; lane < kLanes; ++lane) x[lane] = __builtin_sqrtf(x[lane]);
    return x;
}

inline Floats arctan_of_magnitude(Floats size) {
    const auto beyond = size > 1.0f;
    const Floats t = beyond ? 1.0f / size : size;
    const Floats s = t * t;
    Floats p = s * 2.920693019e-3f + -1.636793092e-2f;
    p = p * s + 4.321186617e-2f;
    p = p * s + -7.552214712e-2f;
    p = p * s + 1.066600457e-1f;
    p = p * s + -1.421105564e-1f;
    p = p * s + 1.999377310e-1f;
    p = p * s + -3.333315253e-1f;
    const Floats angle = t + (t * s) * p;
    return beyond ? kHalfPi - angle : angle;
}

// ln(1 + size), where u is 1 + size rounded and `inverse` 1 / u.
inline Floats log_of(Floats size, Floats u, Floats inverse) {
    const Floats lost = size - (u - 1.0f);
    const Ints bits = reinterpret_cast<const Ints&>(u);
    const Ints exponent = (bits - kRootOfHalfBits) >> 23;
    const Ints mantissa = bits - (exponent << 23);
    const Floats m = reinterpret_cast<const Floats&>(mantissa);
    const Floats k = __builtin_convertvector(exponent, Floats);
    const Floats s = (m - 1.0f) / (m + 1.0f);
    const Floats square = s * s;
    Floats p = square * 2.987093627e-1f + 3.997757435e-1f;
    p = p * square + 6.666677594e-1f;
    const Floats small = (s * square) * p + (k * kLn2[1] + lost * inverse);
    return k * kLn2[0] + (2.0f * s + small);
}

// Each makes of a sine, and of a cosine unless null, the value and the slope of its activation.

inline void damp_nothing(Floats, Floats&, Floats*) {}

inline void damp_by_root(Floats x, Floats& sines, Floats* cosines) {
    const Floats size = magnitude(x);
    const Floats root = square_root(size);
    if (cosines) {  // at 0 the sine decides, as the divisor is never 0
        const Floats divisor = square_root(size > kSmallestNormal ? size : splat(kSmallestNormal));
        *cosines = *cosines * root + with_sign(sines, sign_bits(x)) * (0.5f / divisor);
    }
    sines *= root;
}

inline void damp_by_arctan(Floats x, Floats& sines, Floats* cosines) {
    const Floats angle = with_sign(arctan_of_magnitude(magnitude(x)), sign_bits(x));
    if (cosines) *cosines = *cosines * angle + sines / (x * x + 1.0f);
    sines *= angle;
}

inline void damp_by_log(Floats x, Floats& sines, Floats* cosines) {
    const Floats size = magnitude(x);
    const Floats u = size + 1.0f, inverse = 1.0f / u;
    const Floats log = log_of(size, u, inverse);
    if (cosines) *cosines = *cosines * log + with_sign(sines, sign_bits(x)) * inverse;
    sines *= log;
}

}  // namespace
}  // namespace inrcodec
