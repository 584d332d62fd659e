// Rows with margins, for the kernels of the latent_fit op alone.
#pragma once

#include "../common/latent_fit_kernels.h"
#include "row_products.h"

namespace inrcodec {
namespace {

// Floats of a row of `width` columns with its margins.
inline int64_t row_stride(int width) {
    return whole_groups(width) + 2 * kFitMargin;
}

// Fills what lies to the left and to the right of a row's columns.
inline void seal(float* row, int width, float left, float right) {
    for (int x = -kFitMargin; x < 0; ++x) row[x] = left;
    const int end = static_cast<int>(whole_groups(width)) + kFitMargin;
    for (int x = width; x < end; ++x) row[x] = right;
}

inline void seal_with_zeros(float* row, int width) {
    seal(row, width, 0.0f, 0.0f);
}

inline void seal_with_ends(float* row, int width) {
    seal(row, width, row[0], row[width - 1]);
}

inline void copy_row(const float* from, int count, float* __restrict to) {
    for (int i = 0; i < count; ++i) to[i] = from[i];
}

inline void clear_row(float* row, int width) {
    for (int x = 0; x < width; ++x) row[x] = 0.0f;
    seal_with_zeros(row, width);
}

inline int clamped(int value, int end) {
    return value < 0 ? 0 : value < end ? value : end - 1;
}

// out = sum of factors[i] rows[i], over the columns of a row and what pads them.
inline void combine(const float* const* rows, const float* factors, int n, int width, float* out) {
    const int n_columns = padded_columns(width);
    for (int at = 0; at < n_columns; at += kColumns * kLanes) {
        Floats sums[kColumns] = {};
        for (int i = 0; i < n; ++i) {
            const Floats factor = splat(factors[i]);
            for (int v = 0; v < kColumns; ++v) sums[v] += factor * load(rows[i] + at + v * kLanes);
        }
        for (int v = 0; v < kColumns; ++v) store(out + at + v * kLanes, sums[v]);
    }
}

}  // namespace
}  // namespace inrcodec
