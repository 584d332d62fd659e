// How a call on a network is cut into tasks for threads.
//
// forward: runs of points; each result belongs to one point.
// gradients: chunks of points (mlp_sums.h).
#include "../common/mlp.h"

#include "mlp_sums.h"

namespace inrcodec {
namespace {

constexpr int64_t kPointsPerTask = 4 * kMlpTile;

// A thread is worth waking for about a twentieth of a millisecond of work.
int useful_threads(const Mlp& mlp, const MlpCall& call, int n_threads) {
    const int64_t work = call.n_points * mlp.n_parameters;
    return static_cast<int>(std::min<int64_t>(n_threads, 1 + (work >> 21)));
}

}  // namespace

void mlp_forward(const Mlp& mlp, const MlpCall& call, int n_threads) {
    const MlpKernels& kernels = mlp_kernels();
    const AlignedBuffer<float> packed = make_aligned<float>(mlp.n_parameters);
    kernels.pack(mlp, call.parameters, packed.get(), nullptr);
    const int n_tasks = static_cast<int>(divide_up(call.n_points, kPointsPerTask));
    run_tasks(n_tasks, useful_threads(mlp, call, n_threads), [&](int task) {
        const int64_t first = task * kPointsPerTask;
        const int64_t last = std::min(first + kPointsPerTask, call.n_points);
        kernels.forward(mlp, call, first, last, packed.get(),
                        kept_floats<kMlpScratch>(kernels.forward_scratch(mlp)));
    });
}

double mlp_gradients(const Mlp& mlp, const MlpCall& call, int n_threads) {
    n_threads = useful_threads(mlp, call, n_threads);
    MlpSums sums(mlp, call.parameters, call.n_points);
    sums.sum(n_threads,
             [&](int chunk, int64_t first, int64_t last) { sums.add(chunk, call, first, last); });
    return sums.finish(call.parameters_gradient, n_threads);
}

}  // namespace inrcodec
