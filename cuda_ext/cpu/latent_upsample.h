// The upsampling of latent grids, there and back, for the kernels of the latent_fit op alone.
//
// A step doubles columns, then rows. Along either axis, with t0 ... t4 the values at places -2 ... 2,
// the ends repeated beyond themselves, and a kernel (far, wide, near, middle):
//     even = far t0 + near t1 + middle t2 + wide t3,  odd = wide t1 + middle t2 + near t3 + far t4.
// The filter has the taps k0 k1 k2 k3 k2 k1 k0 along both axes, with zeros beyond the ends.
#pragma once

#include "latent_rows.h"

namespace inrcodec {
namespace {

constexpr int kReach = 2;  // of the kernel that doubles
constexpr int kTaps = 7;   // of the filter
constexpr int kHalf = kTaps / 2;

// Factors of t0 ... t4.
struct RiseKernel {
    float even[5], odd[5];

    explicit RiseKernel(const float* k)
        : even{k[0], k[2], k[3], k[1], 0.0f}, odd{0.0f, k[1], k[3], k[2], k[0]} {}
};

struct FilterKernel {
    float taps[kTaps];

    explicit FilterKernel(const float* k) : taps{k[0], k[1], k[2], k[3], k[2], k[1], k[0]} {}
};

// Rows of scratch, with margins.
struct ScratchRows {
    float* at;
    int64_t stride;

    float* row(int64_t number) const { return at + number * stride + kFitMargin; }
};

int64_t rise_scratch(int width, int n_rows) {
    return (int64_t{n_rows} + 2 * kHalf + 8) * row_stride(width) + 64 * kLanes;
}

// --- doubling ------------------------------------------------------------------------------------

// Columns of `in`, with its ends repeated in the margins, become twice as many; no more than `width`
// of them are needed.
inline void double_columns(const float* in, int n, const RiseKernel& kernel, int width,
                           float* __restrict out) {
    const float far = kernel.even[0], near = kernel.even[1], middle = kernel.even[2],
                wide = kernel.even[3];
    for (int x = 0; x < n; ++x) {
        out[2 * x] = far * in[x - 2] + near * in[x - 1] + middle * in[x] + wide * in[x + 1];
        out[2 * x + 1] = wide * in[x - 1] + middle * in[x] + near * in[x + 1] + far * in[x + 2];
    }
    seal_with_zeros(out, width);
}

// The wide rows that a strip sees, from `kReach` above it to as many below.
inline void double_strip(const RiseStrip& strip, const RiseKernel& kernel,
                         const ScratchRows& wide) {
    for (int y = strip.first - kReach; y < strip.last + kReach; ++y) {
        const float* in = strip.from.row(clamped(y, strip.from.height));
        double_columns(in, strip.from.width, kernel, strip.to.width,
                       wide.row(y - strip.first + kReach));
    }
}

void rise(const RiseStrip& strip, float* scratch) {
    const RiseKernel kernel(strip.kernel);
    const int width = strip.to.width;
    const ScratchRows wide{scratch, row_stride(width)};
    double_strip(strip, kernel, wide);
    for (int y = strip.first; y < strip.last; ++y) {
        const float* rows[5];
        for (int k = 0; k < 5; ++k) rows[k] = wide.row(y - strip.first + k);
        for (int odd = 0; odd < 2 && 2 * y + odd < strip.to.height; ++odd) {
            float* const out = strip.to.row(2 * y + odd);
            combine(rows + odd, (odd ? kernel.odd : kernel.even) + odd, 4, width, out);
            seal_with_ends(out, width);
        }
    }
}

// The gradient of a wide row, from that of the high rows that it is part of.
inline void pass_rows(const RiseStrip& strip, const RiseKernel& kernel, int y, float* out) {
    const float* rows[10];
    float factors[10];
    int n = 0;
    for (int from = y - kReach; from <= y + kReach; ++from) {
        if (from < 0 || from >= strip.from.height) continue;
        for (int odd = 0; odd < 2 && 2 * from + odd < strip.to.height; ++odd) {
            float factor = 0.0f;
            for (int k = 0; k < 5; ++k) {
                const bool is_here = clamped(from + k - kReach, strip.from.height) == y;
                if (is_here) factor += odd ? kernel.odd[k] : kernel.even[k];
            }
            rows[n] = strip.to_gradient.row(2 * from + odd);
            factors[n++] = factor;
        }
    }
    combine(rows, factors, n, strip.to.width, out);
}

// The gradient at column x, which may lie beyond the ends, from those of even and odd columns.
inline float slope_at(const RiseKernel& kernel, const float* const* halves, int x) {
    float sum = 0.0f;
    for (int k = 0; k < 5; ++k) {
        sum += kernel.even[k] * halves[0][x + kReach - k];
        sum += kernel.odd[k] * halves[1][x + kReach - k];
    }
    return sum;
}

inline void pass_columns(const RiseKernel& kernel, const float* const* halves, int n, float* out) {
    const float* rows[10];
    float factors[10];
    for (int k = 0; k < 5; ++k) {
        rows[k] = halves[0] + kReach - k;
        rows[5 + k] = halves[1] + kReach - k;
        factors[k] = kernel.even[k];
        factors[5 + k] = kernel.odd[k];
    }
    combine(rows, factors, 10, n, out);
    const float before = slope_at(kernel, halves, -2) + slope_at(kernel, halves, -1);
    const float after = slope_at(kernel, halves, n) + slope_at(kernel, halves, n + 1);
    out[0] += before;
    out[n - 1] += after;
    seal_with_zeros(out, n);
}

void pass_rise(const RiseStrip& strip, float* scratch) {
    const RiseKernel kernel(strip.kernel);
    const int width = strip.to.width, n = strip.from.width, n_rows = strip.last - strip.first;
    const ScratchRows wide{scratch, row_stride(width)};
    float* const slopes = wide.row(n_rows + 2 * kReach);
    float* const halves[2] = {wide.row(n_rows + 2 * kReach + 1), wide.row(n_rows + 2 * kReach + 2)};
    float* const zeros = wide.row(n_rows + 2 * kReach + 3);
    Floats sums[10] = {};
    double_strip(strip, kernel, wide);
    clear_row(zeros, width);
    clear_row(slopes, width);
    for (int y = strip.first; y < strip.last; ++y) {
        const float *seen[5], *high[2];
        for (int k = 0; k < 5; ++k) seen[k] = wide.row(y - strip.first + k);
        for (int odd = 0; odd < 2; ++odd)
            high[odd] = 2 * y + odd < strip.to.height ? strip.to_gradient.row(2 * y + odd) : zeros;
        add_products(high, 2, seen, 5, padded_columns(width), sums);
        pass_rows(strip, kernel, y, slopes);
        for (int x = 0; x < n; ++x) {
            halves[0][x] = slopes[2 * x];
            halves[1][x] = slopes[2 * x + 1];
        }
        for (float* half : halves) seal_with_zeros(half, n);
        for (int k = 0; k < 5; ++k) seen[k] = strip.from.row(y) + k - kReach;
        add_products(halves, 2, seen, 5, padded_columns(n), sums);
        pass_columns(kernel, halves, n, strip.from_gradient.row(y));
    }
    strip.kernel_gradient[0] = total(sums[0]) + total(sums[9]);
    strip.kernel_gradient[1] = total(sums[3]) + total(sums[6]);
    strip.kernel_gradient[2] = total(sums[1]) + total(sums[8]);
    strip.kernel_gradient[3] = total(sums[2]) + total(sums[7]);
}

// --- the filter ----------------------------------------------------------------------------------

// The taps of a row with zeros in its margins.
inline void filter_columns(const float* in, int width, const FilterKernel& kernel, float* out) {
    const float* rows[kTaps];
    for (int k = 0; k < kTaps; ++k) rows[k] = in + k - kHalf;
    combine(rows, kernel.taps, kTaps, width, out);
}

// The filtered rows that a strip sees, from kHalf above it to as many below; `row` is for one.
inline void filter_strip(const RiseStrip& strip, const FilterKernel& kernel,
                         const ScratchRows& filtered, float* row) {
    const int width = strip.to.width;
    for (int y = strip.first - kHalf; y < strip.last + kHalf; ++y) {
        float* const out = filtered.row(y - strip.first + kHalf);
        clear_row(out, width);
        if (y < 0 || y >= strip.to.height) continue;
        copy_row(strip.from.row(y), width, row);
        filter_columns(row, width, kernel, out);
    }
}

void sharpen(const RiseStrip& strip, float* scratch) {
    const FilterKernel kernel(strip.kernel);
    const int width = strip.to.width, n_rows = strip.last - strip.first;
    const ScratchRows filtered{scratch, row_stride(width)};
    float* const row = filtered.row(n_rows + 2 * kHalf);
    clear_row(row, width);
    filter_strip(strip, kernel, filtered, row);
    for (int y = strip.first; y < strip.last; ++y) {
        const float* rows[kTaps];
        for (int k = 0; k < kTaps; ++k) rows[k] = filtered.row(y - strip.first + k);
        combine(rows, kernel.taps, kTaps, width, strip.to.row(y));
        seal_with_ends(strip.to.row(y), width);
    }
}

void pass_sharpen(const RiseStrip& strip, float* scratch) {
    const FilterKernel kernel(strip.kernel);
    const int width = strip.to.width, n_rows = strip.last - strip.first;
    const ScratchRows filtered{scratch, row_stride(width)};
    float* const row = filtered.row(n_rows + 2 * kHalf);
    float* const slopes = filtered.row(n_rows + 2 * kHalf + 1);
    float* const out = filtered.row(n_rows + 2 * kHalf + 2);
    float* const zeros = filtered.row(n_rows + 2 * kHalf + 3);
    float* const all[] = {row, slopes, zeros};
    for (float* each : all) clear_row(each, width);
    filter_strip(strip, kernel, filtered, row);
    Floats sums[kTaps] = {};
    for (int y = strip.first; y < strip.last; ++y) {
        const float *seen[kTaps], *around[kTaps];
        for (int k = 0; k < kTaps; ++k) {
            seen[k] = filtered.row(y - strip.first + k);
            const int at = y + k - kHalf;
            around[k] = at < 0 || at >= strip.to.height ? zeros : strip.to_gradient.row(at);
        }
        add_products(around + kHalf, 1, seen, kTaps, padded_columns(width), sums);
        combine(around, kernel.taps, kTaps, width, slopes);
        copy_row(strip.from.row(y), width, row);
        for (int k = 0; k < kTaps; ++k) seen[k] = row + k - kHalf;
        add_products(&slopes, 1, seen, kTaps, padded_columns(width), sums);
        filter_columns(slopes, width, kernel, out);
        copy_row(out, width, strip.from_gradient.row(y));
    }
    for (int k = 0; k < kHalf; ++k)
        strip.kernel_gradient[k] = total(sums[k]) + total(sums[kTaps - 1 - k]);
    strip.kernel_gradient[kHalf] = total(sums[kHalf]);
}

}  // namespace
}  // namespace inrcodec
