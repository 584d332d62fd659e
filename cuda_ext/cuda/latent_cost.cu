// The bits of latents and their gradients on the GPU, in float32; the same bits at every call.
//
// 1. `find_costs`: tiles of latents of all grids, one latent a thread, go through the context model and
//    back; what each latent gives to its neighbours and features is written down. Blocks take tile
//    after tile and keep the gradients of the weights in registers.
// 2. `pool`: gradients of features are added up over 2 x 2 places, step by step to the coarsest grid.
// 3. `gather`: each latent collects what the others gave. `weigh_features`: gradients of features'
//    weights. `add_rows`: those of the context model over blocks.
#include <cmath>

#include "../common/latent_fit.h"
#include "tile.h"

namespace inrcodec {
namespace {

constexpr char kOp[] = "latent_cost";
constexpr int kBlocks = 396;     // that share the tiles: 3 for each multiprocessor of a large GPU
constexpr int kMaxFeatured = 4;  // grids with features
constexpr int kMaxSteps = 16;    // of pooling
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

  private:
    __host__ __device__ static int take(int& used, int count) {
        const int at = used;
        used += count;
        return at;
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

// --- features on the way back ----------------------------------------------------------------------

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
