// Grid encode on the GPU, in float32. Threads and data: block row y is level y, so that one table
// at a time is hot in the cache; within it, one thread per point. Gradients of the table are added
// with atomics, in no fixed order; the gradient of a point's coordinates is one thread's, over all
// levels. The grid travels as a kernel argument, so that launches can be captured in a CUDA graph.
#include "../common/grid_encode.h"
#include "launch.h"

namespace inrcodec {
namespace {

constexpr char kOp[] = "grid_encode";
constexpr int kThreads = 256;

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

// The lowest corner of a cell alone.
template <int N>
struct Vertex : Cell<N> {
    using Cell<N>::Cell;
    static constexpr int kCorners = 1;

    __device__ uint32_t row(int, const GridLevel& level) const {
        return this->row_at(level, [](int) { return 0; });
    }
    __device__ float weight(int) const { return 1.0f; }
    __device__ float slope(int, int) const { return 0.0f; }
};

// All corners of a cell; bit d of a corner's number says whether it is the upper one on axis d. If
// smooth, a place f in the cell counts as f^2 (3 - 2 f) on each axis.
template <int N, bool kSmooth>
struct AnyCube : Cell<N> {
    using Cell<N>::D;
    static constexpr int kCorners = 1 << D;
    using Cell<N>::Cell;

    __device__ uint32_t row(int corner, const GridLevel& level) const {
        return this->row_at(level, [corner](int d) { return (corner >> d) & 1; });
    }

    __device__ float weight(int corner) const { return product(corner, -1); }

    // The derivative of a corner's weight along one axis of the cell.
    __device__ float slope(int corner, int axis) const {
        const float f = this->fraction[axis], steepness = kSmooth ? 6.0f * f * (1.0f - f) : 1.0f;
        const float up = steepness * product(corner, axis);
        return (corner >> axis) & 1 ? up : -up;
    }

  private:
    // The product of heights or 1 less them over all axes but one.
    __device__ float product(int corner, int without) const {
        float w = 1.0f;
        for (int d = 0; d < D; ++d) {
            const float f = this->fraction[d], height = kSmooth ? f * f * (3.0f - 2.0f * f) : f;
            if (d != without) w *= (corner >> d) & 1 ? height : 1.0f - height;
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
    static constexpr int kCorners = D + 1;

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

    __device__ uint32_t row(int corner, const GridLevel& level) const {
        return this->row_at(level, [&](int d) { return rank[d] < corner ? 1 : 0; });
    }

    __device__ float weight(int corner) const { return height(corner - 1) - height(corner); }

    // The derivative of a corner's weight along one axis of the cell.
    __device__ float slope(int corner, int axis) const {
        return (rank[axis] == corner - 1 ? 1.0f : 0.0f) - (rank[axis] == corner ? 1.0f : 0.0f);
    }

  private:
    int rank[D];  // how many axes come before

    // The fraction of the axis of this rank; 1 before the first and 0 after the last.
    __device__ float height(int of_rank) const {
        float f = of_rank < 0 ? 1.0f : 0.0f;
        for (int d = 0; d < D; ++d) f = rank[d] == of_rank ? this->fraction[d] : f;
        return f;
    }
};

__device__ int64_t point_of_thread() {
    return int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
}

template <class Place, int F>
__global__ void forward(const Grid grid, const GridCall call) {
    const int64_t i = point_of_thread();
    if (i >= call.n_points) return;
    const GridLevel& level = grid.levels[blockIdx.y];
    const float* table = call.table + int64_t{level.offset} * F;
    const Place cell(call.coords + i * Place::D, level, grid.skew);
    float sums[F] = {};
    for (int corner = 0; corner < Place::kCorners; ++corner) {
        const float* values = table + int64_t{cell.row(corner, level)} * F;
        const float w = cell.weight(corner);
        for (int f = 0; f < F; ++f) sums[f] += w * values[f];
    }
    float* out = call.out + (i * grid.n_levels + blockIdx.y) * F;
    for (int f = 0; f < F; ++f) out[f] = sums[f];
}

template <class Place, int F>
__global__ void table_gradient(const Grid grid, const GridCall call) {
    const int64_t i = point_of_thread();
    if (i >= call.n_points) return;
    const GridLevel& level = grid.levels[blockIdx.y];
    float* table = call.out + int64_t{level.offset} * F;
    const float* gradient = call.gradient + (i * grid.n_levels + blockIdx.y) * F;
    const Place cell(call.coords + i * Place::D, level, grid.skew);
    for (int corner = 0; corner < Place::kCorners; ++corner) {
        float* to = table + int64_t{cell.row(corner, level)} * F;
        const float w = cell.weight(corner);
        for (int f = 0; f < F; ++f) atomicAdd(to + f, w * gradient[f]);
    }
}

template <class Place, int F>
__global__ void coords_gradient(const Grid grid, const GridCall call) {
    const int64_t i = point_of_thread();
    if (i >= call.n_points) return;
    constexpr int D = Place::D;
    const float* x = call.coords + i * D;
    float total[D] = {};
    for (int l = 0; l < grid.n_levels; ++l) {
        const GridLevel& level = grid.levels[l];
        const float* table = call.table + int64_t{level.offset} * F;
        const float* gradient = call.gradient + (i * grid.n_levels + l) * F;
        const Place cell(x, level, grid.skew);
        float slopes[D] = {}, sum = 0.0f;
        for (int corner = 0; corner < Place::kCorners; ++corner) {
            const float* values = table + int64_t{cell.row(corner, level)} * F;
            float dot = 0.0f;
            for (int f = 0; f < F; ++f) dot += gradient[f] * values[f];
            for (int d = 0; d < D; ++d) slopes[d] += cell.slope(corner, d) * dot;
        }
        for (int d = 0; d < D; ++d) sum += slopes[d];
        const float shared = grid.skew != 0.0f ? grid.skew * sum : 0.0f;
        for (int d = 0; d < D; ++d) total[d] += level.scale[d] * (slopes[d] + shared);
    }
    for (int d = 0; d < D; ++d) {
        call.out[i * D + d] = x[d] > 0.0f && x[d] < 1.0f ? total[d] : 0.0f;
    }
}

using Kernel = void (*)(Grid, GridCall);

// The kernels of one op, by kind of corners; a row per axis, a column per 1, 2, 4 or 8 features.
using Kernels = const Kernel[kCornersKinds][kMaxDims][4];
#define INRCODEC_ROW(kernel, C) {kernel<C, 1>, kernel<C, 2>, kernel<C, 4>, kernel<C, 8>}
#define INRCODEC_ROWS(kernel, C)    \
    {                               \
        INRCODEC_ROW(kernel, C<1>), \
        INRCODEC_ROW(kernel, C<2>), \
        INRCODEC_ROW(kernel, C<3>), \
        INRCODEC_ROW(kernel, C<4>), \
    }
#define INRCODEC_KERNELS(kernel)           \
    {                                      \
        INRCODEC_ROWS(kernel, Cube),       \
        INRCODEC_ROWS(kernel, SmoothCube), \
        INRCODEC_ROWS(kernel, Vertex),     \
        INRCODEC_ROWS(kernel, Simplex),    \
    }
Kernels kForward = INRCODEC_KERNELS(forward);
Kernels kTableGradient = INRCODEC_KERNELS(table_gradient);
Kernels kCoordsGradient = INRCODEC_KERNELS(coords_gradient);
#undef INRCODEC_KERNELS
#undef INRCODEC_ROWS
#undef INRCODEC_ROW

void launch(Kernels& kernels, const Grid& grid, const GridCall& call, int n_rows,
            const Launcher& launcher) {
    int column = 0;
    while (1 << column < grid.n_features) ++column;
    const Kernel kernel = kernels[static_cast<int>(grid.corners)][grid.n_dims - 1][column];
    const dim3 blocks(blocks_for(call.n_points, kThreads), static_cast<unsigned>(n_rows));
    launcher.run(kernel, blocks, dim3(kThreads), 0, grid, call);
}

}  // namespace

void grid_encode_forward_cuda(const Grid& grid, const GridCall& call, Stream stream) {
    launch(kForward, grid, call, grid.n_levels, Launcher(kOp, stream));
}

void grid_encode_table_gradient_cuda(const Grid& grid, const GridCall& call, Stream stream) {
    const Launcher launcher(kOp, stream);
    const size_t n_bytes = sizeof(float) * grid.n_entries * grid.n_features;
    check_cuda(kOp, cudaMemsetAsync(call.out, 0, n_bytes, handle_of(stream)));
    launch(kTableGradient, grid, call, grid.n_levels, launcher);
}

void grid_encode_coords_gradient_cuda(const Grid& grid, const GridCall& call, Stream stream) {
    launch(kCoordsGradient, grid, call, 1, Launcher(kOp, stream));
}

int cuda_device_count() {
    int count = 0;
    if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
    cudaGetLastError();  // no driver is no error
    return 0;
}

}  // namespace inrcodec
