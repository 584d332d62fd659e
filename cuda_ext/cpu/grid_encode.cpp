// How a call on the grid is cut into tasks for threads.
//
// forward, gradient of coords: runs of points; each result belongs to one point.
// gradient of table: every table row is a sum over points, so the order of the sum must not depend
// on the threads. The points are cut into a few chunks, whose number follows from the call alone.
// Chunks are summed on their own, in point order, then added up in chunk order. When chunks are
// fewer than the threads would like, the levels are dealt out as well, which changes no sum.
#include "../common/grid_encode.h"

#include <algorithm>
#include <vector>

#include "../common/instruction_sets.h"
#include "../common/parallel.h"

namespace inrcodec {
namespace {

constexpr int64_t kPointsPerTask = 16 * kGridBlock;
constexpr int64_t kFloatsPerTask = 1 << 14;
constexpr int64_t kMaxScratchFloats = 1 << 22;
constexpr int kMaxChunks = 4;

int64_t divide_up(int64_t value, int64_t by) {
    return (value + by - 1) / by;
}

void for_each_run_of_points(const Grid& grid, const GridCall& call, int n_threads,
                            void (*kernel)(const Grid&, const GridCall&, const GridSpan&)) {
    const int n_tasks = static_cast<int>(divide_up(call.n_points, kPointsPerTask));
    run_tasks(n_tasks, n_threads, [&](int task) {
        const int64_t first = task * kPointsPerTask;
        const int64_t last = std::min(first + kPointsPerTask, call.n_points);
        kernel(grid, call, {first, last, 0, grid.n_levels});
    });
}

// A thread is worth waking for about a tenth of a millisecond of work.
int useful_threads(const Grid& grid, const GridCall& call, int n_threads) {
    const int64_t work = call.n_points * grid.n_levels * grid.n_corners();
    return static_cast<int>(std::min<int64_t>(n_threads, 1 + (work >> 17)));
}

// Several chunks pay when there is much more to add than rows to clear and to add up.
int count_chunks(const Grid& grid, const GridCall& call) {
    const int64_t n_floats = int64_t{grid.n_entries} * grid.n_features;
    const int64_t additions = call.n_points * grid.n_levels * grid.n_corners();
    for (int chunks = kMaxChunks; chunks > 1; chunks /= 2) {
        const bool worth = additions >= 10 * chunks * int64_t{grid.n_entries};
        if (worth && (chunks - 1) * n_floats <= kMaxScratchFloats) return chunks;
    }
    return 1;
}

class TableGradient {
  public:
    TableGradient(const Grid& grid, const GridCall& call, int n_threads)
        : grid_(grid), call_(call), n_threads_(n_threads), n_chunks_(count_chunks(grid, call)) {
        chunk_points_ = divide_up(divide_up(call.n_points, n_chunks_), kGridBlock) * kGridBlock;
        n_floats_ = int64_t{grid.n_entries} * grid.n_features;
    }

    void sum() {
        thread_local std::vector<float> kept;  // fresh memory would cost more than the additions
        const size_t n_scratch = static_cast<size_t>((n_chunks_ - 1) * n_floats_);
        if (kept.size() < n_scratch) kept.resize(n_scratch);
        scratch_ = kept.data();
        const int n_groups = std::clamp(2 * n_threads_ / n_chunks_, 1, grid_.n_levels);
        run_tasks(n_chunks_ * n_groups, n_threads_,
                  [&](int task) { sum_chunk(task % n_chunks_, task / n_chunks_, n_groups); });
        if (n_chunks_ > 1) add_chunks();
    }

  private:
    // The first chunk is summed in place.
    float* chunk(int number) const {
        return number == 0 ? call_.out : scratch_ + (number - 1) * n_floats_;
    }

    // Groups of levels are taken from the finest, which take longest, to the coarsest.
    void sum_chunk(int number, int group, int n_groups) const {
        const int level_first = grid_.n_levels * (n_groups - 1 - group) / n_groups;
        const int level_last = grid_.n_levels * (n_groups - group) / n_groups;
        const GridLevel& top = grid_.levels[level_last - 1];
        const int64_t row_first = grid_.levels[level_first].offset;
        const int64_t row_last = int64_t{top.offset} + top.size;
        std::fill(chunk(number) + row_first * grid_.n_features,
                  chunk(number) + row_last * grid_.n_features, 0.0f);
        const int64_t first = std::min(number * chunk_points_, call_.n_points);
        const int64_t last = std::min(first + chunk_points_, call_.n_points);
        const GridSpan span{first, last, level_first, level_last};
        grid_kernels().table_gradient(grid_, call_, span, chunk(number));
    }

    void add_chunks() const {
        const int n_tasks = static_cast<int>(divide_up(n_floats_, kFloatsPerTask));
        run_tasks(n_tasks, n_threads_, [&](int task) {
            const int64_t first = task * kFloatsPerTask;
            const int64_t last = std::min(first + kFloatsPerTask, n_floats_);
            for (int number = 1; number < n_chunks_; ++number) {
                const float* from = chunk(number);
                for (int64_t i = first; i < last; ++i) call_.out[i] += from[i];
            }
        });
    }

    const Grid& grid_;
    const GridCall& call_;
    const int n_threads_;
    const int n_chunks_;
    int64_t chunk_points_ = 0;
    int64_t n_floats_ = 0;
    float* scratch_ = nullptr;
};

}  // namespace

void grid_encode_forward(const Grid& grid, const GridCall& call, int n_threads) {
    for_each_run_of_points(grid, call, n_threads, grid_kernels().forward);
}

void grid_encode_table_gradient(const Grid& grid, const GridCall& call, int n_threads) {
    TableGradient(grid, call, useful_threads(grid, call, n_threads)).sum();
}

void grid_encode_coords_gradient(const Grid& grid, const GridCall& call, int n_threads) {
    for_each_run_of_points(grid, call, n_threads, grid_kernels().coords_gradient);
}

}  // namespace inrcodec
