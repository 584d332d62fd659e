// Sines and cosines of whole rows, for the kernels of the mlp op alone.
//
// x = k pi + r with r in [-pi/2, pi/2], pi in three parts of which the products with k are exact;
// then polynomials in r^2, minimax for their order. The error is at most 2e-7, and 2.5 units in the
// last place of the sine for |x| <= 100. Beyond kFarthest, for infinities and NaN, the C library
// computes.
#pragma once

#include "vector.h"

namespace inrcodec {
namespace {

constexpr float kFarthest = 10000.0f;
constexpr float kInversePi = 0.318309886f;
constexpr float kRounder = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
constexpr float kPi[3] = {3.140625f, 9.67502593994140625e-4f, 1.509957990978376432e-7f};

struct Angle {
    Floats r, square;
    Ints sign;  // of both sine and cosine: (-1)^k
};

inline Angle reduce(Floats x) {
    const Floats shifted = x * kInversePi + kRounder;
    const Floats k = shifted - kRounder;
    Angle angle;
    angle.r = x - k * kPi[0];
    angle.r = angle.r - k * kPi[1];
    angle.r = angle.r - k * kPi[2];
    angle.square = angle.r * angle.r;
    angle.sign = reinterpret_cast<const Ints&>(shifted) << 31;
    return angle;
}

inline Floats with_sign(Floats value, Ints sign) {
    const Ints bits = reinterpret_cast<const Ints&>(value) ^ sign;
    return reinterpret_cast<const Floats&>(bits);
}

inline Floats sine(const Angle& angle) {
    const Floats s = angle.square;
    Floats p = s * 2.608918361e-6f + -1.981110683e-4f;
    p = p * s + 8.333088095e-3f;
    p = p * s + -1.666666046e-1f;
    return with_sign(angle.r + (angle.r * s) * p, angle.sign);
}

inline Floats cosine(const Angle& angle) {
    const Floats s = angle.square;
    Floats p = s * -2.607696102e-7f + 2.476187844e-5f;
    p = p * s + -1.388840336e-3f;
    p = p * s + 4.166664072e-2f;
    p = p * s + -4.999999955e-1f;
    return with_sign(p * s + 1.0f, angle.sign);
}

// Whether a value is beyond kFarthest, infinite or not a number: all have larger bit patterns.
inline bool any_far(const Floats* row, int n_vectors) {
    const Floats limit = splat(kFarthest);
    Ints largest = reinterpret_cast<const Ints&>(limit);
    for (int i = 0; i < n_vectors; ++i) {
        const Ints bits = reinterpret_cast<const Ints&>(row[i]) & 0x7fffffff;
        largest = bits > largest ? bits : largest;
    }
    const Ints beyond = largest > reinterpret_cast<const Ints&>(limit);
    int any = 0;
    for (int lane = 0; lane < kLanes; ++lane) any |= beyond[lane];
    return any != 0;
}

// Puts right what `reduce` cannot do.
inline void mend(Floats x, Floats& sines, Floats* cosines) {
    for (int lane = 0; lane < kLanes; ++lane) {
        if (__builtin_fabsf(x[lane]) <= kFarthest) continue;
        sines[lane] = __builtin_sinf(x[lane]);
        if (cosines) (*cosines)[lane] = __builtin_cosf(x[lane]);
    }
}

// x becomes its sine and `slopes`, unless null, receives the cosines, once damp(x, sine, cosine) has
// made of both what it wants; the cosine is null where no slopes are wanted.
template <bool kWithSlopes, typename Damp>
inline void take_sines(Floats* x, Floats* slopes, int n_vectors, Damp damp) {
    const bool far = any_far(x, n_vectors);
    for (int i = 0; i < n_vectors; ++i) {
        const Floats value = x[i];
        const Angle angle = reduce(value);
        Floats sines = sine(angle), cosines{};
        if constexpr (kWithSlopes) cosines = cosine(angle);
        Floats* const wanted = kWithSlopes ? &cosines : nullptr;
        if (__builtin_expect(far, 0)) mend(value, sines, wanted);
        damp(value, sines, wanted);
        x[i] = sines;
        if constexpr (kWithSlopes) slopes[i] = cosines;
    }
}

}  // namespace
}  // namespace inrcodec
