// Products of matrices of whole numbers in blocks that stay in registers, for the kernels of the
// latent and the synthesis op.
//
// Points lie in the lanes. An input is a run of points anywhere in memory; the runs of the outputs
// have one distance.
#pragma once

#include "whole_vector.h"

namespace inrcodec {
namespace {

constexpr int kTile = 32;
constexpr int kTileVectors = kTile / kLanes;
constexpr int kRows = 6;

// Vectors of sums for each of R rows: with the inputs and a weight they fill the registers there are.
template <int R>
constexpr int columns_for() {
#if defined(__AVX512F__)
    return 4;
#else
    return R <= 3 ? 4 : 2;
#endif
}

inline int blocks_of(int n, int most) {
    return (n + most - 1) / most;
}

// Where block `number` of `n_blocks` nearly equal ones begins.
inline int block_start(int n, int number, int n_blocks) {
    return n * number / n_blocks;
}

// The rows of a matrix [n_rows, n_columns] block by block, column by column within a block.
inline void pack_rows(const double* matrix, int n_rows, int n_columns, double* packed) {
    const int n_blocks = blocks_of(n_rows, kRows);
    for (int block = 0; block < n_blocks; ++block) {
        const int last = block_start(n_rows, block + 1, n_blocks);
        for (int c = 0; c < n_columns; ++c)
            for (int r = block_start(n_rows, block, n_blocks); r < last; ++r)
                *packed++ = matrix[r * n_columns + c];
    }
}

// Vectors that hold the next of `left` points, up to a tile.
inline int vectors_of(int64_t left) {
    return left < kTile ? (static_cast<int>(left) + kLanes - 1) / kLanes : kTileVectors;
}

// Biases for `Rounded`.
inline void pack_biases(const double* biases, int n, double* packed) {
    for (int i = 0; i < n; ++i) packed[i] = biases[i] + 0.5;
}

// What becomes of a sum. `Plain` leaves it; `Rounded` multiplies by a power of two, rounds half up,
// and clips: its biases have 1/2 added, and their sums stay below 2^52.
struct Plain {
    Doubles operator()(Doubles sum) const { return sum; }
};

struct Rounded {
    double unit, low, high;

    Doubles operator()(Doubles sum) const {
        return smaller(larger(round_shifted(sum, unit), splat(low)), splat(high));
    }
};

// A layer of a network: `weights`, packed, and biases.
struct Layer {
    const double* weights;
    const double* biases;
    int n_out, n_in;
};

template <int R, int C, typename Finish>
inline void multiply_columns(const double* weights, const double* biases, int n_in,
                             const double* const* in, int at, const Finish& finish, double* out,
                             int64_t stride) {
    Doubles sums[R][C];
    for (int r = 0; r < R; ++r)
        for (int v = 0; v < C; ++v) sums[r][v] = splat(biases[r]);
    for (int c = 0; c < n_in; ++c) {
        const double* x = in[c] + at;
        Doubles inputs[C];
        for (int v = 0; v < C; ++v) inputs[v] = load(x + v * kLanes);
        for (int r = 0; r < R; ++r)
            for (int v = 0; v < C; ++v) sums[r][v] += weights[c * R + r] * inputs[v];
    }
    const Finish known = finish;  // whatever is written
    for (int r = 0; r < R; ++r)
        for (int v = 0; v < C; ++v) store(out + r * stride + at + v * kLanes, known(sums[r][v]));
}

// Not to be inlined: what is known of the arrays of a caller does not fit every R.
template <int R, typename Finish>
__attribute__((noinline)) void multiply_rows(const double* weights, const double* biases, int n_in,
                                             const double* const* in, int n_vectors,
                                             const Finish& finish, double* out, int64_t stride) {
    constexpr int kColumns = columns_for<R>();
    int v = 0;
    for (; v + kColumns <= n_vectors; v += kColumns)
        multiply_columns<R, kColumns>(weights, biases, n_in, in, v * kLanes, finish, out, stride);
    for (; v + 2 <= n_vectors; v += 2)
        multiply_columns<R, 2>(weights, biases, n_in, in, v * kLanes, finish, out, stride);
    if (v < n_vectors)
        multiply_columns<R, 1>(weights, biases, n_in, in, v * kLanes, finish, out, stride);
}

template <int R, typename Finish>
inline void multiply_any(int n_rows, const double* weights, const double* biases, int n_in,
                         const double* const* in, int n_vectors, const Finish& finish, double* out,
                         int64_t stride) {
    if constexpr (R > 1) {
        if (n_rows < R) {
            return multiply_any<R - 1>(n_rows, weights, biases, n_in, in, n_vectors, finish, out,
                                       stride);
        }
    }
    multiply_rows<R>(weights, biases, n_in, in, n_vectors, finish, out, stride);
}

// out [n_out, stride] = the layer at the first n_vectors vectors of the inputs `in` [n_in].
template <typename Finish>
inline void multiply(const Layer& layer, const double* const* in, int n_vectors,
                     const Finish& finish, double* out, int64_t stride) {
    const int n_blocks = blocks_of(layer.n_out, kRows);
    for (int block = 0; block < n_blocks; ++block) {
        const int first = block_start(layer.n_out, block, n_blocks);
        const int n_rows = block_start(layer.n_out, block + 1, n_blocks) - first;
        multiply_any<kRows>(n_rows, layer.weights + first * layer.n_in, layer.biases + first,
                            layer.n_in, in, n_vectors, finish, out + first * stride, stride);
    }
}

}  // namespace
}  // namespace inrcodec
