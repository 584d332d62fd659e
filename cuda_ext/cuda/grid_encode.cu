// Grid encode on the GPU, in float32. Threads and data: block row y is level y, so that one table
// at a time is hot in the cache; within it, one thread per point. Gradients of the table are added
// with atomics, in no fixed order; the gradient of a point's coordinates is one thread's, over all
// levels. The grid travels as a kernel argument, so that launches can be captured in a CUDA graph.
#include "../common/grid_encode.h"
#include "grid_cells.h"
#include "launch.h"

namespace inrcodec {
namespace {

constexpr char kOp[] = "grid_encode";
constexpr int kThreads = 256;

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
        call.out[i * D + d] = is_inside(x[d]) ? total[d] : 0.0f;
    }
}

// --- the same for derivatives along a direction, for any number of features -------------------

template <class Place>
__global__ void forward_along(const Grid grid, const GridCall call) {
    constexpr int D = Place::D;
    const int64_t i = point_of_thread();
    if (i >= call.n_points) return;
    const GridLevel& level = grid.levels[blockIdx.y];
    const int n_features = grid.n_features;
    const float* table = call.table + int64_t{level.offset} * n_features;
    const Place cell(call.coords + i * D, level, grid.skew);
    const Way<D> way(call.coords + i * D, call.direction + i * D, level, grid.skew);
    float* out = call.out + (i * grid.n_levels + blockIdx.y) * n_features;
    for (int f = 0; f < n_features; ++f) out[f] = 0.0f;
    for (int corner = 0; corner < Place::kCorners; ++corner) {
        const float* values = table + int64_t{cell.row(corner, level)} * n_features;
        const float w = way.weight(cell, corner);
        for (int f = 0; f < n_features; ++f) out[f] += w * values[f];
    }
}

template <class Place>
__global__ void table_gradient_along(const Grid grid, const GridCall call) {
    constexpr int D = Place::D;
    const int64_t i = point_of_thread();
    if (i >= call.n_points) return;
    const GridLevel& level = grid.levels[blockIdx.y];
    const int n_features = grid.n_features;
    float* table = call.out + int64_t{level.offset} * n_features;
    const float* gradient = call.gradient + (i * grid.n_levels + blockIdx.y) * n_features;
    const Place cell(call.coords + i * D, level, grid.skew);
    const Way<D> way(call.coords + i * D, call.direction + i * D, level, grid.skew);
    for (int corner = 0; corner < Place::kCorners; ++corner) {
        float* to = table + int64_t{cell.row(corner, level)} * n_features;
        const float w = way.weight(cell, corner);
        for (int f = 0; f < n_features; ++f) atomicAdd(to + f, w * gradient[f]);
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
        const float* table = call.table + int64_t{level.offset} * n_features;
        const float* gradient = call.gradient + (i * grid.n_levels + l) * n_features;
        const Place cell(x, level, grid.skew);
        const Way<D> way(x, call.direction + i * D, level, grid.skew);
        float slopes[D] = {}, sum = 0.0f;
        for (int corner = 0; corner < Place::kCorners; ++corner) {
            const float* values = table + int64_t{cell.row(corner, level)} * n_features;
            float dot = 0.0f;
            for (int f = 0; f < n_features; ++f) dot += gradient[f] * values[f];
            for (int d = 0; d < D; ++d) slopes[d] += way.slope(cell, corner, d) * dot;
        }
        for (int d = 0; d < D; ++d) sum += slopes[d];
        const float shared = grid.skew != 0.0f ? grid.skew * sum : 0.0f;
        for (int d = 0; d < D; ++d) total[d] += level.scale[d] * (slopes[d] + shared);
    }
    for (int d = 0; d < D; ++d) call.out[i * D + d] = is_inside(x[d]) ? total[d] : 0.0f;
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

// Those along a direction; a row per kind of corners, a column per axis.
using AlongKernels = const Kernel[kCornersKinds][kMaxDims];
#define INRCODEC_ROW(kernel, C) {kernel<C<1>>, kernel<C<2>>, kernel<C<3>>, kernel<C<4>>}
#define INRCODEC_KERNELS(kernel)          \
    {                                     \
        INRCODEC_ROW(kernel, Cube),       \
        INRCODEC_ROW(kernel, SmoothCube), \
        INRCODEC_ROW(kernel, Vertex),     \
        INRCODEC_ROW(kernel, Simplex),    \
    }
AlongKernels kForwardAlong = INRCODEC_KERNELS(forward_along);
AlongKernels kTableGradientAlong = INRCODEC_KERNELS(table_gradient_along);
AlongKernels kCoordsGradientAlong = INRCODEC_KERNELS(coords_gradient_along);
#undef INRCODEC_KERNELS
#undef INRCODEC_ROW

void launch(Kernels& kernels, AlongKernels& along, const Grid& grid, const GridCall& call,
            int n_rows, const Launcher& launcher) {
    int column = 0;
    while (1 << column < grid.n_features) ++column;
    const int kind = static_cast<int>(grid.corners), axes = grid.n_dims - 1;
    const Kernel kernel = call.direction ? along[kind][axes] : kernels[kind][axes][column];
    const dim3 blocks(blocks_for(call.n_points, kThreads), static_cast<unsigned>(n_rows));
    launcher.run(kernel, blocks, dim3(kThreads), 0, grid, call);
}

}  // namespace

void grid_encode_forward_cuda(const Grid& grid, const GridCall& call, Stream stream) {
    launch(kForward, kForwardAlong, grid, call, grid.n_levels, Launcher(kOp, stream));
}

void grid_encode_table_gradient_cuda(const Grid& grid, const GridCall& call, Stream stream) {
    const Launcher launcher(kOp, stream);
    const size_t n_bytes = sizeof(float) * grid.n_entries * grid.n_features;
    check_cuda(kOp, cudaMemsetAsync(call.out, 0, n_bytes, handle_of(stream)));
    launch(kTableGradient, kTableGradientAlong, grid, call, grid.n_levels, launcher);
}

void grid_encode_coords_gradient_cuda(const Grid& grid, const GridCall& call, Stream stream) {
    launch(kCoordsGradient, kCoordsGradientAlong, grid, call, 1, Launcher(kOp, stream));
}

int cuda_device_count() {
    int count = 0;
    if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
    cudaGetLastError();  // no driver is no error
    return 0;
}

}  // namespace inrcodec
