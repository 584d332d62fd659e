// How a call of the quantizer is cut into tasks for threads: chunks of one tensor each, which follow
// from the sizes alone. The sums of chunks are added up in their order.
#include <algorithm>
#include <vector>

#include "../common/instruction_sets.h"
#include "../common/parallel.h"

namespace inrcodec {
namespace {

constexpr int64_t kValuesPerChunk = 1 << 14;

using Kernel = void (*)(const QuantizeCall&, const QuantizeRun&, int64_t, int64_t, double*);

struct Chunk {
    int run;
    int64_t first, last;
};

std::vector<Chunk> cut(const QuantizeRun* runs, int n_runs) {
    std::vector<Chunk> chunks;
    for (int run = 0; run < n_runs; ++run) {
        for (int64_t first = runs[run].first; first < runs[run].last; first += kValuesPerChunk)
            chunks.push_back({run, first, std::min(first + kValuesPerChunk, runs[run].last)});
    }
    return chunks;
}

// A thread is worth waking for about a twentieth of a millisecond of work.
int useful_threads(const QuantizeRun* runs, int n_runs, int n_threads) {
    const int64_t n_values = n_runs > 0 ? runs[n_runs - 1].last : 0;
    return static_cast<int>(std::min<int64_t>(n_threads, 1 + (n_values >> 15)));
}

// `sums` [n_runs, n_sums].
void for_each_chunk(const QuantizeRun* runs, int n_runs, const QuantizeCall& call, Kernel kernel,
                    int n_sums, double* sums, int n_threads) {
    const std::vector<Chunk> chunks = cut(runs, n_runs);
    std::vector<double> parts(chunks.size() * static_cast<size_t>(n_sums));
    const int n_chunks = static_cast<int>(chunks.size());
    run_tasks(n_chunks, useful_threads(runs, n_runs, n_threads), [&](int number) {
        const Chunk& chunk = chunks[number];
        kernel(call, runs[chunk.run], chunk.first, chunk.last, parts.data() + number * n_sums);
    });
    std::fill(sums, sums + n_runs * n_sums, 0.0);
    for (int number = 0; number < n_chunks; ++number)
        for (int i = 0; i < n_sums; ++i)
            sums[chunks[number].run * n_sums + i] += parts[number * n_sums + i];
}

}  // namespace

void quantize_forward(const QuantizeRun* runs, int n_runs, const QuantizeCall& call, double* sums,
                      int n_threads) {
    for_each_chunk(runs, n_runs, call, quantize_kernels().forward, kForwardSums, sums, n_threads);
}

void quantize_step(const QuantizeRun* runs, int n_runs, const QuantizeCall& call, double* sums,
                   int n_threads) {
    for_each_chunk(runs, n_runs, call, quantize_kernels().step, kStepSums, sums, n_threads);
}

}  // namespace inrcodec
