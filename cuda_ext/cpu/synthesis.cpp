// How a call of the synthesis op is cut into tasks for threads: strips of rows. Latents of the finest
// size are never kept for more than some rows; those of coarser ones are, in turn.
#include "../common/synthesis.h"

#include <algorithm>

#include "../common/instruction_sets.h"
#include "../common/latent_checks.h"
#include "../common/parallel.h"
#include "aligned.h"

namespace inrcodec {
namespace {

constexpr int64_t kRowsPerStrip = 32;  // at least: a strip computes some rows beside it, too
constexpr int64_t kStripsPerThread = 2;
constexpr int64_t kWorkPerThread = 1 << 14;  // pixels, for which a thread is worth waking

// Calls run(first, last, scratch) for strips of rows. The memory is taken first: a task must not fail.
template <typename Run>
void for_strips(int64_t height, int64_t width, int64_t scratch_size, int n_threads,
                const Run& run) {
    const int64_t useful = std::min<int64_t>(n_threads, 1 + height * width / kWorkPerThread);
    const int64_t most = std::max<int64_t>(1, height / kRowsPerStrip);
    const int64_t n = useful == 1 ? 1 : std::min(most, useful * kStripsPerThread);
    const auto scratch = make_aligned<double>(n * scratch_size);
    run_tasks(static_cast<int>(n), static_cast<int>(useful), [&](int strip) {
        run(height * strip / n, height * (strip + 1) / n, scratch.get() + strip * scratch_size);
    });
}

// To the latents of step `number`, counted from the coarsest grid, from those of the step before.
Rise rise_of(const Synthesis& synthesis, const SynthesisCall& call, int number,
             const int32_t* coarse) {
    const int level = synthesis.n_levels - 1 - number;
    Rise rise{};
    rise.n_planes = number;
    rise.height = divided(synthesis.height, level);
    rise.width = divided(synthesis.width, level);
    rise.fine = call.latents[number];
    if (number == 0) return rise;
    rise.coarse = coarse;
    rise.coarse_height = divided(synthesis.height, level + 1);
    rise.coarse_width = divided(synthesis.width, level + 1);
    rise.rise = call.weights + synthesis.rise + 4 * (number - 1);
    rise.sharpen = call.weights + synthesis.sharpen + 4 * (number - 1);
    return rise;
}

}  // namespace

void synthesize(const Synthesis& synthesis, const SynthesisCall& call, int n_threads) {
    const SynthesisKernels& kernels = synthesis_kernels();
    const auto packed = make_aligned<double>(synthesis.n_weights);
    kernels.pack(synthesis, call.weights, packed.get());
    AlignedBuffer<int32_t> planes;
    for (int number = 0; number + 1 < synthesis.n_levels; ++number) {
        const Rise rise = rise_of(synthesis, call, number, planes.get());
        auto risen = make_aligned<int32_t>((number + 1) * rise.height * rise.width);
        for_strips(rise.height, rise.width, kernels.rise_scratch(rise), n_threads,
                   [&](int64_t first, int64_t last, double* scratch) {
                       kernels.rise(rise, first, last, risen.get(), scratch);
                   });
        planes = std::move(risen);
    }
    const Rise rise = rise_of(synthesis, call, synthesis.n_levels - 1, planes.get());
    for_strips(rise.height, rise.width, kernels.pixels_scratch(synthesis, rise), n_threads,
               [&](int64_t first, int64_t last, double* scratch) {
                   kernels.pixels(synthesis, call, rise, packed.get(), first, last, scratch);
               });
}

}  // namespace inrcodec
