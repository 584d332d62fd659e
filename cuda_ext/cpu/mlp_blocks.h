// Products of matrices in blocks that stay in registers, for the kernels of the mlp op alone.
//
// A tile of values is [n, kMlpTile]: one row per input or output of a layer, points in the lanes,
// so that no size wastes lanes. Only the gradient of the weights sums over points; there one factor
// is transposed, and inputs lie in the lanes.
#pragma once

#include "../common/mlp_kernels.h"
#include "vector.h"

namespace inrcodec {
namespace {

constexpr int kTileVectors = kMlpTile / kLanes;

// Blocks of `kRows` rows by `kColumns` vectors of sums fill the registers that there are.
#if defined(__AVX512F__)
constexpr int kRows = 6, kColumns = 4;
constexpr int kSumRows = 8, kSumColumns = 3;
#else
constexpr int kRows = 6, kColumns = 2;
constexpr int kSumRows = 6, kSumColumns = 2;
#endif

inline int blocks_of(int n, int most) {
    return (n + most - 1) / most;
}

// Where block `number` of `n_blocks` nearly equal ones begins.
inline int block_start(int n, int number, int n_blocks) {
    return static_cast<int>(int64_t{n} * number / n_blocks);
}

template <int N>
struct Number {
    static constexpr int value = N;
};

// Calls run(Number<n>) for an n in [1, N].
template <int N, typename Run>
inline void with_number(int n, Run run) {
    if constexpr (N > 1) {
        if (n < N) return with_number<N - 1>(n, run);
    }
    run(Number<N>{});
}

// The rows of a matrix block by block, column by column within a block.
inline void pack_rows(const float* matrix, int n_rows, int n_columns, int64_t row_step,
                      int64_t column_step, float* packed) {
    const int n_blocks = blocks_of(n_rows, kRows);
    for (int block = 0; block < n_blocks; ++block) {
        const int first = block_start(n_rows, block, n_blocks);
        const int last = block_start(n_rows, block + 1, n_blocks);
        for (int c = 0; c < n_columns; ++c)
            for (int r = first; r < last; ++r) *packed++ = matrix[r * row_step + c * column_step];
    }
}

template <int R>
inline void multiply_block(const float* weights, const float* biases, int n_in, const Floats* in,
                           Floats* out) {
    for (int at = 0; at < kTileVectors; at += kColumns) {
        Floats sums[R][kColumns];
        for (int r = 0; r < R; ++r)
            for (int v = 0; v < kColumns; ++v) sums[r][v] = splat(biases ? biases[r] : 0.0f);
        for (int c = 0; c < n_in; ++c) {
            const Floats* x = in + int64_t{c} * kTileVectors + at;
            for (int r = 0; r < R; ++r)
                for (int v = 0; v < kColumns; ++v) sums[r][v] += weights[c * R + r] * x[v];
        }
        for (int r = 0; r < R; ++r)
            for (int v = 0; v < kColumns; ++v) out[r * kTileVectors + at + v] = sums[r][v];
    }
}

// out [n_out] = weights, packed, times in [n_in], plus biases unless null.
inline void multiply(const float* packed, const float* biases, int n_out, int n_in,
                     const Floats* in, Floats* out) {
    const int n_blocks = blocks_of(n_out, kRows);
    for (int block = 0; block < n_blocks; ++block) {
        const int first = block_start(n_out, block, n_blocks);
        const int n_rows = block_start(n_out, block + 1, n_blocks) - first;
        with_number<kRows>(n_rows, [&](auto rows) {
            multiply_block<rows.value>(packed + int64_t{first} * n_in,
                                       biases ? biases + first : nullptr, n_in, in,
                                       out + int64_t{first} * kTileVectors);
        });
    }
}

template <int R, int N>
inline void add_block(const float* rows, const Floats* columns, int stride, Floats* sums) {
    Floats block[R][N];
    for (int r = 0; r < R; ++r)
        for (int v = 0; v < N; ++v) block[r][v] = sums[r * stride + v];
    for (int p = 0; p < kMlpTile; ++p) {
        const Floats* x = columns + int64_t{p} * stride;
        for (int r = 0; r < R; ++r)
            for (int v = 0; v < N; ++v) block[r][v] += rows[r * kMlpTile + p] * x[v];
    }
    for (int r = 0; r < R; ++r)
        for (int v = 0; v < N; ++v) sums[r * stride + v] = block[r][v];
}

// sums [n_rows, stride] += rows [n_rows, kMlpTile] times columns [kMlpTile, stride], in vectors.
inline void add_products(const float* rows, int n_rows, const Floats* columns, int stride,
                         Floats* sums) {
    const int row_blocks = blocks_of(n_rows, kSumRows);
    const int column_blocks = blocks_of(stride, kSumColumns);
    for (int j = 0; j < column_blocks; ++j) {
        const int column = block_start(stride, j, column_blocks);
        const int n_columns = block_start(stride, j + 1, column_blocks) - column;
        for (int i = 0; i < row_blocks; ++i) {
            const int row = block_start(n_rows, i, row_blocks);
            const int n = block_start(n_rows, i + 1, row_blocks) - row;
            with_number<kSumColumns>(n_columns, [&](auto width) {
                with_number<kSumRows>(n, [&](auto height) {
                    add_block<height.value, width.value>(rows + int64_t{row} * kMlpTile,
                                                         columns + column, stride,
                                                         sums + int64_t{row} * stride + column);
                });
            });
        }
    }
}

// A tile [n_rows, kMlpTile] becomes [kMlpTile, stride], in vectors; what is past n_rows is zero.
inline void transpose_tile(const Floats* tile, int n_rows, int stride, Floats* out) {
    for (int group = 0; group < stride; ++group) {
        const int first = group * kLanes;
        for (int at = 0; at < kTileVectors; ++at) {
            Floats square[kLanes];
            for (int i = 0; i < kLanes; ++i) {
                const bool inside = first + i < n_rows;
                square[i] = inside ? tile[int64_t{first + i} * kTileVectors + at] : Floats{};
            }
            transpose(square);
            for (int i = 0; i < kLanes; ++i)
                out[int64_t{at * kLanes + i} * stride + group] = square[i];
        }
    }
}

}  // namespace
}  // namespace inrcodec
