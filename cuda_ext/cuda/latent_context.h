// Latents through the context model and back, for latent_cost.cu alone: tiles of latents of all grids, one
// latent a thread.
#pragma once

#include <cmath>

#include "latent_cost_tables.h"

namespace inrcodec {
namespace {

// --- what a block shares ---------------------------------------------------------------------------

// Offsets in floats, of weights and of rows of the tile.
struct Shared {
    int n, n4, row, stride;  // values of a row: with the 1, padded; floats from row to row
    int mix[2], ends, back_mix[2], back_hidden, back_context, rows[3], slopes, size;

    __host__ __device__ explicit Shared(const FitShape& shape) {
        n = context_width(shape);
        n4 = padded4(n);
        row = padded4(n + 1);
        stride = tile_stride(n + 1);
        int used = 0;
        for (int& at : mix) at = take(used, n4 * row);
        ends = take(used, 8 * row);  // of the hidden layer, then of the context
        for (int& at : back_mix) at = take(used, n4 * n4);
        back_hidden = take(used, 4 * n4);
        back_context = take(used, 4 * n4);
        for (int& at : rows) at = take(used, kTile * stride);
        slopes = take(used, kTile * 4);
        size = used;
    }
};

// Weights of a layer [n, n] with its input added, biases as the last column, and the same transposed.
__device__ void share_mix(const Shared& at, const float* weights, const float* biases, float* mix,
                          float* back) {
    const int thread = static_cast<int>(threadIdx.x);
    for (int i = thread; i < at.n4 * at.row; i += kTile) {
        const int o = i / at.row, k = i % at.row;
        float value = 0.0f;
        if (o < at.n && k < at.n) value = weights[o * at.n + k] + (o == k ? 1.0f : 0.0f);
        if (o < at.n && k == at.n) value = biases[o];
        mix[i] = value;
    }
    for (int i = thread; i < at.n4 * at.n4; i += kTile) {
        const int k = i / at.n4, o = i % at.n4;
        const bool is_there = o < at.n && k < at.n;
        back[i] = is_there ? weights[o * at.n + k] + (o == k ? 1.0f : 0.0f) : 0.0f;
    }
}

// Those of the ends, which see the last hidden layer and the context.
__device__ void share_ends(const Shared& at, const float* head, const float* biases,
                           float* shared) {
    const int thread = static_cast<int>(threadIdx.x), n = at.n;
    for (int i = thread; i < 8 * at.row; i += kTile) {
        const int o = i / at.row % 4, k = i % at.row, of_context = i / (4 * at.row);
        float value = 0.0f;
        if (o < 2 && k < n) value = head[(2 * of_context + o) * n + k];
        if (o < 2 && k == n && of_context) value = biases[o];
        shared[at.ends + i] = value;
    }
    for (int i = thread; i < 4 * at.n4; i += kTile) {
        const int k = i / 4, o = i % 4;
        const bool is_there = k < n && o < 2;
        shared[at.back_hidden + i] = is_there ? head[o * n + k] : 0.0f;
        shared[at.back_context + i] = is_there ? head[(2 + o) * n + k] : 0.0f;
    }
}

__device__ void share_weights(const Shared& at, const float* parameters, float* shared) {
    const int n = at.n;
    const float* biases = parameters + 2 * n * n;
    for (int i = 0; i < 2; ++i) {
        share_mix(at, parameters + i * n * n, biases + i * n, shared + at.mix[i],
                  shared + at.back_mix[i]);
    }
    share_ends(at, biases + 2 * n, biases + 6 * n, shared);
}

// --- one latent ------------------------------------------------------------------------------------

struct Place {
    int grid, y, x;
};

__device__ Place place_of(const FitShape& shape, int64_t latent) {
    int grid = 0;
    while (grid + 1 < shape.n_grids && latent >= shape.grids[grid + 1].offset) ++grid;
    const int64_t at = latent - shape.grids[grid].offset;
    const int width = shape.grids[grid].width;
    return {grid, static_cast<int>(at / width), static_cast<int>(at % width)};
}

__device__ bool is_inside(const FitGrid& grid, int y, int x) {
    return y >= 0 && y < grid.height && x >= 0 && x < grid.width;
}

// The row of the context of a latent, its 1 behind it.
__device__ void load_context(const CostTables& tables, const float* latents,
                             const float* parameters, const Place& place, float* row, int n_row) {
    const FitShape& shape = tables.shape;
    const FitGrid& grid = shape.grids[place.grid];
    for (int k = 0; k < shape.n_neighbours; ++k) {
        const int y = place.y + shape.rows[k], x = place.x + shape.columns[k];
        const int64_t at = grid.offset + int64_t{y} * grid.width + x;
        row[k] = is_inside(grid, y, x) ? latents[at] : 0.0f;
    }
    float* const features = row + shape.n_neighbours;
    const int number = tables.featured_of[place.grid], n = grid.n_inputs;
    for (int f = 0; f < shape.n_features; ++f)
        features[f] = number < 0 ? 0.0f : parameters[tables.featured[number].biases + f];
    for (int j = 0; j < n; ++j) {
        const Featured& featured = tables.featured[number];
        const FitGrid& coarse = shape.grids[j];
        const int step = featured.step_of[j];
        const int64_t at = int64_t{place.y >> step} * coarse.width + (place.x >> step);
        const float value = latents[coarse.offset + at];
        for (int f = 0; f < shape.n_features; ++f)
            features[f] += parameters[featured.weights + f * n + j] * value;
    }
    const int n_context = context_width(shape);
    for (int k = n_context; k < n_row; ++k) row[k] = k == n_context ? 1.0f : 0.0f;
}

constexpr float kLargestScale = 15.0f;   // log2, above the smallest
constexpr float kSmallestScale = -5.0f;  // log2
constexpr float kLeastProbability = 1.0f / 65536.0f;
constexpr float kLog2OfE = 1.44269504f;
constexpr float kLn2 = 0.693147181f;

struct Cost {
    float bits, by_value, by_mean, by_scale;
};

// As cpu/latent_cost_bits.h says.
__device__ Cost cost_of(float value, float mean, float log2_scale) {
    const bool in_range = log2_scale >= 0.0f && log2_scale <= kLargestScale;
    float held = log2_scale < 0.0f ? 0.0f : log2_scale;
    held = held > kLargestScale ? kLargestScale : held;
    const float inverse = exp2f(-kSmallestScale - held);
    const float offset = value - mean, d = fabsf(offset), beyond = d - 0.5f;
    const bool inside = beyond < 0.0f;
    const float lower_less = expm1f(-fabsf(beyond) * inverse), lower = lower_less + 1.0f;
    const float other_less = expm1f(inside ? -(d + 0.5f) * inverse : -inverse);
    const float other = other_less + 1.0f, product = lower * other_less;
    const float raw = -0.5f * (inside ? lower_less + other_less : product);
    const float drop = inside ? other_less - lower_less : product;
    const float spread =
        inside ? (d + 0.5f) * other - beyond * lower : lower * other + beyond * product;
    const bool too_small = raw < kLeastProbability;
    const float probability = too_small ? kLeastProbability : raw;
    const float by_raw = too_small ? 0.0f : -0.5f * kLog2OfE / probability;
    const float by_distance = by_raw * inverse * drop;
    Cost cost;
    cost.bits = -log2f(probability);
    cost.by_value = offset == 0.0f ? 0.0f : offset < 0.0f ? -by_distance : by_distance;
    cost.by_mean = -cost.by_value;
    cost.by_scale = in_range ? by_raw * spread * inverse * -kLn2 : 0.0f;
    return cost;
}

struct CostArrays {
    const float *latents, *parameters;
    float *latents_gradient, *by_context, *sums;
    int sums_stride;
};

__global__ void __launch_bounds__(kTile)
    find_costs(const CostTables tables, const CostArrays arrays) {
    INRCODEC_SHARED(shared);
    const FitShape& shape = tables.shape;
    const Shared at(shape);
    const int thread = static_cast<int>(threadIdx.x);
    float* const rows[3] = {shared + at.rows[0], shared + at.rows[1], shared + at.rows[2]};
    float *const slopes = shared + at.slopes, *const slope = slopes + 4 * thread;
    float *const context = rows[0] + thread * at.stride,
                 *const first = rows[1] + thread * at.stride,
                 *const second = rows[2] + thread * at.stride;
    share_weights(at, arrays.parameters, shared);
    Outer of_mix0(at.n4, at.row), of_mix1(at.n4, at.row);
    Outer of_hidden(4, at.row), of_context(4, at.row);
    const int64_t n_tiles = (shape.n_latents + kTile - 1) / kTile;
    float bits = 0.0f;
    for (int64_t tile = blockIdx.x; tile < n_tiles; tile += gridDim.x) {
        const int64_t latent = tile * kTile + thread;
        const bool is_there = latent < shape.n_latents;
        __syncthreads();  // weights are shared; the tile before is done
        if (is_there) {
            load_context(tables, arrays.latents, arrays.parameters, place_of(shape, latent),
                         context, at.row);
        } else {
            for (int k = 0; k < at.row; ++k) context[k] = 0.0f;
        }
        const auto relu_into = [&](float* out) {
            return [=](int o, float4 sums) { store4(out + o, positive(sums)); };
        };
        for (int k = at.n4 - 4; k < at.row; ++k) first[k] = second[k] = 0.0f;
        multiply(shared + at.mix[0], at.n4, at.row, at.row, context, relu_into(first));
        if (is_there) first[at.n] = 1.0f;
        multiply(shared + at.mix[1], at.n4, at.row, at.row, first, relu_into(second));
        float mean = 0.0f, scale = 0.0f;
        const auto add_end = [&](int, float4 sums) {
            mean += sums.x;
            scale += sums.y;
        };
        multiply(shared + at.ends, 4, at.row, at.row, second, add_end);
        multiply(shared + at.ends + 4 * at.row, 4, at.row, at.row, context, add_end);
        store4(slope, make_float4(0.0f, 0.0f, 0.0f, 0.0f));
        if (is_there) {
            const Cost cost = cost_of(arrays.latents[latent], mean, scale);
            bits += cost.bits;
            slope[0] = cost.by_mean;
            slope[1] = cost.by_scale;
            arrays.latents_gradient[latent] = cost.by_value;
        }
        __syncthreads();
        of_hidden.add(slopes, 4, rows[2], at.stride);
        of_context.add(slopes, 4, rows[0], at.stride);
        __syncthreads();
        multiply(shared + at.back_hidden, at.n4, 4, 4, slope, [=](int o, float4 sums) {
            store4(second + o, where_positive(sums, load4(second + o)));
        });
        __syncthreads();
        of_mix1.add(rows[2], at.stride, rows[1], at.stride);
        __syncthreads();
        multiply(shared + at.back_mix[1], at.n4, at.n4, at.n4, second, [=](int o, float4 sums) {
            store4(first + o, where_positive(sums, load4(first + o)));
        });
        __syncthreads();
        of_mix0.add(rows[1], at.stride, rows[0], at.stride);
        __syncthreads();
        multiply(shared + at.back_context, at.n4, 4, 4, slope,
                 [=](int o, float4 sums) { store4(second + o, sums); });
        multiply(shared + at.back_mix[0], at.n4, at.n4, at.n4, first, [=](int o, float4 sums) {
            const float4 direct = load4(second + o);
            store4(second + o, make_float4(sums.x + direct.x, sums.y + direct.y, sums.z + direct.z,
                                           sums.w + direct.w));
        });
        for (int k = 0; is_there && k < at.n; ++k)
            arrays.by_context[k * shape.n_latents + latent] = second[k];
    }
    // as the parameters lie, then the bits
    float* const sums = arrays.sums + int64_t{blockIdx.x} * arrays.sums_stride;
    const int n = at.n, of_biases = 2 * n * n, of_head = of_biases + 2 * n;
    const auto put_mix = [=](int layer) {
        return [=](int o, int k, float sum) {
            if (o >= n || k > n) return;
            sums[k < n ? (layer * n + o) * n + k : of_biases + layer * n + o] = sum;
        };
    };
    of_mix0.finish(at.n4, rows[0], put_mix(0));
    of_mix1.finish(at.n4, rows[0], put_mix(1));
    of_hidden.finish(4, rows[0], [=](int o, int k, float sum) {
        if (o < 2 && k < n) sums[of_head + o * n + k] = sum;
    });
    of_context.finish(4, rows[0], [=](int o, int k, float sum) {
        if (o < 2 && k <= n) sums[of_head + (k < n ? (2 + o) * n + k : 4 * n + o)] = sum;
    });
    const float all = sum_of_block(bits, kTile, rows[0]);
    if (thread == 0) sums[of_head + 4 * n + 2] = all;
}

}  // namespace
}  // namespace inrcodec
