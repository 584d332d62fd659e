// Products of small matrices with rows that may lie anywhere, for the kernels of the latent_fit op
// alone: out[o] = sum of weights[o, k] in[k] over blocks of columns, and sums over columns of the
// products of rows. Blocks of results stay in registers.
#pragma once

#include "vector.h"

namespace inrcodec {
namespace {

#if defined(__AVX512F__)
constexpr int kRows = 6, kColumns = 4;
constexpr int kSumRows = 6, kSumColumns = 4;
#else
constexpr int kRows = 6, kColumns = 2;
constexpr int kSumRows = 6, kSumColumns = 2;
#endif

// Columns as the products count them: whole blocks of vectors.
inline int padded_columns(int count) {
    constexpr int kStep = kColumns * kLanes;
    return (count + kStep - 1) / kStep * kStep;
}

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

// The place of weight [row, column] of n_rows rows, once packed: block by block of rows, column by
// column within a block.
inline int64_t packed_place(int n_rows, int n_columns, int row, int column) {
    const int n_blocks = blocks_of(n_rows, kRows);
    int block = static_cast<int>(int64_t{row} * n_blocks / n_rows);
    while (row < block_start(n_rows, block, n_blocks)) --block;
    while (row >= block_start(n_rows, block + 1, n_blocks)) ++block;
    const int first = block_start(n_rows, block, n_blocks);
    const int height = block_start(n_rows, block + 1, n_blocks) - first;
    return int64_t{first} * n_columns + int64_t{column} * height + row - first;
}

// What is done to a sum before it is stored: nothing, max(0, sum), or 0 where a mask is not positive.
enum class Finish { kPlain, kRelu, kMasked };

struct Product {
    const float* packed;  // weights [n_out, n_in], in the order of `packed_place`
    const float* biases;  // [n_out], or null
    int n_out, n_in;
};

template <Finish F>
inline Floats finish(Floats sum, const float* mask) {
    if (F == Finish::kRelu) return sum < 0.0f ? Floats{} : sum;
    if (F == Finish::kMasked) return load(mask) > 0.0f ? sum : Floats{};
    return sum;
}

template <Finish F, int R>
inline void multiply_block(const Product& product, int first, const float* const* in,
                           float* const* out, const float* const* masks, int n_columns) {
    const float* weights = product.packed + int64_t{first} * product.n_in;
    for (int at = 0; at < n_columns; at += kColumns * kLanes) {
        Floats sums[R][kColumns];
        for (int r = 0; r < R; ++r) {
            const Floats bias = splat(product.biases ? product.biases[first + r] : 0.0f);
            for (int v = 0; v < kColumns; ++v) sums[r][v] = bias;
        }
        for (int k = 0; k < product.n_in; ++k) {
            const float* row = in[k] + at;
            Floats x[kColumns];
            for (int v = 0; v < kColumns; ++v) x[v] = load(row + v * kLanes);
            for (int r = 0; r < R; ++r) {
                const Floats weight = splat(weights[k * R + r]);
                for (int v = 0; v < kColumns; ++v) sums[r][v] += weight * x[v];
            }
        }
        for (int r = 0; r < R; ++r) {
            const float* mask = F == Finish::kMasked ? masks[first + r] + at : nullptr;
            for (int v = 0; v < kColumns; ++v) {
                const float* here = F == Finish::kMasked ? mask + v * kLanes : nullptr;
                store(out[first + r] + at + v * kLanes, finish<F>(sums[r][v], here));
            }
        }
    }
}

// Rows out [n_out] = weights times rows in [n_in], plus biases, of n_columns, a whole number of
// `padded_columns`. `masks` [n_out]: rows for Finish::kMasked.
template <Finish F>
inline void multiply(const Product& product, const float* const* in, float* const* out,
                     int n_columns, const float* const* masks = nullptr) {
    const int n_blocks = blocks_of(product.n_out, kRows);
    for (int block = 0; block < n_blocks; ++block) {
        const int first = block_start(product.n_out, block, n_blocks);
        const int n_rows = block_start(product.n_out, block + 1, n_blocks) - first;
        with_number<kRows>(n_rows, [&](auto rows) {
            multiply_block<F, rows.value>(product, first, in, out, masks, n_columns);
        });
    }
}

template <int R, int N>
inline void add_block(const float* const* rows, const float* const* columns, int n_columns,
                      int stride, Floats* sums) {
    Floats block[R][N];
    for (int r = 0; r < R; ++r)
        for (int n = 0; n < N; ++n) block[r][n] = sums[r * stride + n];
    for (int at = 0; at < n_columns; at += kLanes) {
        Floats x[N];
        for (int n = 0; n < N; ++n) x[n] = load(columns[n] + at);
        for (int r = 0; r < R; ++r) {
            const Floats factor = load(rows[r] + at);
            for (int n = 0; n < N; ++n) block[r][n] += factor * x[n];
        }
    }
    for (int r = 0; r < R; ++r)
        for (int n = 0; n < N; ++n) sums[r * stride + n] = block[r][n];
}

// sums [n_rows, n_others], vectors whose lanes are to be added up, += the products of `rows` with
// `others`, over n_columns, a whole number of vectors.
inline void add_products(const float* const* rows, int n_rows, const float* const* others,
                         int n_others, int n_columns, Floats* sums) {
    const int row_blocks = blocks_of(n_rows, kSumRows);
    const int column_blocks = blocks_of(n_others, kSumColumns);
    for (int i = 0; i < row_blocks; ++i) {
        const int row = block_start(n_rows, i, row_blocks);
        const int height = block_start(n_rows, i + 1, row_blocks) - row;
        for (int j = 0; j < column_blocks; ++j) {
            const int column = block_start(n_others, j, column_blocks);
            const int width = block_start(n_others, j + 1, column_blocks) - column;
            with_number<kSumColumns>(width, [&](auto n) {
                with_number<kSumRows>(height, [&](auto r) {
                    add_block<r.value, n.value>(rows + row, others + column, n_columns, n_others,
                                                sums + int64_t{row} * n_others + column);
                });
            });
        }
    }
}

// The sum of the lanes, in an order that does not depend on the compiler.
inline float total(Floats lanes) {
    for (int half = kLanes / 2; half > 0; half /= 2)
        for (int lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
    return lanes[0];
}

// Hands out aligned pieces of a buffer; of none, to find how large it has to be.
struct Pieces {
    float* buffer;
    int64_t used = 0;

    float* take(int64_t n_floats) {
        float* const piece = buffer ? buffer + used : nullptr;
        used += (n_floats + kLanes - 1) / kLanes * kLanes;
        return piece;
    }
};

}  // namespace
}  // namespace inrcodec
