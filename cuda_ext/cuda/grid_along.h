// The kernels of grid_encode.cu for derivatives along a direction, for any number of features: one thread
// per point, block row y is level y, that of coordinates over all levels.
#pragma once

#include "grid_cells.h"
#include "grid_rows.h"

namespace inrcodec {
namespace {

__device__ int64_t point_of_thread() {
    return int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
}

template <class Place>
__global__ void forward_along(const Grid grid, const GridCall call) {
    constexpr int D = Place::D;
    const int64_t i = point_of_thread();
    if (i >= call.n_points) return;
    const GridLevel& level = grid.levels[blockIdx.y];
    const int n_features = grid.n_features;
    const Place cell(call.coords + i * D, level, grid.skew);
    const Way<D> way(call.coords + i * D, call.direction + i * D, level, grid.skew);
    for (int f = 0; f < n_features; ++f) {
        Row<1> sum = {};
        for (int corner = 0; corner < Place::kCorners; ++corner) {
            const int64_t number = int64_t{level.offset} + cell.row(corner, level);
            const Row<1> value = load_row<1>(call.table, number * n_features + f, call.values);
            sum.at[0] += way.weight(cell, corner) * value.at[0];
        }
        const int64_t at = (i * grid.n_levels + blockIdx.y) * n_features + f;
        store_number(call.out, at, call.values, sum.at[0]);
    }
}

template <class Place>
__global__ void table_gradient_along(const Grid grid, const GridCall call, const Sums sums) {
    constexpr int D = Place::D;
    const int64_t i = point_of_thread();
    if (i >= call.n_points) return;
    const GridLevel& level = grid.levels[blockIdx.y];
    const int n_features = grid.n_features;
    const int64_t first = (i * grid.n_levels + blockIdx.y) * n_features;
    const Place cell(call.coords + i * D, level, grid.skew);
    const Way<D> way(call.coords + i * D, call.direction + i * D, level, grid.skew);
    for (int corner = 0; corner < Place::kCorners; ++corner) {
        const int64_t number = int64_t{level.offset} + cell.row(corner, level);
        const float w = way.weight(cell, corner);
        for (int f = 0; f < n_features; ++f) {
            const Row<1> g = load_row<1>(call.gradient, first + f, call.values);
            add_row<1>(sums, number * n_features + f, w, g);
        }
    }
}

template <class Place>
__global__ void coords_gradient_along(const Grid grid, const GridCall call) {
    constexpr int D = Place::D;
    const int64_t i = point_of_thread();
    if (i >= call.n_points) return;
    const int n_features = grid.n_features;
    const float* x = call.coords + i * D;
    float total[D] = {};
    for (int l = 0; l < grid.n_levels; ++l) {
        const GridLevel& level = grid.levels[l];
        const int64_t first = (i * grid.n_levels + l) * n_features;
        const Place cell(x, level, grid.skew);
        const Way<D> way(x, call.direction + i * D, level, grid.skew);
        float slopes[D] = {}, sum = 0.0f;
        for (int corner = 0; corner < Place::kCorners; ++corner) {
            const int64_t number = int64_t{level.offset} + cell.row(corner, level);
            float dot = 0.0f;
            for (int f = 0; f < n_features; ++f) {
                const Row<1> value = load_row<1>(call.table, number * n_features + f, call.values);
                dot += load_row<1>(call.gradient, first + f, call.values).at[0] * value.at[0];
            }
            for (int d = 0; d < D; ++d) slopes[d] += way.slope(cell, corner, d) * dot;
        }
        for (int d = 0; d < D; ++d) sum += slopes[d];
        const float shared = grid.skew != 0.0f ? grid.skew * sum : 0.0f;
        for (int d = 0; d < D; ++d) total[d] += level.scale[d] * (slopes[d] + shared);
    }
    for (int d = 0; d < D; ++d) call.out[i * D + d] = is_inside(x[d]) ? total[d] : 0.0f;
}

}  // namespace
}  // namespace inrcodec
