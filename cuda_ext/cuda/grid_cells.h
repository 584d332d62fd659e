// Where a point lies on a level of a grid, on the GPU: the rows of the corners of its cell or simplex,
// their weights, and the derivatives of those along the axes of the cell or on a way. For
// grid_encode.cu.
#pragma once

#include "../common/grid.h"
#include "launch.h"

namespace inrcodec {
namespace {

__device__ bool is_inside(float x) {
    return x > 0.0f && x < 1.0f;
}

// Moved into [0, 1]; NaN becomes 0.
__device__ float clamp_unit(float x) {
    const float low = x > 0.0f ? x : 0.0f;
    return low < 1.0f ? low : 1.0f;
}

// Where a point lies on a level: its cell's lowest vertex and its place within, in [0, 1).
template <int N>
struct Cell {
    static constexpr int D = N;
    uint32_t vertex[D];
    float fraction[D];

    __device__ Cell(const float* x, const GridLevel& level, float skew) {
        for (int d = 0; d < D; ++d) fraction[d] = fmaf(level.scale[d], clamp_unit(x[d]), 0.5f);
        if (skew != 0.0f) {
            float sum = fraction[0];
            for (int d = 1; d < D; ++d) sum += fraction[d];
            for (int d = 0; d < D; ++d) fraction[d] = fmaf(skew, sum, fraction[d]);
        }
        for (int d = 0; d < D; ++d) {
            const float cell = floorf(fraction[d]);
            vertex[d] = static_cast<uint32_t>(cell);
            fraction[d] -= cell;
        }
    }

  protected:
    // The row of a vertex; step(d) is 0 or 1, the way from the lowest one.
    template <typename Step>
    __device__ uint32_t row_at(const GridLevel& level, Step step) const {
        uint32_t r = 0;
        for (int d = 0; d < D; ++d) {
            const uint32_t term = (vertex[d] + step(d)) * level.stride[d];
            r = level.hashed ? r ^ term : r + term;
        }
        if (level.hashed) return r & (level.size - 1);
        return r >= level.size ? r - level.size : r;
    }
};

// How the threads of a point share its corners: in each of kSlots turns, thread `lane` of kLanes takes
// corner_of(slot, lane), or none if that is negative. The two of a turn lie side by side along axis
// 0 where there are such.

// The lowest corner of a cell alone.
template <int N>
struct Vertex : Cell<N> {
    using Cell<N>::Cell;
    static constexpr int kCorners = 1, kLanes = 1, kSlots = 1;

    __device__ int corner_of(int, int) const { return 0; }

    __device__ uint32_t row(int, const GridLevel& level) const {
        return this->row_at(level, [](int) { return 0; });
    }
    __device__ float weight(int) const { return 1.0f; }
    __device__ float slope(int, int) const { return 0.0f; }
    __device__ float bend(int, int, int) const { return 0.0f; }
};

// All corners of a cell; bit d of a corner's number says whether it is the upper one on axis d. If
// smooth, a place f in the cell counts as f^2 (3 - 2 f) on each axis.
template <int N, bool kSmooth>
struct AnyCube : Cell<N> {
    using Cell<N>::D;
    static constexpr int kCorners = 1 << D, kLanes = 2, kSlots = kCorners / 2;
    using Cell<N>::Cell;

    __device__ int corner_of(int slot, int lane) const { return 2 * slot + lane; }

    __device__ uint32_t row(int corner, const GridLevel& level) const {
        return this->row_at(level, [corner](int d) { return (corner >> d) & 1; });
    }

    __device__ float weight(int corner) const { return product(corner, -1, -1); }

    // The derivative of a corner's weight along one axis of the cell.
    __device__ float slope(int corner, int axis) const {
        const float up = steepness(axis) * product(corner, axis, -1);
        return (corner >> axis) & 1 ? up : -up;
    }

    // The derivative of that along another axis, or along the same.
    __device__ float bend(int corner, int axis, int other) const {
        if (axis == other) {
            const float curvature = kSmooth ? 6.0f - 12.0f * this->fraction[axis] : 0.0f;
            const float up = curvature * product(corner, axis, -1);
            return (corner >> axis) & 1 ? up : -up;
        }
        const float up = steepness(axis) * steepness(other) * product(corner, axis, other);
        return ((corner >> axis) ^ (corner >> other)) & 1 ? -up : up;
    }

  private:
    __device__ float steepness(int axis) const {
        const float f = this->fraction[axis];
        return kSmooth ? 6.0f * f * (1.0f - f) : 1.0f;
    }

    // The product of heights or 1 less them over all axes but two.
    __device__ float product(int corner, int without, int nor) const {
        float w = 1.0f;
        for (int d = 0; d < D; ++d) {
            const float f = this->fraction[d], height = kSmooth ? f * f * (3.0f - 2.0f * f) : f;
            if (d != without && d != nor) w *= (corner >> d) & 1 ? height : 1.0f - height;
        }
        return w;
    }
};
template <int N>
using Cube = AnyCube<N, false>;
template <int N>
using SmoothCube = AnyCube<N, true>;

// The corners of the simplex that a point lies in: from the cell's lowest vertex a step along one
// axis after the other, by falling fraction; of equal ones the lower axis first.
template <int N>
struct Simplex : Cell<N> {
    using Cell<N>::D;
    static constexpr int kCorners = D + 1, kLanes = 2, kSlots = (kCorners + 1) / 2;

    __device__ Simplex(const float* x, const GridLevel& level, float skew)
        : Cell<N>(x, level, skew) {
        for (int d = 0; d < D; ++d) {
            rank[d] = 0;
            for (int other = 0; other < D; ++other) {
                const float mine = this->fraction[d], f = this->fraction[other];
                if (other < d) rank[d] += f >= mine;
                if (other > d) rank[d] += f > mine;
            }
        }
    }

    // First the corners before and after the step along axis 0.
    __device__ int corner_of(int slot, int lane) const {
        if (slot == 0) return rank[0] + lane;
        const int other = 2 * (slot - 1) + lane;
        if (other >= D - 1) return -1;
        return other < rank[0] ? other : other + 2;
    }

    __device__ uint32_t row(int corner, const GridLevel& level) const {
        return this->row_at(level, [&](int d) { return rank[d] < corner ? 1 : 0; });
    }

    __device__ float weight(int corner) const { return height(corner - 1) - height(corner); }

    // The derivative of a corner's weight along one axis of the cell.
    __device__ float slope(int corner, int axis) const {
        return (rank[axis] == corner - 1 ? 1.0f : 0.0f) - (rank[axis] == corner ? 1.0f : 0.0f);
    }

    __device__ float bend(int, int, int) const { return 0.0f; }

  private:
    int rank[D];  // how many axes come before

    // The fraction of the axis of this rank; 1 before the first and 0 after the last.
    __device__ float height(int of_rank) const {
        float f = of_rank < 0 ? 1.0f : 0.0f;
        for (int d = 0; d < D; ++d) f = rank[d] == of_rank ? this->fraction[d] : f;
        return f;
    }
};

// The way of a point through the cells of a level.
template <int D>
struct Way {
    float step[D];

    __device__ Way(const float* x, const float* direction, const GridLevel& level, float skew) {
        float sum = 0.0f;
        for (int d = 0; d < D; ++d) {
            step[d] = is_inside(x[d]) ? level.scale[d] * direction[d] : 0.0f;
            sum += step[d];
        }
        if (skew == 0.0f) return;
        for (int d = 0; d < D; ++d) step[d] += skew * sum;
    }

    template <class Place>
    __device__ float weight(const Place& cell, int corner) const {
        float sum = 0.0f;
        for (int d = 0; d < D; ++d) sum += cell.slope(corner, d) * step[d];
        return sum;
    }

    template <class Place>
    __device__ float slope(const Place& cell, int corner, int axis) const {
        float sum = 0.0f;
        for (int d = 0; d < D; ++d) sum += cell.bend(corner, axis, d) * step[d];
        return sum;
    }
};

}  // namespace
}  // namespace inrcodec
