// Grid encode on the GPU, in float32. Threads and data: block row y is level y, so that one table
// at a time is hot in the cache; within it, one thread per point. Gradients of the table are added
// with atomics, in no fixed order; the gradient of a point's coordinates is one thread's, over all
// levels. The grid travels as a kernel argument, so that launches can be captured in a CUDA graph.
#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

#include "../common/grid_encode.h"

namespace inrcodec {
namespace {

constexpr int kThreads = 256;

// Moved into [0, 1]; NaN becomes 0.
__device__ float clamp_unit(float x) {
    const float low = x > 0.0f ? x : 0.0f;
    return low < 1.0f ? low : 1.0f;
}

// Where a point lies on a level.
template <int D>
struct Cell {
    uint32_t vertex[D];
    float fraction[D];

    __device__ Cell(const float* x, const GridLevel& level) {
        for (int d = 0; d < D; ++d) {
            const float p = fmaf(level.scale, clamp_unit(x[d]), 0.5f);
            const float cell = floorf(p);
            vertex[d] = static_cast<uint32_t>(cell);
            fraction[d] = p - cell;
        }
    }

    __device__ uint32_t row(int corner, const GridLevel& level) const {
        uint32_t r = 0;
        for (int d = 0; d < D; ++d) {
            const uint32_t term = (vertex[d] + ((corner >> d) & 1)) * level.stride[d];
            r = level.hashed ? r ^ term : r + term;
        }
        if (level.hashed) return r & (level.size - 1);
        return r >= level.size ? r - level.size : r;
    }

    // The product of f or 1 - f over all axes but one; none is left out for -1.
    __device__ float weight(int corner, int without = -1) const {
        float w = 1.0f;
        for (int d = 0; d < D; ++d) {
            if (d != without) w *= (corner >> d) & 1 ? fraction[d] : 1.0f - fraction[d];
        }
        return w;
    }
};

__device__ int64_t point_of_thread() {
    return int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
}

template <int D, int F>
__global__ void forward(const Grid grid, const GridCall call) {
    const int64_t i = point_of_thread();
    if (i >= call.n_points) return;
    const GridLevel& level = grid.levels[blockIdx.y];
    const float* table = call.table + int64_t{level.offset} * F;
    const Cell<D> cell(call.coords + i * D, level);
    float sums[F] = {};
    for (int corner = 0; corner < 1 << D; ++corner) {
        const float* values = table + int64_t{cell.row(corner, level)} * F;
        const float w = cell.weight(corner);
        for (int f = 0; f < F; ++f) sums[f] += w * values[f];
    }
    float* out = call.out + (i * grid.n_levels + blockIdx.y) * F;
    for (int f = 0; f < F; ++f) out[f] = sums[f];
}

template <int D, int F>
__global__ void table_gradient(const Grid grid, const GridCall call) {
    const int64_t i = point_of_thread();
    if (i >= call.n_points) return;
    const GridLevel& level = grid.levels[blockIdx.y];
    float* table = call.out + int64_t{level.offset} * F;
    const float* gradient = call.gradient + (i * grid.n_levels + blockIdx.y) * F;
    const Cell<D> cell(call.coords + i * D, level);
    for (int corner = 0; corner < 1 << D; ++corner) {
        float* to = table + int64_t{cell.row(corner, level)} * F;
        const float w = cell.weight(corner);
        for (int f = 0; f < F; ++f) atomicAdd(to + f, w * gradient[f]);
    }
}

template <int D, int F>
__global__ void coords_gradient(const Grid grid, const GridCall call) {
    const int64_t i = point_of_thread();
    if (i >= call.n_points) return;
    const float* x = call.coords + i * D;
    float slopes[D] = {};
    for (int l = 0; l < grid.n_levels; ++l) {
        const GridLevel& level = grid.levels[l];
        const float* table = call.table + int64_t{level.offset} * F;
        const float* gradient = call.gradient + (i * grid.n_levels + l) * F;
        const Cell<D> cell(x, level);
        for (int corner = 0; corner < 1 << D; ++corner) {
            const float* values = table + int64_t{cell.row(corner, level)} * F;
            float dot = 0.0f;
            for (int f = 0; f < F; ++f) dot += gradient[f] * values[f];
            for (int d = 0; d < D; ++d) {
                const float sign = (corner >> d) & 1 ? 1.0f : -1.0f;
                slopes[d] += level.scale * sign * cell.weight(corner, d) * dot;
            }
        }
    }
    for (int d = 0; d < D; ++d) {
        call.out[i * D + d] = x[d] > 0.0f && x[d] < 1.0f ? slopes[d] : 0.0f;
    }
}

void check_cuda(cudaError_t error) {
    if (error == cudaSuccess) return;
    throw std::runtime_error("grid_encode: CUDA must accept the call, got " +
                             std::string(cudaGetErrorString(error)));
}

// Makes the arrays' GPU the current one for as long as it lives.
class OnDevice {
  public:
    explicit OnDevice(int device) {
        check_cuda(cudaGetDevice(&before_));
        check_cuda(cudaSetDevice(device));
    }
    ~OnDevice() { cudaSetDevice(before_); }
    OnDevice(const OnDevice&) = delete;
    OnDevice& operator=(const OnDevice&) = delete;

  private:
    int before_ = 0;
};

using Kernel = void (*)(Grid, GridCall);

// The kernel for a grid's numbers of axes and features, from a row per axis and a column per
// 1, 2, 4 or 8 features.
#define INRCODEC_GRID_KERNELS(kernel)                             \
    {                                                             \
        {kernel<1, 1>, kernel<1, 2>, kernel<1, 4>, kernel<1, 8>}, \
        {kernel<2, 1>, kernel<2, 2>, kernel<2, 4>, kernel<2, 8>}, \
        {kernel<3, 1>, kernel<3, 2>, kernel<3, 4>, kernel<3, 8>}, \
        {kernel<4, 1>, kernel<4, 2>, kernel<4, 4>, kernel<4, 8>}, \
    }
const Kernel kForward[4][4] = INRCODEC_GRID_KERNELS(forward);
const Kernel kTableGradient[4][4] = INRCODEC_GRID_KERNELS(table_gradient);
const Kernel kCoordsGradient[4][4] = INRCODEC_GRID_KERNELS(coords_gradient);
#undef INRCODEC_GRID_KERNELS

void launch(const Kernel (&kernels)[4][4], const Grid& grid, const GridCall& call, int n_rows,
            cudaStream_t stream) {
    if (call.n_points == 0) return;
    int column = 0;
    while (1 << column < grid.n_features) ++column;
    const auto n_blocks = static_cast<unsigned>((call.n_points + kThreads - 1) / kThreads);
    const dim3 blocks(n_blocks, static_cast<unsigned>(n_rows));
    kernels[grid.n_dims - 1][column]<<<blocks, kThreads, 0, stream>>>(grid, call);
    check_cuda(cudaGetLastError());
}

cudaStream_t handle_of(Stream stream) {
    return reinterpret_cast<cudaStream_t>(stream.handle);
}

}  // namespace

void grid_encode_forward_cuda(const Grid& grid, const GridCall& call, Stream stream) {
    const OnDevice guard(stream.device);
    launch(kForward, grid, call, grid.n_levels, handle_of(stream));
}

void grid_encode_table_gradient_cuda(const Grid& grid, const GridCall& call, Stream stream) {
    const OnDevice guard(stream.device);
    const size_t n_bytes = sizeof(float) * grid.n_entries * grid.n_features;
    check_cuda(cudaMemsetAsync(call.out, 0, n_bytes, handle_of(stream)));
    launch(kTableGradient, grid, call, grid.n_levels, handle_of(stream));
}

void grid_encode_coords_gradient_cuda(const Grid& grid, const GridCall& call, Stream stream) {
    const OnDevice guard(stream.device);
    launch(kCoordsGradient, grid, call, 1, handle_of(stream));
}

int cuda_device_count() {
    int count = 0;
    if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
    cudaGetLastError();  // no driver is no error
    return 0;
}

}  // namespace inrcodec
