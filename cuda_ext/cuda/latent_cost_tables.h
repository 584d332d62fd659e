// Which grids see which, and where the arrays of the cost of latents lie, for latent_cost.cu alone.
#pragma once

#include "../common/latent_fit.h"
#include "tile.h"

namespace inrcodec {
namespace {

constexpr int kBlocks = 3 * kMultiprocessors;  // that share the tiles
constexpr int kMaxFeatured = 4;                // grids with features
constexpr int kMaxSteps = 16;                  // of pooling
constexpr int kMaxContext = 40;
constexpr int kThreads = 256, kDotThreads = 1024;

// A grid with features. At step s of pooling its gradient has the size of grid `grid_at[s]`, and lies
// at `pooled[s]`; of step 0 there is no copy.
struct Featured {
    int grid, n_steps;
    int64_t weights, biases;  // in the parameters
    int grid_at[kMaxSteps];
    int64_t pooled[kMaxSteps];
    int step_of[kMaxFitGrids];  // how often the places of a coarser grid are halved ones
};

struct CostTables {
    FitShape shape;
    int n_featured;
    Featured featured[kMaxFeatured];
    int featured_of[kMaxFitGrids];  // -1: none
};

// Offsets into the scratch, in floats.
struct CostLayout {
    int64_t by_context, sums, size;
    int sums_stride;
};

bool is_same_size(const FitGrid& a, const FitGrid& b) {
    return a.height == b.height && a.width == b.width;
}

int64_t area(const FitGrid& grid) {
    return int64_t{grid.height} * grid.width;
}

__host__ __device__ int context_width(const FitShape& shape) {
    return shape.n_neighbours + shape.n_features;
}

int mixed_weights(const FitShape& shape) {
    const int n = context_width(shape);
    return 2 * n * n + 6 * n + 2;
}

void plan_steps(const FitShape& shape, Featured& featured, int64_t& used) {
    for (int j = featured.grid; j >= 0; --j) {
        if (j < featured.grid && !is_same_size(shape.grids[j], shape.grids[j + 1])) {
            const int step = ++featured.n_steps;
            featured.grid_at[step] = j;
            featured.pooled[step] = used;
            used += area(shape.grids[j]) * shape.n_features;
        }
        featured.step_of[j] = featured.n_steps;
    }
}

CostLayout plan(const FitShape& shape, CostTables& tables) {
    tables = {};
    tables.shape = shape;
    CostLayout layout{};
    layout.by_context = 0;
    int64_t used = shape.n_latents * context_width(shape), at = mixed_weights(shape);
    for (int i = 0; i < shape.n_grids; ++i) {
        tables.featured_of[i] = -1;
        if (shape.grids[i].n_inputs == 0) continue;
        tables.featured_of[i] = tables.n_featured;
        Featured& featured = tables.featured[tables.n_featured++];
        featured.grid = i;
        featured.grid_at[0] = i;
        featured.weights = at;
        at += int64_t{shape.n_features} * shape.grids[i].n_inputs;
        plan_steps(shape, featured, used);
    }
    for (int i = 0; i < tables.n_featured; ++i, at += shape.n_features)
        tables.featured[i].biases = at;
    layout.sums = used = (used + 3) / 4 * 4;
    layout.sums_stride = mixed_weights(shape) + 1;  // and the bits
    layout.size = used + int64_t{kBlocks} * layout.sums_stride;
    return layout;
}

}  // namespace
}  // namespace inrcodec
