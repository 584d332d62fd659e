// How a call on a grid and a network is cut into tasks for threads: as one on the network alone, and
// each task goes through its points in runs.
//
// On the way back the gradients of all features are kept, and the table's is summed of them at the
// end, as grid_encode.cpp sums it.
#include "../common/grid_mlp.h"

#include "../common/grid_encode.h"
#include "../common/grid_kernels.h"
#include "mlp_sums.h"

namespace inrcodec {
namespace {

constexpr int64_t kRunPoints = 2 * kGridBlock;
static_assert(kRunPoints % kMlpTile == 0);

// A thread is worth waking for about a twentieth of a millisecond of work.
int useful_threads(const Grid& grid, const Mlp& mlp, int64_t n_points, int n_threads) {
    const int64_t of_point = mlp.n_parameters + 16 * int64_t{grid.n_levels} * grid.n_corners();
    return static_cast<int>(std::min<int64_t>(n_threads, 1 + (n_points * of_point >> 21)));
}

// The features of the points [first, last), in a buffer of the thread.
const float* features_of(const Grid& grid, const GridMlpCall& call, int64_t first, int64_t last) {
    const int64_t width = int64_t{grid.n_levels} * grid.n_features;
    GridCall part;
    part.n_points = last - first;
    part.coords = call.coords + first * grid.n_dims;
    part.table = call.table;
    part.out = kept_floats<kMlpFeatures>(kRunPoints * width);
    grid_kernels().forward(grid, part, {0, part.n_points, 0, grid.n_levels});
    return part.out;
}

// Calls run(first, last) for the runs that points are cut into.
template <typename Run>
void for_each_run(int64_t first, int64_t last, Run run) {
    for (; first < last; first += kRunPoints) run(first, std::min(first + kRunPoints, last));
}

}  // namespace

void grid_mlp_forward(const Grid& grid, const Mlp& mlp, const GridMlpCall& call, int n_threads) {
    const MlpKernels& kernels = mlp_kernels();
    const AlignedBuffer<float> packed = make_aligned<float>(mlp.n_parameters);
    kernels.pack(mlp, call.parameters, packed.get(), nullptr);
    const int n_tasks = static_cast<int>(divide_up(call.n_points, kRunPoints));
    n_threads = useful_threads(grid, mlp, call.n_points, n_threads);
    run_tasks(n_tasks, n_threads, [&](int task) {
        const int64_t first = task * kRunPoints;
        const int64_t last = std::min(first + kRunPoints, call.n_points);
        MlpCall part;
        part.n_points = last - first;
        part.x = features_of(grid, call, first, last);
        part.out = call.out + first * mlp.n_outputs;
        kernels.forward(mlp, part, 0, part.n_points, packed.get(),
                        kept_floats<kMlpScratch>(kernels.forward_scratch(mlp)));
    });
}

double grid_mlp_descent(const Grid& grid, const Mlp& mlp, const GridMlpCall& call, int n_threads) {
    const int64_t width = mlp.n_inputs;
    const AlignedBuffer<float> slopes = make_aligned<float>(call.n_points * width);
    const int useful = useful_threads(grid, mlp, call.n_points, n_threads);
    MlpSums sums(mlp, call.parameters, call.n_points);
    sums.sum(useful, [&](int chunk, int64_t chunk_first, int64_t chunk_last) {
        for_each_run(chunk_first, chunk_last, [&](int64_t first, int64_t last) {
            MlpCall part;
            part.n_points = last - first;
            part.x = features_of(grid, call, first, last);
            part.targets = call.targets + first * mlp.n_outputs;
            part.slope = mlp.slope_of_mean(call.n_points);
            part.x_gradient = slopes.get() + first * width;
            sums.add(chunk, part, 0, part.n_points);
        });
    });
    GridCall back;
    back.n_points = call.n_points;
    back.coords = call.coords;
    back.gradient = slopes.get();
    back.out = call.table_gradient;
    grid_encode_table_gradient(grid, back, n_threads);
    return sums.finish(call.parameters_gradient, useful);
}

}  // namespace inrcodec
