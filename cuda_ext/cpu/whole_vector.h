// Vectors of whole numbers as wide as the instruction set has them, for the kernels of the latent and
// the synthesis op. Everything here is local to the file that includes it, as each variant needs its
// own.
//
// Whole numbers are doubles of less than 2^53 in size: a product or a sum of them is exact.
#pragma once

#include <cstdint>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace inrcodec {
namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 8;
#elif defined(__AVX__)
constexpr int kLanes = 4;
#else
constexpr int kLanes = 2;
#endif

typedef double Doubles __attribute__((vector_size(8 * kLanes), may_alias));
typedef double LooseDoubles __attribute__((vector_size(8 * kLanes), may_alias, aligned(8)));
typedef int64_t Longs __attribute__((vector_size(8 * kLanes), may_alias));

// Adding it and taking it away rounds to the nearest whole number, for sizes below 2^51.
constexpr double kRounder = 0x1.8p52;

inline Doubles splat(double value) {
    return value - Doubles{};  // a sum would cost: it is not `value` where that is -0
}

inline Doubles load(const double* at) {
    return *reinterpret_cast<const LooseDoubles*>(at);
}

inline void store(double* at, Doubles values) {
    *reinterpret_cast<LooseDoubles*>(at) = values;
}

// Of numbers only. Compilers do not always see that one instruction does it. (Unmasked forms of AVX-512
// make GCC 12 warn of its own header.)
#if defined(__AVX512F__)
inline Doubles larger(Doubles a, Doubles b) {
    return _mm512_maskz_max_pd(0xff, a, b);
}
inline Doubles smaller(Doubles a, Doubles b) {
    return _mm512_maskz_min_pd(0xff, a, b);
}
#elif defined(__AVX__)
inline Doubles larger(Doubles a, Doubles b) {
    return _mm256_max_pd(a, b);
}
inline Doubles smaller(Doubles a, Doubles b) {
    return _mm256_min_pd(a, b);
}
#elif defined(__SSE2__)
inline Doubles larger(Doubles a, Doubles b) {
    return _mm_max_pd(a, b);
}
inline Doubles smaller(Doubles a, Doubles b) {
    return _mm_min_pd(a, b);
}
#else
inline Doubles larger(Doubles a, Doubles b) {
    return a > b ? a : b;
}
inline Doubles smaller(Doubles a, Doubles b) {
    return a < b ? a : b;
}
#endif

// `values` x `unit`, a power of two, rounded half up, of values that have 1/2 added to a whole
// number: so a half is never there, and the nearest number is meant.
inline Doubles round_shifted(Doubles values, double unit) {
    return (values * unit + kRounder) - kRounder;
}

// `values` x `unit`, rounded half up, of values below 2^53 of which the result is below 2^51.
inline Doubles round_half_up(Doubles values, double unit) {
    const Doubles exact = values * unit;
    const Doubles nearest = (exact + kRounder) - kRounder;
    return nearest + (exact - nearest >= 0.5 ? splat(1.0) : Doubles{});
}

}  // namespace
}  // namespace inrcodec
