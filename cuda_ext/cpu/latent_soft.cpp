// How the soft rounding of latents is cut into tasks for threads.
#include <algorithm>

#include "../common/instruction_sets.h"
#include "../common/latent_fit.h"
#include "../common/parallel.h"

namespace inrcodec {

constexpr int64_t kValuesPerTask = 16384;

void soften_latents(const SoftCall& call, int n_threads) {
    const int n_tasks = static_cast<int>((call.n_values + kValuesPerTask - 1) / kValuesPerTask);
    run_tasks(n_tasks, n_threads, [&](int task) {
        const int64_t first = task * kValuesPerTask;
        fit_kernels().soften(call, first, std::min(first + kValuesPerTask, call.n_values));
    });
}

}  // namespace inrcodec
