// The features of a grid, a linear map of all coarser grids seen at its places, there and back, for
// the kernels of the latent_fit op alone. The sum is found from coarse to fine: each step repeats
// what there is in rows and columns and adds one grid; the way back adds up what was repeated.
#pragma once

#include "../common/latent_fit_kernels.h"

namespace inrcodec {
namespace {

struct Plane {
    float* at;
    int64_t stride;
};

inline bool is_same_size(const CostGrid& a, const CostGrid& b) {
    return a.height == b.height && a.width == b.width;
}

// to = weight * values + bias + from, repeated if `doubles`; without `from`, nothing is added.
void add_grid(const CostGrid& grid, float weight, float bias, Plane from, bool doubles, Plane to) {
    for (int y = 0; y < grid.height; ++y) {
        const float* values = grid.values + y * grid.stride;
        float* __restrict out = to.at + y * to.stride;
        const float* before = from.at ? from.at + (doubles ? y / 2 : y) * from.stride : nullptr;
        if (!before) {
            for (int x = 0; x < grid.width; ++x) out[x] = weight * values[x] + bias;
        } else if (!doubles) {
            for (int x = 0; x < grid.width; ++x) out[x] = weight * values[x] + bias + before[x];
        } else {
            for (int x = 0; x + 1 < grid.width; x += 2) {
                const float base = before[x / 2] + bias;
                out[x] = weight * values[x] + base;
                out[x + 1] = weight * values[x + 1] + base;
            }
            const int last = grid.width - 1;
            if (last % 2 == 0) out[last] = weight * values[last] + before[last / 2] + bias;
        }
    }
}

void find_features(const FitShape& shape, const CostGrid* grids, int number, float* scratch) {
    const CostGrid& grid = grids[number];
    const int n = grid.n_inputs;
    const int64_t size = int64_t{grid.feature_height} * grid.feature_width;
    for (int f = 0; f < shape.n_features; ++f) {
        const float* weights = grid.feature_weights + f * n;
        const float bias = grid.feature_biases[f];
        Plane from{nullptr, 0};
        for (int j = 0; j < n; ++j) {
            const bool is_last = j == n - 1;
            Plane to{scratch + (j % 2) * size, grids[j].width};
            if (is_last) to = {grid.features + f * grid.feature_plane, grid.feature_stride};
            const bool doubles = j > 0 && !is_same_size(grids[j - 1], grids[j]);
            add_grid(grids[j], weights[j], is_last ? bias : 0.0f, from, doubles, to);
            from = to;
        }
    }
}

// Adds weight * slopes to the gradient of a grid; gives the sum of slopes * values.
double pass_grid(const CostGrid& grid, float weight, Plane slopes) {
    double sum = 0.0;
    for (int y = 0; y < grid.height; ++y) {
        const float* values = grid.values + y * grid.stride;
        const float* row = slopes.at + y * slopes.stride;
        float* __restrict gradient = grid.gradient + y * grid.stride;
        float sums[16] = {};
        for (int x = 0; x < grid.width; ++x) gradient[x] += weight * row[x];
        int x = 0;
        for (; x + 16 <= grid.width; x += 16)
            for (int i = 0; i < 16; ++i) sums[i] += row[x + i] * values[x + i];
        for (; x < grid.width; ++x) sums[0] += row[x] * values[x];
        for (const float part : sums) sum += double{part};
    }
    return sum;
}

// Each place of `to` is the sum of those of `grid` that repeat it.
void add_up(const CostGrid& grid, Plane from, const CostGrid& coarser, Plane to) {
    for (int y = 0; y < coarser.height; ++y) {
        float* __restrict out = to.at + y * to.stride;
        for (int x = 0; x < coarser.width; ++x) out[x] = 0.0f;
        for (int row = 2 * y; row < 2 * y + 2 && row < grid.height; ++row) {
            const float* in = from.at + row * from.stride;
            for (int x = 0; 2 * x + 1 < grid.width; ++x) out[x] += in[2 * x] + in[2 * x + 1];
            if (grid.width % 2) out[grid.width / 2] += in[grid.width - 1];
        }
    }
}

double sum_of(const CostGrid& grid, Plane slopes) {
    double sum = 0.0;
    for (int y = 0; y < grid.height; ++y)
        for (int x = 0; x < grid.width; ++x) sum += double{slopes.at[y * slopes.stride + x]};
    return sum;
}

void pass_features(const FitShape& shape, const CostGrid* grids, int number, float* scratch) {
    const CostGrid& grid = grids[number];
    const int n = grid.n_inputs;
    const int64_t size = int64_t{grid.feature_height} * grid.feature_width;
    for (int f = 0; f < shape.n_features; ++f) {
        const float* weights = grid.feature_weights + f * n;
        float* gradient = grid.feature_weights_gradient + f * n;
        Plane slopes{grid.features_gradient + f * grid.feature_plane, grid.feature_stride};
        grid.feature_biases_gradient[f] = static_cast<float>(sum_of(grids[n - 1], slopes));
        int n_steps = 0;
        for (int j = n - 1; j >= 0; --j) {
            gradient[j] = static_cast<float>(pass_grid(grids[j], weights[j], slopes));
            if (j == 0 || is_same_size(grids[j - 1], grids[j])) continue;
            const Plane coarser{scratch + (n_steps++ % 2) * size, grids[j - 1].width};
            add_up(grids[j], slopes, grids[j - 1], coarser);
            slopes = coarser;
        }
    }
}

}  // namespace
}  // namespace inrcodec
