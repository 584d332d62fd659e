// The kernels of the hidden layer of the synthesis, there and back, for latent_pixels.cu alone. Tiles of
// pixels go through it, one pixel a thread.
#pragma once

#include "latent_pixels_layout.h"

namespace inrcodec {
namespace {

// Offsets in floats, of weights and of rows of the tile. Rows of the stack and of hidden values have a 1
// behind their values.
struct Shared {
    int m, m4, m_row, m_stride, levels, l4, l_row, l_stride, c, c4, c_stride;
    int lift, lower, back_lower, back_lift, back_blend, stack, hidden, slopes, ends, size;

    __host__ __device__ explicit Shared(const FitShape& shape) {
        m = shape.n_hidden;
        m4 = padded4(m);
        m_row = padded4(m + 1);
        m_stride = tile_stride(m + 1);
        levels = shape.n_levels;
        l4 = padded4(levels);
        l_row = padded4(levels + 1);
        l_stride = tile_stride(levels + 1);
        c = shape.n_channels;
        c4 = padded4(c);
        c_stride = tile_stride(c);
        int used = 0;
        lift = take(used, m4 * l_row);
        lower = take(used, c4 * m_row);
        back_lower = take(used, m4 * c4);
        back_lift = take(used, l4 * m4);
        back_blend = take(used, l4 * c4);
        stack = take(used, kTile * l_stride);
        hidden = take(used, kTile * m_stride);
        slopes = take(used, kTile * c_stride);
        ends = take(used, kTile * c_stride);
        size = used;
    }
};

// [n_rows, n_columns] of zeros but for the first rows and columns of `from`, and `last` behind them.
__device__ void share_matrix(const float* from, int rows, int columns, const float* last,
                             int n_rows, int n_columns, float* to) {
    for (int i = static_cast<int>(threadIdx.x); i < n_rows * n_columns; i += kTile) {
        const int o = i / n_columns, k = i % n_columns;
        float value = 0.0f;
        if (o < rows && k < columns) value = from[o * columns + k];
        if (o < rows && k == columns && last) value = last[o];
        to[i] = value;
    }
}

// The same, transposed: [n_rows, n_columns] of `from` [columns, rows].
__device__ void share_transposed(const float* from, int rows, int columns, int n_rows,
                                 int n_columns, float* to) {
    for (int i = static_cast<int>(threadIdx.x); i < n_rows * n_columns; i += kTile) {
        const int o = i / n_columns, k = i % n_columns;
        to[i] = o < rows && k < columns ? from[k * rows + o] : 0.0f;
    }
}

__device__ void share_forward(const Shared& at, const PixelsLayout& layout, const float* parameters,
                              float* shared) {
    share_matrix(parameters + layout.lift, at.m, at.levels, parameters + layout.lift_bias, at.m4,
                 at.l_row, shared + at.lift);
    share_matrix(parameters + layout.lower, at.c, at.m, parameters + layout.lower_bias, at.c4,
                 at.m_row, shared + at.lower);
}

__device__ void share_backward(const Shared& at, const PixelsLayout& layout,
                               const float* parameters, float* shared) {
    share_transposed(parameters + layout.lower, at.m, at.c, at.m4, at.c4, shared + at.back_lower);
    share_transposed(parameters + layout.lift, at.levels, at.m, at.l4, at.m4,
                     shared + at.back_lift);
    share_transposed(parameters + layout.blend, at.levels, at.c, at.l4, at.c4,
                     shared + at.back_blend);
}

// A row of planes at a place, its 1 behind it if there is room; zeros where there is no such place.
__device__ void load_row(const float* planes, int64_t area, int n, bool is_there, int64_t place,
                         int n_row, float* row) {
    for (int k = 0; k < n_row; ++k) row[k] = k < n && is_there ? planes[k * area + place] : 0.0f;
    if (n < n_row && is_there) row[n] = 1.0f;
}

__device__ void find_hidden(const Shared& at, const float* shared, const float* stack,
                            bool is_there, float* hidden) {
    for (int k = at.m4 - 4; k < at.m_row; ++k) hidden[k] = 0.0f;
    multiply(shared + at.lift, at.m4, at.l_row, at.l_row, stack,
             [=](int o, float4 sums) { store4(hidden + o, positive(sums)); });
    if (is_there) hidden[at.m] = 1.0f;
}

__global__ void __launch_bounds__(kTile)
    lift(const FitShape shape, const PixelsLayout layout, const float* parameters, float* kept) {
    INRCODEC_SHARED(shared);
    const Shared at(shape);
    const int thread = static_cast<int>(threadIdx.x), finest = layout.levels.n - 1;
    const int64_t area = layout.levels.area(finest);
    float* const stack = shared + at.stack + thread * at.l_stride;
    float* const hidden = shared + at.hidden + thread * at.m_stride;
    share_forward(at, layout, parameters, shared);
    __syncthreads();
    for (int64_t first = int64_t{blockIdx.x} * kTile; first < area;
         first += int64_t{gridDim.x} * kTile) {
        const int64_t place = first + thread;
        const bool is_there = place < area;
        load_row(kept + layout.levels.stack[finest], area, at.levels, is_there, place, at.l_row,
                 stack);
        find_hidden(at, shared, stack, is_there, hidden);
        if (!is_there) continue;
        float* const out = kept + layout.layers + place;
        multiply(shared + at.lower, at.c4, at.m_row, at.m_row, hidden, [=](int o, float4 sums) {
            out[o * area] = sums.x;
            if (o + 1 < at.c) out[(o + 1) * area] = sums.y;
            if (o + 2 < at.c) out[(o + 2) * area] = sums.z;
            if (o + 3 < at.c) out[(o + 3) * area] = sums.w;
        });
    }
}

// `by_pixels`, `by_layer`: gradients of what comes out, and of the first input of the tail.
__global__ void __launch_bounds__(kTile)
    pass_lift(const FitShape shape, const PixelsLayout layout, const float* parameters,
              const float* kept, const float* by_pixels, const float* by_layer, float* gradients,
              float* partial) {
    INRCODEC_SHARED(shared);
    const Shared at(shape);
    const int thread = static_cast<int>(threadIdx.x), finest = layout.levels.n - 1;
    const int64_t area = layout.levels.area(finest);
    float *const stacks = shared + at.stack, *const hiddens = shared + at.hidden;
    float *const slopes = shared + at.slopes, *const ends = shared + at.ends;
    float* const stack = stacks + thread * at.l_stride;
    float* const hidden = hiddens + thread * at.m_stride;
    float* const slope = slopes + thread * at.c_stride;
    float* const end = ends + thread * at.c_stride;
    share_forward(at, layout, parameters, shared);
    share_backward(at, layout, parameters, shared);
    Outer of_lift(at.m4, at.l_row), of_lower(at.c4, at.m_row), of_blend(at.c4, at.l_row);
    for (int64_t first = int64_t{blockIdx.x} * kTile; first < area;
         first += int64_t{gridDim.x} * kTile) {
        const int64_t place = first + thread;
        const bool is_there = place < area;
        __syncthreads();  // weights are shared; the tile before is done
        load_row(kept + layout.levels.stack[finest], area, at.levels, is_there, place, at.l_row,
                 stack);
        load_row(by_layer, area, at.c, is_there, place, at.c, slope);
        load_row(by_pixels, area, at.c, is_there, place, at.c, end);
        for (int k = at.c; k < at.c4; ++k) slope[k] = end[k] = 0.0f;
        find_hidden(at, shared, stack, is_there, hidden);
        __syncthreads();
        of_lower.add(slopes, at.c_stride, hiddens, at.m_stride);
        of_blend.add(ends, at.c_stride, stacks, at.l_stride);
        __syncthreads();
        multiply(shared + at.back_lower, at.m4, at.c4, at.c4, slope, [=](int o, float4 sums) {
            store4(hidden + o, where_positive(sums, load4(hidden + o)));
        });
        __syncthreads();
        of_lift.add(hiddens, at.m_stride, stacks, at.l_stride);
        __syncthreads();
        multiply(shared + at.back_lift, at.l4, at.m4, at.m4, hidden,
                 [=](int o, float4 sums) { store4(stack + o, sums); });
        multiply(shared + at.back_blend, at.l4, at.c4, at.c4, end, [=](int o, float4 sums) {
            const float4 before = load4(stack + o);
            store4(stack + o, make_float4(before.x + sums.x, before.y + sums.y, before.z + sums.z,
                                          before.w + sums.w));
        });
        float* const to = gradients + layout.levels.stack[finest] + place;
        for (int k = 0; is_there && k < at.levels; ++k) to[k * area] = stack[k];
    }
    // as the parameters lie from the lift on, then the biases of the lower layer
    float* const sums = partial + int64_t{blockIdx.x} * layout.lift_stride;
    const int m = at.m, c = at.c, levels = at.levels;
    const int of_lower_weights = m * levels + m, of_blend_weights = of_lower_weights + c * m;
    const int of_biases = of_blend_weights + c * levels;
    of_lift.finish(at.m4, stacks, [=](int o, int k, float sum) {
        if (o < m && k <= levels) sums[k < levels ? o * levels + k : m * levels + o] = sum;
    });
    of_lower.finish(at.c4, stacks, [=](int o, int k, float sum) {
        if (o < c && k <= m) sums[k < m ? of_lower_weights + o * m + k : of_biases + o] = sum;
    });
    of_blend.finish(at.c4, stacks, [=](int o, int k, float sum) {
        if (o < c && k < levels) sums[of_blend_weights + o * levels + k] = sum;
    });
}

}  // namespace
}  // namespace inrcodec
