// How the threads of a block share the points of a grid_encode call, and their features.
//
// A block has kTilePoints points and some levels: as many as make kNumbers features. Two threads
// have a point, one on each side of its cell along axis 0, as those rows lie next to each other in
// tables, hashed ones too, for the most part: what they read and add is then one access. Features
// pass through shared memory, so that a point's are read and written together.
#pragma once

#include "grid_rows.h"

namespace inrcodec {
namespace {

constexpr int kTilePoints = 128;

// Features of a point in a tile. Sums take more memory than what is read, so that the caches have
// those of fewer levels.
constexpr int kForwardNumbers = 16, kGradientNumbers = 8;

template <class Place, int F, int kNumbers>
struct Tile {
    static constexpr int kLanes = Place::kLanes;
    static constexpr int kThreads = kTilePoints * kLanes;
    static constexpr int kLevels = kNumbers / F;
    static constexpr int kStride = kNumbers + 1;  // rows of a warp lie in different banks

    int64_t first_point, point;  // of the block; of the thread, the last one where there is none
    int row, lane;               // of the thread, in the block and of the point
    bool is_there;
    int first_level, n_levels;
    float x[Place::D];

    __device__ Tile(const Grid& grid, const GridCall& call, int level) {
        first_point = int64_t{blockIdx.x} * kTilePoints;
        row = static_cast<int>(threadIdx.x) / kLanes;
        lane = static_cast<int>(threadIdx.x) % kLanes;
        is_there = first_point + row < call.n_points;
        point = is_there ? first_point + row : call.n_points - 1;
        first_level = level + static_cast<int>(blockIdx.y) * kLevels;
        const int n_others = grid.n_levels - first_level;
        n_levels = n_others < kLevels ? n_others : kLevels;
        for (int d = 0; d < Place::D; ++d) x[d] = call.coords[point * Place::D + d];
    }

    // use(at, number): each feature of the tile's points and levels, where it is in the tile and in
    // the array of all.
    template <typename Use>
    __device__ void for_each(const Grid& grid, const GridCall& call, Use use) const {
        const int n_numbers = n_levels * F;
        for (int i = static_cast<int>(threadIdx.x); i < kTilePoints * kNumbers; i += kThreads) {
            const int to = i / kNumbers, f = i % kNumbers;
            const int64_t from = first_point + to;
            if (f >= n_numbers || from >= call.n_points) continue;
            use(to * kStride + f, (from * grid.n_levels + first_level) * F + f);
        }
    }
};

#if defined(INRCODEC_VECTOR_ATOMICS)
// Adds two rows at once, weight * row to `number` and its * row to `other`, if they lie in the same 16
// bytes. The thread of the other row is told the same, and one of them adds.
template <int F>
__device__ bool add_pair(const Sums& sums, uint32_t number, uint32_t other, float weight, float its,
                         const Row<F>& row) {
    constexpr uint32_t kRows = 4 / F;
    const uint32_t apart = number ^ other, last = number | (kRows - 1);
    if (sums.how != Summing::kFast || apart == 0 || apart >= kRows || last >= sums.n_rows)
        return false;
    if (number > other) return true;
    const uint32_t mine = number % kRows;
    Row<4> rows;
    for (uint32_t i = 0; i < kRows; ++i) {
        for (int f = 0; f < F; ++f) {
            const float of_other = i == (mine ^ apart) ? its * row.at[f] : 0.0f;
            rows.at[i * F + f] = i == mine ? weight * row.at[f] : of_other;
        }
    }
    add_fast<4>(sums.fast + int64_t{number - mine} * F, 1.0f, rows);
    return true;
}
#endif

// Adds weight * row to row `number` of the sums, if there is one; the other thread of a point does so
// with its own number and weight.
template <int kLanes, int F>
__device__ void add_side(const Sums& sums, uint32_t number, float weight, const Row<F>& row,
                         bool is_there) {
#if defined(INRCODEC_VECTOR_ATOMICS)
    if constexpr (kLanes == 2 && F <= 2) {
        const uint32_t other = __shfl_xor_sync(~0u, is_there ? number : ~0u, 1);
        const float its = __shfl_xor_sync(~0u, weight, 1);
        if (is_there && add_pair<F>(sums, number, other, weight, its, row)) return;
    }
#endif
    if (is_there) add_row<F>(sums, number, weight, row);
}

// The sum of a value over the threads of a point.
template <int kLanes>
__device__ float sum_of_lanes(float value) {
    if constexpr (kLanes == 2) return value + __shfl_xor_sync(~0u, value, 1);
    return value;
}

}  // namespace
}  // namespace inrcodec
