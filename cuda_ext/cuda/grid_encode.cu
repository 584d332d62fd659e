// Grid encode on the GPU; all sums are of float32. Blocks have tiles of points and levels (grid_tile.h),
// some levels of all points before the next, so that a few tables at a time are hot in the caches.
// Gradients of the table are added with atomics, in no fixed order or as whole numbers (grid_rows.h),
// those of coarse levels in shared memory first. The gradient of a point's coordinates is one
// thread's, over all levels. The grid travels as a kernel argument, so that launches can be captured
// in a CUDA graph.
#include "../common/grid_encode.h"
#include "grid_along.h"
#include "grid_cells.h"
#include "grid_tile.h"
#include "launch.h"

namespace inrcodec {
namespace {

constexpr char kOp[] = "grid_encode";
constexpr int kThreads = 256, kCoarseThreads = 1024;

template <class Place, int F>
__global__ void forward(const Grid grid, const GridCall call) {
    INRCODEC_SHARED(shared);
    const Tile<Place, F, kForwardNumbers> tile(grid, call, 0);
    with_values(call.values, [&](auto kind) {
        using T = decltype(kind);
        for (int l = 0; l < tile.n_levels; ++l) {
            const GridLevel& level = grid.levels[tile.first_level + l];
            const Place cell(tile.x, level, grid.skew);
            Row<F> sums = {};
            for (int slot = 0; slot < Place::kSlots; ++slot) {
                const int corner = cell.corner_of(slot, tile.lane);
                if (corner < 0) continue;
                const Row<F> values =
                    row_of<T, F>(call.table, level.offset + cell.row(corner, level));
                const float w = cell.weight(corner);
                for (int f = 0; f < F; ++f) sums.at[f] += w * values.at[f];
            }
            for (int f = 0; f < F; ++f) {
                const float sum = sum_of_lanes<Place::kLanes>(sums.at[f]);
                if (tile.lane == 0) shared[tile.row * tile.kStride + l * F + f] = sum;
            }
        }
        __syncthreads();
        tile.for_each(grid, call, [&](int at, int64_t number) {
            set_number(reinterpret_cast<T*>(call.out)[number], shared[at]);
        });
    });
}

template <class Place, int F>
__global__ void table_gradient(const Grid grid, const GridCall call, const Sums sums,
                               int first_level) {
    INRCODEC_SHARED(shared);
    const Tile<Place, F, kGradientNumbers> tile(grid, call, first_level);
    tile.for_each(grid, call, [&](int at, int64_t number) {
        shared[at] = load_number(call.gradient, number, call.values);
    });
    __syncthreads();
    for (int l = 0; l < tile.n_levels; ++l) {
        const GridLevel& level = grid.levels[tile.first_level + l];
        const Place cell(tile.x, level, grid.skew);
        Row<F> g = {};
        for (int f = 0; f < F && tile.is_there; ++f)
            g.at[f] = shared[tile.row * tile.kStride + l * F + f];
        for (int slot = 0; slot < Place::kSlots; ++slot) {
            const int corner = cell.corner_of(slot, tile.lane);
            add_side<Place::kLanes, F>(sums, level.offset + cell.row(corner, level),
                                       cell.weight(corner), g, corner >= 0);
        }
    }
}

// The sums of a level that fits into what a block shares: there they do not wait for one another.
template <class Place, int F>
__global__ void __launch_bounds__(kCoarseThreads)
    coarse_gradient(const Grid grid, const GridCall call, const Sums sums) {
    INRCODEC_SHARED(shared);
    const int l = static_cast<int>(blockIdx.y);
    const GridLevel& level = grid.levels[l];
    const int n_threads = static_cast<int>(blockDim.x);
    const int n_numbers = static_cast<int>(level.size) * F;
    for (int i = static_cast<int>(threadIdx.x); i < n_numbers; i += n_threads) shared[i] = 0.0f;
    __syncthreads();
    const int64_t step = int64_t{gridDim.x} * n_threads;
    for (int64_t i = point_of_thread(); i < call.n_points; i += step) {
        const Row<F> g = load_row<F>(call.gradient, i * grid.n_levels + l, call.values);
        const Place cell(call.coords + i * Place::D, level, grid.skew);
        for (int corner = 0; corner < Place::kCorners; ++corner) {
            float* const to = shared + cell.row(corner, level) * F;
            const float w = cell.weight(corner);
            for (int f = 0; f < F; ++f) atomicAdd(to + f, w * g.at[f]);
        }
    }
    __syncthreads();
    for (int r = static_cast<int>(threadIdx.x); r < n_numbers / F; r += n_threads) {
        Row<F> sum;
        for (int f = 0; f < F; ++f) sum.at[f] = shared[r * F + f];
        add_fast<F>(sums.fast + (int64_t{level.offset} + r) * F, 1.0f, sum);
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
        const Row<F> g = load_row<F>(call.gradient, i * grid.n_levels + l, call.values);
        const Place cell(x, level, grid.skew);
        float slopes[D] = {}, sum = 0.0f;
        for (int corner = 0; corner < Place::kCorners; ++corner) {
            const int64_t number = int64_t{level.offset} + cell.row(corner, level);
            const Row<F> values = load_row<F>(call.table, number, call.values);
            float dot = 0.0f;
            for (int f = 0; f < F; ++f) dot += g.at[f] * values.at[f];
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

template <typename... Arguments>
using Kernel = void (*)(Grid, GridCall, Arguments...);

// The kernels of one op, by kind of corners; a row per axis, a column per 1, 2, 4 or 8 features.
template <typename... Arguments>
using Kernels = const Kernel<Arguments...>[kCornersKinds][kMaxDims][4];
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
Kernels<> kForward = INRCODEC_KERNELS(forward);
Kernels<Sums, int> kTableGradient = INRCODEC_KERNELS(table_gradient);
Kernels<Sums> kCoarseGradient = INRCODEC_KERNELS(coarse_gradient);
Kernels<> kCoordsGradient = INRCODEC_KERNELS(coords_gradient);
#undef INRCODEC_KERNELS
#undef INRCODEC_ROWS
#undef INRCODEC_ROW

// Those along a direction; a row per kind of corners, a column per axis.
template <typename... Arguments>
using AlongKernels = const Kernel<Arguments...>[kCornersKinds][kMaxDims];
#define INRCODEC_ROW(kernel, C) {kernel<C<1>>, kernel<C<2>>, kernel<C<3>>, kernel<C<4>>}
#define INRCODEC_KERNELS(kernel)          \
    {                                     \
        INRCODEC_ROW(kernel, Cube),       \
        INRCODEC_ROW(kernel, SmoothCube), \
        INRCODEC_ROW(kernel, Vertex),     \
        INRCODEC_ROW(kernel, Simplex),    \
    }
AlongKernels<> kForwardAlong = INRCODEC_KERNELS(forward_along);
AlongKernels<Sums> kTableGradientAlong = INRCODEC_KERNELS(table_gradient_along);
AlongKernels<> kCoordsGradientAlong = INRCODEC_KERNELS(coords_gradient_along);
#undef INRCODEC_KERNELS
#undef INRCODEC_ROW

template <typename... Arguments>
Kernel<Arguments...> find(Kernels<Arguments...>& kernels, const Grid& grid) {
    int column = 0;
    while (1 << column < grid.n_features) ++column;
    return kernels[static_cast<int>(grid.corners)][grid.n_dims - 1][column];
}

template <typename... Arguments>
Kernel<Arguments...> find(AlongKernels<Arguments...>& kernels, const Grid& grid) {
    return kernels[static_cast<int>(grid.corners)][grid.n_dims - 1];
}

// A thread per point; n_rows block rows.
template <typename... Arguments>
void launch_points(const Launcher& launcher, Kernel<Arguments...> kernel, const Grid& grid,
                   const GridCall& call, int n_rows, Arguments... arguments) {
    const dim3 blocks(blocks_for(call.n_points, kThreads), static_cast<unsigned>(n_rows));
    launcher.run(kernel, blocks, dim3(kThreads), 0, grid, call, arguments...);
}

// A block per tile of n_numbers features of a point, of the levels from first_level on.
template <typename... Arguments>
void launch_tiles(const Launcher& launcher, Kernel<Arguments...> kernel, const Grid& grid,
                  const GridCall& call, int n_numbers, int first_level, Arguments... arguments) {
    const bool has_pairs = grid.corners != Corners::kVertex;
    const dim3 threads(has_pairs ? 2 * kTilePoints : kTilePoints);
    const int64_t n_others = int64_t{grid.n_levels - first_level} * grid.n_features;
    const dim3 blocks(blocks_for(call.n_points, kTilePoints), blocks_for(n_others, n_numbers));
    const size_t n_floats = static_cast<size_t>(kTilePoints * (n_numbers + 1));
    launcher.run(kernel, blocks, threads, sizeof(float) * n_floats, grid, call, arguments...);
}

// The coarsest levels that fit into shared memory and have so many terms that they are worth it.
struct Coarse {
    int n_levels = 0;
    size_t n_bytes = 0;

    Coarse(const Grid& grid, const GridCall& call, size_t shared_bytes) {
        const int64_t n_terms = call.n_points * grid.n_corners();
        for (; n_levels < grid.n_levels; ++n_levels) {
            const int64_t size = grid.levels[n_levels].size;
            const size_t needed = sizeof(float) * static_cast<size_t>(size * grid.n_features);
            if (needed > shared_bytes || 2 * size * kMultiprocessors > n_terms) return;
            n_bytes = needed > n_bytes ? needed : n_bytes;
        }
    }
};

void sum_table_fast(const Grid& grid, const GridCall& call, const Launcher& launcher,
                    const Sums& sums, size_t shared_bytes) {
    const Coarse coarse(grid, call, shared_bytes);
    const auto sum_others = [&] {
        launch_tiles(launcher, find(kTableGradient, grid), grid, call, kGradientNumbers,
                     coarse.n_levels, sums, coarse.n_levels);
    };
    if (coarse.n_levels == 0) return sum_others();
    const auto sum_coarse = [&](const Launcher& side) {
        const dim3 blocks(kMultiprocessors, static_cast<unsigned>(coarse.n_levels));
        side.run(find(kCoarseGradient, grid), blocks, dim3(kCoarseThreads), coarse.n_bytes, grid,
                 call, sums);
    };
    launcher.run_beside(sum_coarse, sum_others);
}

void sum_table(const Grid& grid, const GridCall& call, const Launcher& launcher, const Sums& sums,
               size_t shared_bytes) {
    if (call.direction) {
        const auto kernel = find(kTableGradientAlong, grid);
        return launch_points(launcher, kernel, grid, call, grid.n_levels, sums);
    }
    if (sums.how == Summing::kFast) {
        return sum_table_fast(grid, call, launcher, sums, shared_bytes);
    }
    launch_tiles(launcher, find(kTableGradient, grid), grid, call, kGradientNumbers, 0, sums, 0);
}

// The bits that a term may have so that as many as there can be add up to less than 2^62.
int bits_of_a_term(const Grid& grid, const GridCall& call) {
    int n_bits = 62;
    for (int64_t n = call.n_points * grid.n_corners(); n > 0; n /= 2) --n_bits;
    return n_bits;
}

}  // namespace

void grid_encode_forward_cuda(const Grid& grid, const GridCall& call, Stream stream) {
    const Launcher launcher(kOp, stream);
    if (call.direction) {
        return launch_points(launcher, find(kForwardAlong, grid), grid, call, grid.n_levels);
    }
    launch_tiles(launcher, find(kForward, grid), grid, call, kForwardNumbers, 0);
}

int64_t grid_table_scratch_cuda(const Grid& grid, const GridCall& call, TableSums sums) {
    const int64_t n_values = int64_t{grid.n_entries} * grid.n_features;
    if (sums == TableSums::kWhole) return 8 * (n_values + 1);
    return call.values == GridValues::kFloat32 ? 0 : 4 * n_values;
}

void grid_encode_table_gradient_cuda(const Grid& grid, const GridCall& call, TableSums how,
                                     void* scratch, Stream stream) {
    const Launcher launcher(kOp, stream);
    const int64_t n_values = int64_t{grid.n_entries} * grid.n_features;
    const size_t n_bytes = static_cast<size_t>(grid_table_scratch_cuda(grid, call, how));
    void* const zeros = n_bytes > 0 ? scratch : call.out;
    check_cuda(kOp,
               cudaMemsetAsync(zeros, 0, n_bytes > 0 ? n_bytes : 4 * n_values, handle_of(stream)));
    Sums sums;
    sums.n_rows = grid.n_entries;
    if (how == TableSums::kWhole) {
        sums.whole = static_cast<long long*>(scratch);
        sums.largest = reinterpret_cast<unsigned*>(sums.whole + n_values);
        sums.n_bits = bits_of_a_term(grid, call);
        for (const Summing step : {Summing::kLargest, Summing::kWhole}) {
            sums.how = step;
            sum_table(grid, call, launcher, sums, 0);
        }
    } else {
        sums.fast = static_cast<float*>(zeros);
        sum_table(grid, call, launcher, sums, most_shared(kOp, stream.device));
    }
    if (n_bytes == 0) return;
    launcher.run(finish_sums, dim3(blocks_for(n_values, kFinished * kThreads)), dim3(kThreads), 0,
                 sums, n_values, static_cast<void*>(call.out), call.values);
}

void grid_encode_coords_gradient_cuda(const Grid& grid, const GridCall& call, Stream stream) {
    const Launcher launcher(kOp, stream);
    const auto kernel =
        call.direction ? find(kCoordsGradientAlong, grid) : find(kCoordsGradient, grid);
    launch_points(launcher, kernel, grid, call, 1);
}

int cuda_device_count() {
    int count = 0;
    if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
    cudaGetLastError();  // no driver is no error
    return 0;
}

}  // namespace inrcodec
