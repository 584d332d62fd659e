// How the cost of latents is cut into tasks for threads: strips of rows of each grid, whose number
// follows from the shape alone. A task writes rows of the gradient that no other writes; what it adds
// to the rows above its own, and to the weights, is kept apart and added up in the order of the
// strips.
#include <algorithm>
#include <vector>

#include "../common/instruction_sets.h"
#include "../common/latent_fit.h"
#include "../common/parallel.h"
#include "fit_memory.h"
#include "kept_floats.h"

namespace inrcodec {
namespace {

constexpr int64_t kValuesPerStrip = 4096;
constexpr int64_t kValuesPerThread = 1024;  // for fewer, a thread is not worth waking
constexpr int kLeastRows = 4;               // even, and no fewer than a halo has

// Weights of the context model, which come first among the parameters.
int64_t mixed_weights(const FitShape& shape) {
    const int64_t n = shape.n_context();
    return 2 * n * n + 6 * n + 2;
}

struct CostPlan {
    CostGrid grids[kMaxFitGrids];
    std::vector<CostStrip> strips;
    float *packed, *scratch, *sums;  // sums: the gradient of the context model, of each strip
    int64_t sums_stride;
};

void plan_features(const FitShape& shape, int number, CostPlan& plan, Memory& memory) {
    CostGrid& grid = plan.grids[number];
    const FitGrid& before = shape.grids[number - 1];
    grid.n_inputs = shape.grids[number].n_inputs;
    grid.feature_height = before.height;
    grid.feature_width = before.width;
    grid.feature_stride = whole_groups(grid.width);  // of which a block sees half
    grid.feature_plane = grid.feature_stride * grid.feature_height;
    grid.features = memory.take(grid.feature_plane * shape.n_features);
    grid.features_gradient = memory.take(grid.feature_plane * shape.n_features);
}

void plan_strips(const CostGrid& grid, CostPlan& plan, Memory& memory) {
    const int64_t wanted = (kValuesPerStrip / grid.width + 1) / 2 * 2;
    const int n_rows = static_cast<int>(std::max<int64_t>(wanted, kLeastRows));
    for (int64_t first = 0; first < grid.height; first += n_rows) {
        const int last = static_cast<int>(std::min<int64_t>(first + n_rows, grid.height));
        float* const halo = memory.take_rows(kNeighbourRows, grid.stride, 0);
        plan.strips.push_back({&grid, static_cast<int>(first), last, halo});
    }
}

void lay_out(const FitShape& shape, CostPlan& plan, Memory memory) {
    plan.strips.clear();
    int64_t largest = 0;
    for (int i = 0; i < shape.n_grids; ++i) {
        CostGrid& grid = plan.grids[i];
        grid = {};
        grid.height = shape.grids[i].height;
        grid.width = shape.grids[i].width;
        grid.stride = stride_of(grid.width);
        const int64_t n_rows = int64_t{grid.height} + kNeighbourRows;
        grid.values = memory.take_rows(n_rows, grid.stride, kNeighbourRows);
        grid.gradient = memory.take_rows(n_rows, grid.stride, kNeighbourRows);
        if (shape.grids[i].n_inputs) plan_features(shape, i, plan, memory);
        plan_strips(grid, plan, memory);
        largest = std::max(largest, grid.feature_plane);
    }
    plan.packed = memory.take(fit_kernels().cost_packed(shape));
    plan.scratch = memory.take(2 * largest);
    plan.sums_stride = whole_groups(mixed_weights(shape));
    plan.sums = memory.take(plan.sums_stride * static_cast<int64_t>(plan.strips.size()));
    if (memory.buffer) return;
    // that was to find the size; what lies around the grids has to be 0
    memory.buffer = kept_floats<0>(memory.used);
    std::fill_n(memory.buffer, memory.used, 0.0f);
    lay_out(shape, plan, {memory.buffer});
}

// Matrices of all grids come before their biases.
void share_parameters(const FitShape& shape, const FitCostCall& call, CostPlan& plan) {
    int64_t at = mixed_weights(shape);
    for (const bool biases : {false, true}) {
        for (int i = 0; i < shape.n_grids; ++i) {
            CostGrid& grid = plan.grids[i];
            if (!grid.n_inputs) continue;
            (biases ? grid.feature_biases : grid.feature_weights) = call.parameters + at;
            (biases ? grid.feature_biases_gradient : grid.feature_weights_gradient) =
                call.parameters_gradient + at;
            at += int64_t{shape.n_features} * (biases ? 1 : grid.n_inputs);
        }
    }
}

void load_values(const FitShape& shape, const float* latents, CostPlan& plan) {
    for (int i = 0; i < shape.n_grids; ++i) {
        const CostGrid& grid = plan.grids[i];
        const float* from = latents + shape.grids[i].offset;
        for (int64_t y = 0; y < grid.height; ++y)
            std::copy_n(from + y * grid.width, grid.width, grid.values + y * grid.stride);
    }
}

void store_gradients(const FitShape& shape, const CostPlan& plan, float* latents_gradient) {
    for (int i = 0; i < shape.n_grids; ++i) {
        const CostGrid& grid = plan.grids[i];
        float* to = latents_gradient + shape.grids[i].offset;
        for (int64_t y = 0; y < grid.height; ++y)
            std::copy_n(grid.gradient + y * grid.stride, grid.width, to + y * grid.width);
    }
}

void add_halos(const CostPlan& plan) {
    for (const CostStrip& strip : plan.strips) {
        if (strip.first == 0) continue;
        const CostGrid& grid = *strip.grid;
        for (int64_t row = 0; row < kNeighbourRows; ++row) {
            const float* from = strip.halo + row * grid.stride;
            float* to = grid.gradient + (strip.first - kNeighbourRows + row) * grid.stride;
            for (int x = 0; x < grid.width; ++x) to[x] += from[x];
        }
    }
}

void add_sums(const FitShape& shape, const CostPlan& plan, float* gradient) {
    std::vector<double> sums(mixed_weights(shape));
    for (size_t strip = 0; strip < plan.strips.size(); ++strip) {
        const float* from = plan.sums + static_cast<int64_t>(strip) * plan.sums_stride;
        for (size_t i = 0; i < sums.size(); ++i) sums[i] += double{from[i]};
    }
    for (size_t i = 0; i < sums.size(); ++i) gradient[i] = static_cast<float>(sums[i]);
}

void for_features(const FitShape& shape, const CostPlan& plan,
                  void (*work)(const FitShape&, const CostGrid*, int, float*)) {
    for (int i = 0; i < shape.n_grids; ++i)
        if (plan.grids[i].n_inputs) work(shape, plan.grids, i, plan.scratch);
}

}  // namespace

double latent_cost(const FitShape& shape, const FitCostCall& call, int n_threads) {
    const FitKernels& kernels = fit_kernels();
    CostPlan plan;
    lay_out(shape, plan, {nullptr});
    share_parameters(shape, call, plan);
    kernels.pack_cost(shape, call.parameters, plan.packed);
    load_values(shape, call.latents, plan);
    for_features(shape, plan, kernels.find_features);
    const int n_strips = static_cast<int>(plan.strips.size());
    std::vector<double> bits(n_strips);
    const int64_t useful = 1 + shape.n_latents / kValuesPerThread;
    run_tasks(n_strips, static_cast<int>(std::min<int64_t>(n_threads, useful)), [&](int number) {
        bits[number] = kernels.cost_strip(shape, plan.strips[number], plan.packed,
                                          plan.sums + number * plan.sums_stride,
                                          kept_floats<1>(kernels.cost_scratch(shape)));
    });
    add_halos(plan);
    for_features(shape, plan, kernels.pass_features);
    store_gradients(shape, plan, call.latents_gradient);
    add_sums(shape, plan, call.parameters_gradient);
    double sum = 0.0;
    for (const double part : bits) sum += part;
    return sum;
}

}  // namespace inrcodec
