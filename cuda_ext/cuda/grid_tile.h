// How the threads of a block share the points of a grid_encode call, and their features.
//
// A block has kTilePoints points and some levels: as many as make kTileNumbers features. Two threads
// have a point, one on each side of its cell along axis 0, as those rows lie next to each other in
// tables, hashed ones too, for the most part: what they read and add is then one access. Features
// pass through shared memory, so that a point's are read and written together.
#pragma once

#include "grid_rows.h"

namespace inrcodec {
namespace {

constexpr int kTilePoints = 128;
constexpr int kTileNumbers = 16;
constexpr int kTileStride = kTileNumbers + 1;  // rows of a warp lie in different banks
constexpr size_t kTileBytes = sizeof(float) * kTilePoints * kTileStride;

template <class Place, int F>
struct Tile {
    static constexpr int kLanes = Place::kLanes;
    static constexpr int kThreads = kTilePoints * kLanes;
    static constexpr int kLevels = kTileNumbers / F;

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
        for (int i = static_cast<int>(threadIdx.x); i < kTilePoints * kTileNumbers; i += kThreads) {
            const int to = i / kTileNumbers, f = i % kTileNumbers;
            const int64_t from = first_point + to;
            if (f >= n_numbers || from >= call.n_points) continue;
            use(to * kTileStride + f, (from * grid.n_levels + first_level) * F + f);
        }
    }
};

// Adds weight * row to row `number` of the sums, if there is one; the other thread of a point does so
// with its own number and weight. Two rows of a pair are added at once where the GPU can.
template <int kLanes, int F>
__device__ void add_side(const Sums& sums, uint32_t number, float weight, const Row<F>& row,
                         bool is_there) {
#if defined(INRCODEC_VECTOR_ATOMICS)
    if constexpr (kLanes == 2 && F <= 2) {
        const uint32_t other = __shfl_xor_sync(~0u, is_there ? number : ~0u, 1);
        const float its = __shfl_xor_sync(~0u, weight, 1);
        if (sums.how == Summing::kFast && is_there && (number ^ other) == 1) {
            Row<2 * F> both;
            for (int f = 0; f < F; ++f) {
                both.at[f] = weight * row.at[f];
                both.at[F + f] = its * row.at[f];
            }
            if (number % 2 == 0) add_fast<2 * F>(sums.fast + int64_t{number} * F, 1.0f, both);
            return;
        }
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
