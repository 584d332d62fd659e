// Rows of tables and features of a grid on the GPU, whatever their numbers are, and the sums of rows.
// A kernel learns the kind of numbers when it runs, by a branch that all threads take alike: kernels
// are many already. For grid_encode.cu.
#pragma once

#include "../common/grid.h"
#include "launch.h"

// Of Hopper on, and of CUDA 12.1 on, as far as is known; on the host for tests.
#if defined(INRCODEC_CUDA_ON_HOST)
#define INRCODEC_VECTOR_ATOMICS
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
#if __CUDACC_VER_MAJOR__ > 12 || (__CUDACC_VER_MAJOR__ == 12 && __CUDACC_VER_MINOR__ >= 1)
#define INRCODEC_VECTOR_ATOMICS
#endif
#endif

#if defined(INRCODEC_CUDA_ON_HOST)
#include "on_host_half.h"
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

namespace inrcodec {
namespace {

// The bytes that a row of F numbers of T is aligned to.
template <class T, int F>
constexpr size_t kRowAlignment = sizeof(T) * F < 16 ? sizeof(T) * F : 16;

template <class T, int F>
struct alignas(kRowAlignment<T, F>) Packed {
    T at[F];
};

template <int F>
struct Row {
    float at[F];
};

__device__ float number_of(float value) {
    return value;
}
__device__ float number_of(__half value) {
    return __half2float(value);
}
__device__ float number_of(__nv_bfloat16 value) {
    return __bfloat162float(value);
}
__device__ void set_number(float& to, float value) {
    to = value;
}
__device__ void set_number(__half& to, float value) {
    to = __float2half(value);
}
__device__ void set_number(__nv_bfloat16& to, float value) {
    to = __float2bfloat16(value);
}

// Calls use(T) with a number of the kind that rows are of.
template <typename Use>
__device__ void with_values(GridValues values, Use use) {
    if (values == GridValues::kFloat32) {
        use(0.0f);
    } else if (values == GridValues::kFloat16) {
        use(__half());
    } else {
        use(__nv_bfloat16());
    }
}

// Row `number` of F numbers of T.
template <class T, int F>
__device__ Row<F> row_of(const void* rows, int64_t number) {
    const Packed<T, F> packed = static_cast<const Packed<T, F>*>(rows)[number];
    Row<F> row;
    for (int f = 0; f < F; ++f) row.at[f] = number_of(packed.at[f]);
    return row;
}

template <int F>
__device__ Row<F> load_row(const void* rows, int64_t number, GridValues values) {
    Row<F> row;
    with_values(values, [&](auto kind) { row = row_of<decltype(kind), F>(rows, number); });
    return row;
}

__device__ float load_number(const void* numbers, int64_t at, GridValues values) {
    return load_row<1>(numbers, at, values).at[0];
}

__device__ void store_number(void* numbers, int64_t at, GridValues values, float value) {
    with_values(values,
                [&](auto kind) { set_number(static_cast<decltype(kind)*>(numbers)[at], value); });
}

// --- sums ----------------------------------------------------------------------------------------

// How the rows of a table's gradient are summed. Fast: in no fixed order. Else in whole numbers,
// which give the same in any order: the largest term is found first, and terms are rounded to the
// smallest unit with which all of them together stay below 2^62.
enum class Summing { kFast, kLargest, kWhole };

struct Sums {
    Summing how = Summing::kFast;
    float* fast = nullptr;        // [n_entries, n_features]
    long long* whole = nullptr;   // likewise
    unsigned* largest = nullptr;  // the bits of the largest size of a term; those of NaN if any is
    int n_bits = 0;               // that a term may have
    uint32_t n_rows = 0;
};

// The unit of whole terms is 2^-shift.
__device__ int shift_of(const Sums& sums) {
    const float largest = __uint_as_float(*sums.largest);
    return largest > 0.0f ? sums.n_bits - 1 - ilogbf(largest) : 0;
}

__device__ bool is_finite(unsigned bits) {
    return (bits & 0x7f800000u) != 0x7f800000u;
}

__device__ void note_largest(unsigned* largest, float term) {
    const unsigned bits = __float_as_uint(fabsf(term));
    if (bits > *static_cast<volatile unsigned*>(largest)) atomicMax(largest, bits);
}

template <int F>
__device__ void add_fast(float* to, float weight, const Row<F>& row) {
#if defined(INRCODEC_VECTOR_ATOMICS)
    if constexpr (F == 2) {
        const float2 term = make_float2(weight * row.at[0], weight * row.at[1]);
        atomicAdd(reinterpret_cast<float2*>(to), term);
        return;
    } else if constexpr (F >= 4) {
        for (int f = 0; f < F; f += 4) {
            const float4 term = make_float4(weight * row.at[f], weight * row.at[f + 1],
                                            weight * row.at[f + 2], weight * row.at[f + 3]);
            atomicAdd(reinterpret_cast<float4*>(to + f), term);
        }
        return;
    }
#endif
    for (int f = 0; f < F; ++f) atomicAdd(to + f, weight * row.at[f]);
}

// Adds weight * row to row `number` of the sums.
template <int F>
__device__ void add_row(const Sums& sums, int64_t number, float weight, const Row<F>& row) {
    if (sums.how == Summing::kFast) return add_fast<F>(sums.fast + number * F, weight, row);
    for (int f = 0; f < F; ++f) {
        const float term = weight * row.at[f];
        if (sums.how == Summing::kLargest) {
            note_largest(sums.largest, term);
        } else if (is_finite(*sums.largest)) {
            const long long whole = llrint(ldexp(static_cast<double>(term), shift_of(sums)));
            atomicAdd(reinterpret_cast<unsigned long long*>(sums.whole + number * F + f),
                      static_cast<unsigned long long>(whole));
        }
    }
}

// Values that a thread finishes.
constexpr int kFinished = 8;

__device__ float summed_value(const Sums& sums, int64_t at) {
    if (!sums.whole) return sums.fast[at];
    if (!is_finite(*sums.largest)) return nanf("");
    return static_cast<float>(ldexp(static_cast<double>(sums.whole[at]), -shift_of(sums)));
}

// The gradient that the sums make, in numbers of any kind.
__global__ void finish_sums(const Sums sums, int64_t n_values, void* out, GridValues values) {
    const int64_t first = kFinished * (int64_t{blockIdx.x} * blockDim.x + threadIdx.x);
    if (first >= n_values) return;
    float sum[kFinished] = {};
    for (int i = 0; i < kFinished && first + i < n_values; ++i)
        sum[i] = summed_value(sums, first + i);
    with_values(values, [&](auto kind) {
        using T = decltype(kind);
        Packed<T, kFinished> packed;
        for (int i = 0; i < kFinished; ++i) set_number(packed.at[i], sum[i]);
        T* const to = static_cast<T*>(out) + first;
        if (first + kFinished <= n_values) {
            *reinterpret_cast<Packed<T, kFinished>*>(to) = packed;
        } else {
            for (int i = 0; first + i < n_values; ++i) to[i] = packed.at[i];
        }
    });
}

}  // namespace
}  // namespace inrcodec
