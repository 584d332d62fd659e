// The bits of latents and their gradients on the GPU, in float32; the same bits at every call.
//
// 1. `find_costs`: tiles of latents of all grids, one latent a thread, go through the context model and
//    back; what each latent gives to its neighbours and features is written down. Blocks take tile
//    after tile and keep the gradients of the weights in registers.
// 2. `pool`: gradients of features are added up over 2 x 2 places, step by step to the coarsest grid.
// 3. `gather`: each latent collects what the others gave. `weigh_features`: gradients of features'
//    weights. `add_rows`: those of the context model over blocks.
#include "latent_context.h"

namespace inrcodec {
namespace {

constexpr char kOp[] = "latent_cost";

// The gradient of a feature of a grid at a step of pooling.
__device__ const float* plane_of(const CostTables& tables, const float* scratch,
                                 const Featured& featured, int step, int feature) {
    const FitShape& shape = tables.shape;
    const FitGrid& grid = shape.grids[featured.grid_at[step]];
    if (step == 0) return scratch + (shape.n_neighbours + feature) * shape.n_latents + grid.offset;
    return scratch + featured.pooled[step] + feature * int64_t{grid.height} * grid.width;
}

// Row y of blocks: feature y % n_features of grid y / n_features.
__global__ void pool(const CostTables tables, float* scratch, int step) {
    const int n_features = tables.shape.n_features;
    const Featured& featured = tables.featured[blockIdx.y / n_features];
    const int feature = static_cast<int>(blockIdx.y) % n_features;
    if (step > featured.n_steps) return;
    const FitGrid& grid = tables.shape.grids[featured.grid_at[step]];
    const FitGrid& finer = tables.shape.grids[featured.grid_at[step - 1]];
    const int64_t place = int64_t{blockIdx.x} * kThreads + threadIdx.x;
    if (place >= int64_t{grid.height} * grid.width) return;
    const int y = static_cast<int>(place / grid.width), x = static_cast<int>(place % grid.width);
    const float* from = plane_of(tables, scratch, featured, step - 1, feature);
    float sum = 0.0f;
    for (int i = 0; i < 4; ++i) {
        const int row = 2 * y + i / 2, column = 2 * x + i % 2;
        if (row < finer.height && column < finer.width)
            sum += from[int64_t{row} * finer.width + column];
    }
    const_cast<float*>(plane_of(tables, scratch, featured, step, feature))[place] = sum;
}

// Block (j, y): the gradient of the weight of input j, and after all inputs that of the bias.
__global__ void weigh_features(const CostTables tables, const float* latents, const float* scratch,
                               float* gradient) {
    INRCODEC_SHARED(shared);
    const FitShape& shape = tables.shape;
    const Featured& featured = tables.featured[blockIdx.y / shape.n_features];
    const int feature = static_cast<int>(blockIdx.y) % shape.n_features;
    const int j = static_cast<int>(blockIdx.x), n = shape.grids[featured.grid].n_inputs;
    if (j > n) return;
    const bool is_bias = j == n;
    const FitGrid& grid = shape.grids[is_bias ? 0 : j];
    const float* slopes =
        plane_of(tables, scratch, featured, featured.step_of[is_bias ? 0 : j], feature);
    const int64_t n_values = int64_t{grid.height} * grid.width;
    float sum = 0.0f;
    for (int64_t i = threadIdx.x; i < n_values; i += kDotThreads)
        sum += slopes[i] * (is_bias ? 1.0f : latents[grid.offset + i]);
    sum = sum_of_block(sum, kDotThreads, shared);
    if (threadIdx.x > 0) return;
    gradient[is_bias ? featured.biases + feature : featured.weights + feature * n + j] = sum;
}

__global__ void gather(const CostTables tables, const float* parameters, const float* scratch,
                       float* gradient) {
    const FitShape& shape = tables.shape;
    const int64_t latent = int64_t{blockIdx.x} * kThreads + threadIdx.x;
    if (latent >= shape.n_latents) return;
    const Place place = place_of(shape, latent);
    const FitGrid& grid = shape.grids[place.grid];
    float sum = gradient[latent];
    for (int k = 0; k < shape.n_neighbours; ++k) {
        const int y = place.y - shape.rows[k], x = place.x - shape.columns[k];
        if (is_inside(grid, y, x))
            sum += scratch[k * shape.n_latents + grid.offset + int64_t{y} * grid.width + x];
    }
    const int64_t at = latent - grid.offset;
    for (int i = 0; i < tables.n_featured; ++i) {
        const Featured& featured = tables.featured[i];
        const int n = shape.grids[featured.grid].n_inputs;
        if (place.grid >= n) continue;
        const int step = featured.step_of[place.grid];
        for (int f = 0; f < shape.n_features; ++f) {
            const float weight = parameters[featured.weights + f * n + place.grid];
            sum += weight * plane_of(tables, scratch, featured, step, f)[at];
        }
    }
    gradient[latent] = sum;
}

}  // namespace

bool has_cuda_cost(const FitShape& shape) {
    int n_featured = 0, n_halvings = 0;
    for (int i = 0; i < shape.n_grids; ++i) {
        n_featured += shape.grids[i].n_inputs > 0;
        if (i > 0) n_halvings += !is_same_size(shape.grids[i], shape.grids[i - 1]);
    }
    return n_featured <= kMaxFeatured && n_halvings < kMaxSteps &&
           context_width(shape) <= kMaxContext;
}

int64_t cost_scratch_cuda(const FitShape& shape) {
    CostTables tables;
    return plan(shape, tables).size;
}

void latent_cost_cuda(const FitShape& shape, const FitCostCall& call, Stream stream) {
    CostTables tables;
    const CostLayout layout = plan(shape, tables);
    const Launcher launcher(kOp, stream);
    float* const sums = call.scratch + layout.sums;
    const CostArrays arrays = {call.latents, call.parameters,   call.latents_gradient, call.scratch,
                               sums,         layout.sums_stride};
    const int n_tiles = static_cast<int>((shape.n_latents + kTile - 1) / kTile);
    const int n_blocks = n_tiles < kBlocks ? n_tiles : kBlocks;
    launcher.run(find_costs, dim3(n_blocks), dim3(kTile), sizeof(float) * Shared(shape).size,
                 tables, arrays);
    const int n_planes = tables.n_featured * shape.n_features;
    int n_steps = 0;
    for (int i = 0; i < tables.n_featured; ++i)
        if (tables.featured[i].n_steps > n_steps) n_steps = tables.featured[i].n_steps;
    for (int step = 1; step <= n_steps; ++step) {
        int64_t largest = 0;
        for (int i = 0; i < tables.n_featured; ++i) {
            const Featured& featured = tables.featured[i];
            if (step > featured.n_steps) continue;
            const int64_t size = area(shape.grids[featured.grid_at[step]]);
            largest = size > largest ? size : largest;
        }
        launcher.run(pool, dim3(blocks_for(largest, kThreads), n_planes), dim3(kThreads), 0, tables,
                     call.scratch, step);
    }
    launcher.run(gather, dim3(blocks_for(shape.n_latents, kThreads)), dim3(kThreads), 0, tables,
                 call.parameters, static_cast<const float*>(call.scratch), call.latents_gradient);
    launcher.run(weigh_features, dim3(shape.n_grids, n_planes), dim3(kDotThreads),
                 sizeof(float) * kDotThreads, tables, call.latents,
                 static_cast<const float*>(call.scratch), call.parameters_gradient);
    const int n_mixed = mixed_weights(shape);
    sum_rows(launcher, sums, n_blocks, layout.sums_stride,
             {call.parameters_gradient, n_mixed, call.bits, 1});
}

}  // namespace inrcodec
