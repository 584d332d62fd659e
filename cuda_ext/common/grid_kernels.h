// The CPU kernels of the grid op, one set per instruction set. A kernel works on some points and
// some levels, and knows nothing of threads.
#pragma once

#include "grid.h"

namespace inrcodec {

struct GridSpan {
    int64_t first, last;  // points
    int level_first, level_last;
};

struct GridKernels {
    // Writes the span's part of `out`.
    void (*forward)(const Grid&, const GridCall&, const GridSpan&);
    // Adds the span's part to `sums` [n_entries, n_features], in the order of the points.
    void (*table_gradient)(const Grid&, const GridCall&, const GridSpan&, float* sums);
    // Writes the points' rows of `out`; the span holds all levels.
    void (*coords_gradient)(const Grid&, const GridCall&, const GridSpan&);
};

constexpr int kGridBlock = 128;  // points that a kernel handles together; spans start at multiples

extern const GridKernels kGridKernelsBaseline;
extern const GridKernels kGridKernelsAvx2;
extern const GridKernels kGridKernelsAvx512;

}  // namespace inrcodec
