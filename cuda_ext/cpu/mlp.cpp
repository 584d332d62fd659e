// How a call on a network is cut into tasks for threads.
//
// forward: runs of points; each result belongs to one point.
// gradients: every parameter is a sum over points, so the order of the sum must not depend on the
// threads. The points are cut into chunks, whose number follows from the call alone. Chunks are
// summed on their own, in point order, then added up in chunk order.
#include "../common/mlp.h"

#include <algorithm>
#include <memory>
#include <new>

#include "../common/instruction_sets.h"
#include "../common/parallel.h"

namespace inrcodec {
namespace {

constexpr int64_t kPointsPerTask = 4 * kMlpTile;
constexpr int64_t kTilesPerChunk = 2;  // at least
constexpr int64_t kMaxChunks = 16;
constexpr int64_t kMaxSumsFloats = 1 << 24;

struct FreeFloats {
    void operator()(float* at) const { ::operator delete[](at, std::align_val_t{kMlpAlignment}); }
};
using FloatBuffer = std::unique_ptr<float[], FreeFloats>;

FloatBuffer make_floats(int64_t count) {
    const size_t n_bytes = static_cast<size_t>(count) * sizeof(float);
    return FloatBuffer(
        static_cast<float*>(::operator new[](n_bytes, std::align_val_t{kMlpAlignment})));
}

// Memory that a thread keeps from call to call: fresh memory would cost more than the work in it.
float* kept_floats(int64_t count) {
    thread_local FloatBuffer kept;
    thread_local int64_t size = 0;
    if (size < count) {
        kept = make_floats(count);
        size = count;
    }
    return kept.get();
}

int64_t divide_up(int64_t value, int64_t by) {
    return (value + by - 1) / by;
}

// A thread is worth waking for about a twentieth of a millisecond of work.
int useful_threads(const Mlp& mlp, const MlpCall& call, int n_threads) {
    const int64_t work = call.n_points * mlp.n_parameters;
    return static_cast<int>(std::min<int64_t>(n_threads, 1 + (work >> 21)));
}

int64_t count_chunks(const MlpCall& call, int64_t sums_size) {
    const int64_t n_tiles = divide_up(call.n_points, kMlpTile);
    const int64_t most = std::min(kMaxChunks, kMaxSumsFloats / sums_size);
    return std::max<int64_t>(1, std::min(most, n_tiles / kTilesPerChunk));
}

}  // namespace

void mlp_forward(const Mlp& mlp, const MlpCall& call, int n_threads) {
    const MlpKernels& kernels = mlp_kernels();
    const FloatBuffer packed = make_floats(mlp.n_parameters);
    kernels.pack(mlp, call.parameters, packed.get(), nullptr);
    const int n_tasks = static_cast<int>(divide_up(call.n_points, kPointsPerTask));
    run_tasks(n_tasks, useful_threads(mlp, call, n_threads), [&](int task) {
        const int64_t first = task * kPointsPerTask;
        const int64_t last = std::min(first + kPointsPerTask, call.n_points);
        kernels.forward(mlp, call, first, last, packed.get(),
                        kept_floats(kernels.forward_scratch(mlp)));
    });
}

void mlp_gradients(const Mlp& mlp, const MlpCall& call, int n_threads) {
    const MlpKernels& kernels = mlp_kernels();
    const FloatBuffer packed = make_floats(mlp.n_parameters);
    const FloatBuffer transposed = make_floats(mlp.n_parameters);
    kernels.pack(mlp, call.parameters, packed.get(), transposed.get());

    const int64_t sums_size = kernels.sums_size(mlp);
    const int n_chunks = static_cast<int>(count_chunks(call, sums_size));
    const int64_t n_tiles = divide_up(call.n_points, kMlpTile);
    const FloatBuffer sums = make_floats(n_chunks * sums_size);
    n_threads = useful_threads(mlp, call, n_threads);
    run_tasks(n_chunks, n_threads, [&](int chunk) {
        float* own = sums.get() + chunk * sums_size;
        std::fill(own, own + sums_size, 0.0f);
        const int64_t first = n_tiles * chunk / n_chunks * kMlpTile;
        const int64_t last = std::min(n_tiles * (chunk + 1) / n_chunks * kMlpTile, call.n_points);
        kernels.gradients(mlp, call, first, last, packed.get(), transposed.get(), own,
                          kept_floats(kernels.gradients_scratch(mlp)));
    });
    run_tasks(mlp.n_layers, n_threads, [&](int layer) {
        kernels.add_sums(mlp, sums.get(), n_chunks, layer, call.parameters_gradient);
    });
}

}  // namespace inrcodec
