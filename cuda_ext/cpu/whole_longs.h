// Vectors of integers of 64 bits beside those of doubles, for the kernels of the latent op alone.
#pragma once

#include "whole_vector.h"

namespace inrcodec {
namespace {

typedef uint64_t Unsigned __attribute__((vector_size(8 * kLanes), may_alias));

// A whole number of less than 2^51 in size as an integer, modulo 2^64 if it is below 0.
inline Unsigned integer_of(Doubles whole) {
    const Doubles shifted = whole + kRounder;
    return reinterpret_cast<const Unsigned&>(shifted) - (Unsigned{} + 0x4338000000000000u);
}

inline Unsigned select(Longs mask, Unsigned yes, Unsigned no) {
    return mask ? yes : no;
}

// multiply_low: of the lower halves. shift_right: 0 where that is by 64 or more. gather: from a
// table.
#if defined(__AVX512F__)
inline Unsigned multiply_low(Unsigned a, Unsigned b) {
    return (Unsigned)_mm512_maskz_mul_epu32(0xff, (__m512i)a, (__m512i)b);
}
inline Unsigned shift_right(Unsigned a, Unsigned by) {
    return (Unsigned)_mm512_maskz_srlv_epi64(0xff, (__m512i)a, (__m512i)by);
}
inline Unsigned gather(const uint64_t* table, Unsigned index) {
    return (Unsigned)_mm512_mask_i64gather_epi64(_mm512_setzero_si512(), 0xff, (__m512i)index,
                                                 table, 8);
}
inline Doubles gather(const float* table, Unsigned index) {
    return _mm512_maskz_cvtps_pd(
        0xff, _mm512_mask_i64gather_ps(_mm256_setzero_ps(), 0xff, (__m512i)index, table, 4));
}
#elif defined(__AVX2__)
inline Unsigned multiply_low(Unsigned a, Unsigned b) {
    return (Unsigned)_mm256_mul_epu32((__m256i)a, (__m256i)b);
}
inline Unsigned shift_right(Unsigned a, Unsigned by) {
    return (Unsigned)_mm256_srlv_epi64((__m256i)a, (__m256i)by);
}
inline Unsigned gather(const uint64_t* table, Unsigned index) {
    return (Unsigned)_mm256_i64gather_epi64(reinterpret_cast<const long long*>(table),
                                            (__m256i)index, 8);
}
inline Doubles gather(const float* table, Unsigned index) {
    return _mm256_cvtps_pd(_mm256_i64gather_ps(table, (__m256i)index, 4));
}
#else
inline Unsigned multiply_low(Unsigned a, Unsigned b) {
    return (a & 0xffffffffu) * (b & 0xffffffffu);
}
inline Unsigned shift_right(Unsigned a, Unsigned by) {
    for (int lane = 0; lane < kLanes; ++lane) a[lane] = by[lane] < 64 ? a[lane] >> by[lane] : 0;
    return a;
}
inline Unsigned gather(const uint64_t* table, Unsigned index) {
    for (int lane = 0; lane < kLanes; ++lane) index[lane] = table[index[lane]];
    return index;
}
inline Doubles gather(const float* table, Unsigned index) {
    Doubles values{};
    for (int lane = 0; lane < kLanes; ++lane) values[lane] = table[index[lane]];
    return values;
}
#endif

}  // namespace
}  // namespace inrcodec
