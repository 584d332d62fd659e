// Small dense layers over tiles of points, in float32: one point a thread, its values a row of shared
// memory. Rows are whole fours of floats; their stride is an odd number of fours, so that the 32 rows
// of a warp lie in different banks. A 1 behind the values of a row is what biases are multiplied with.
#pragma once

#include "launch.h"

namespace inrcodec {

constexpr int kTile = 128;  // points, and threads of a block

__host__ __device__ constexpr int padded4(int n) {
    return (n + 3) / 4 * 4;
}

__host__ __device__ constexpr int tile_stride(int n) {
    return padded4(n) % 8 == 0 ? padded4(n) + 4 : padded4(n);
}

// The offset of the next `count` floats of what a block shares.
__host__ __device__ inline int take(int& used, int count) {
    const int at = used;
    used += count;
    return at;
}

__device__ inline float4 load4(const float* at) {
    return *reinterpret_cast<const float4*>(at);
}

__device__ inline void store4(float* at, float4 values) {
    *reinterpret_cast<float4*>(at) = values;
}

__device__ inline float dot4(float4 a, float4 b, float sum) {
    return sum + a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
}

// done(o, four) for each four of outputs of matrix [n_out, stride] times the first n_in of x; n_out and
// n_in are whole fours.
template <typename Done>
__device__ inline void multiply(const float* matrix, int n_out, int n_in, int stride,
                                const float* x, Done done) {
    for (int o = 0; o < n_out; o += 4, matrix += 4 * stride) {
        float4 sums = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        for (int k = 0; k < n_in; k += 4) {
            const float4 value = load4(x + k);
            sums.x = dot4(load4(matrix + k), value, sums.x);
            sums.y = dot4(load4(matrix + stride + k), value, sums.y);
            sums.z = dot4(load4(matrix + 2 * stride + k), value, sums.z);
            sums.w = dot4(load4(matrix + 3 * stride + k), value, sums.w);
        }
        done(o, sums);
    }
}

__device__ inline float4 positive(float4 v) {
    const auto part = [](float x) { return x < 0.0f ? 0.0f : x; };  // NaN stays
    return make_float4(part(v.x), part(v.y), part(v.z), part(v.w));
}

__device__ inline float4 where_positive(float4 v, float4 condition) {
    return make_float4(condition.x > 0.0f ? v.x : 0.0f, condition.y > 0.0f ? v.y : 0.0f,
                       condition.z > 0.0f ? v.z : 0.0f, condition.w > 0.0f ? v.w : 0.0f);
}

__host__ __device__ inline int outer_pairs(int n_out, int n_in) {
    return padded4(n_out) / 4 * (padded4(n_in) / 4);
}

// Sums over points of all products of a value of one kind of row and one of another: [n_out, n_in],
// both whole fours. A thread has 4 x 4 of them, over every so many points.
class Outer {
  public:
    __device__ Outer(int n_out, int n_in) : n_in_(n_in) {
        const int n_columns = n_in / 4, n_pairs = n_out / 4 * n_columns;
        const int thread = static_cast<int>(threadIdx.x), pair = thread % n_pairs;
        n_groups_ = kTile / n_pairs;
        group_ = thread / n_pairs;
        row_ = pair / n_columns * 4;
        column_ = pair % n_columns * 4;
        for (float& sum : sums_) sum = 0.0f;
    }

    // Of the rows of a tile; the threads of the block have written them.
    __device__ void add(const float* outs, int out_stride, const float* ins, int in_stride) {
        if (group_ >= n_groups_) return;
        for (int i = group_; i < kTile; i += n_groups_) {
            const float4 a = load4(outs + i * out_stride + row_);
            const float4 b = load4(ins + i * in_stride + column_);
            add_row(0, a.x, b);
            add_row(4, a.y, b);
            add_row(8, a.z, b);
            add_row(12, a.w, b);
        }
    }

    // put(o, k, sum) for all of them, in no order. `shared`: kOuterFloats.
    template <typename Put>
    __device__ void finish(int n_out, float* shared, Put put) const {
        const int n_pairs = n_out / 4 * (n_in_ / 4);
        __syncthreads();
        if (group_ < n_groups_)
            for (int i = 0; i < 16; ++i) shared[16 * threadIdx.x + i] = sums_[i];
        __syncthreads();
        for (int at = static_cast<int>(threadIdx.x); at < 16 * n_pairs; at += kTile) {
            float sum = 0.0f;
            for (int group = 0; group < n_groups_; ++group)
                sum += shared[16 * n_pairs * group + at];
            const int pair = at / 16, n_columns = n_in_ / 4;
            put(pair / n_columns * 4 + at % 16 / 4, pair % n_columns * 4 + at % 4, sum);
        }
    }

  private:
    __device__ void add_row(int at, float a, float4 b) {
        sums_[at] += a * b.x;
        sums_[at + 1] += a * b.y;
        sums_[at + 2] += a * b.z;
        sums_[at + 3] += a * b.w;
    }

    int n_in_, n_groups_, group_, row_, column_;
    float sums_[16];
};

constexpr int kOuterFloats = 16 * kTile;

// --- sums over blocks ----------------------------------------------------------------------------

constexpr int kSumColumns = 32, kSumParts = 8;

// Where the sums of the columns of partial sums [n_rows, stride] go: the first ones, then the others.
struct SumPlaces {
    float* first;
    int n_first;
    float* others;
    int n_others;
};

static __global__ void add_rows(const float* partial, int n_rows, int stride, SumPlaces to) {
    INRCODEC_SHARED(shared);
    const int column = static_cast<int>(blockIdx.x * kSumColumns + threadIdx.x);
    const int part = static_cast<int>(threadIdx.y);
    const bool is_there = column < to.n_first + to.n_others;
    float sum = 0.0f;
    for (int row = part; is_there && row < n_rows; row += kSumParts)
        sum += partial[static_cast<int64_t>(row) * stride + column];
    shared[part * kSumColumns + threadIdx.x] = sum;
    __syncthreads();
    if (part > 0 || !is_there) return;
    for (int i = 1; i < kSumParts; ++i) sum += shared[i * kSumColumns + threadIdx.x];
    (column < to.n_first ? to.first[column] : to.others[column - to.n_first]) = sum;
}

inline void sum_rows(const Launcher& launcher, const float* partial, int n_rows, int stride,
                     const SumPlaces& to) {
    launcher.run(add_rows, dim3(blocks_for(to.n_first + to.n_others, kSumColumns)),
                 dim3(kSumColumns, kSumParts), sizeof(float) * kSumColumns * kSumParts, partial,
                 n_rows, stride, to);
}

// The sum of one value of each thread of a block of n_threads, to thread 0. `shared`: n_threads.
__device__ inline float sum_of_block(float value, int n_threads, float* shared) {
    const int thread = static_cast<int>(threadIdx.x);
    __syncthreads();
    shared[thread] = value;
    for (int half = n_threads / 2; half > 0; half /= 2) {
        __syncthreads();
        if (thread < half) shared[thread] += shared[thread + half];
    }
    return shared[0];
}

}  // namespace inrcodec
