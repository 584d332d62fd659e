// Vectors of floats as wide as the instruction set has them, for CPU kernels.
// Everything here is local to the file that includes it, as each variant needs its own.
#pragma once

#include <cstdint>

namespace inrcodec {
namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

typedef float Floats __attribute__((vector_size(4 * kLanes), may_alias));
typedef int32_t Ints __attribute__((vector_size(4 * kLanes), may_alias));
typedef uint32_t Words __attribute__((vector_size(4 * kLanes), may_alias));
// Vectors that may lie anywhere a float may.
typedef float LooseFloats __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));
typedef uint32_t LooseWords __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

inline Floats* vectors(float* at) {
    return reinterpret_cast<Floats*>(at);
}
inline const Floats* vectors(const float* at) {
    return reinterpret_cast<const Floats*>(at);
}

inline Floats load(const float* at) {
    return *reinterpret_cast<const LooseFloats*>(at);
}
inline Words load(const uint32_t* at) {
    return *reinterpret_cast<const LooseWords*>(at);
}
inline void store(float* at, Floats value) {
    *reinterpret_cast<LooseFloats*>(at) = value;
}
inline void store(uint32_t* at, Words value) {
    *reinterpret_cast<LooseWords*>(at) = value;
}

inline Floats splat(float value) {
    return Floats{} + value;
}

// --- transposition -------------------------------------------------------------------------------

template <int... I>
struct Indices {};
#if defined(__AVX512F__)
using AllLanes = Indices<0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15>;
#elif defined(__AVX__)
using AllLanes = Indices<0, 1, 2, 3, 4, 5, 6, 7>;
#else
using AllLanes = Indices<0, 1, 2, 3>;
#endif

// Lane i of the result is lane I of a, or lane I - kLanes of b.
template <int... I>
inline Floats choose(Floats a, Floats b) {
#if defined(__clang__)
    return __builtin_shufflevector(a, b, I...);
#else
    return __builtin_shuffle(a, b, Ints{I...});
#endif
}

// Swaps the blocks beside the diagonal of a matrix of blocks of S lanes: a's upper with b's lower.
template <int S, int... I>
inline void swap_blocks(Floats& a, Floats& b, Indices<I...>) {
    const Floats upper = choose<((I & S) ? kLanes + I - S : I)...>(a, b);
    b = choose<((I & S) ? kLanes + I : I + S)...>(a, b);
    a = upper;
}

template <int S>
inline void transpose_blocks(Floats (&rows)[kLanes]) {
    for (int i = 0; i < kLanes; ++i)
        if (!(i & S)) swap_blocks<S>(rows[i], rows[i + S], AllLanes{});
    if constexpr (2 * S < kLanes) transpose_blocks<2 * S>(rows);
}

// The columns of a square become its rows.
inline void transpose(Floats (&rows)[kLanes]) {
    transpose_blocks<1>(rows);
}

}  // namespace
}  // namespace inrcodec
