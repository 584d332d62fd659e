// The mlp op on the GPU, for ReLU networks that fit into what a block shares. Blocks take tiles of
// points in turn; each has the sums of its own tiles, which are added up in the order of the blocks,
// so that the bits are the same each time.
#include "mlp_tile.h"

namespace inrcodec {
namespace {

constexpr char kOp[] = "mlp";
constexpr int kMostBlocks = 8;                 // of a multiprocessor
constexpr int kSharedFloats = 224 * 1024 / 4;  // of a multiprocessor of a large GPU

__global__ void forward(const Mlp mlp, const MlpLayout layout, const MlpCall call) {
    INRCODEC_SHARED(shared);
    const MlpTile tile(mlp, layout, shared);
    tile.begin(call.parameters, false);
    const int n_outputs = mlp.n_outputs;
    const int64_t step = int64_t{gridDim.x} * kMlpPoints;
    for (int64_t first = int64_t{blockIdx.x} * kMlpPoints; first < call.n_points; first += step) {
        __syncthreads();
        tile.load(call, first);
        tile.forward();
        const float* values = tile.values(mlp.n_layers);
        for (int at = static_cast<int>(threadIdx.x); at < kMlpPoints * n_outputs;
             at += kMlpThreads) {
            const int point = at / n_outputs, o = at % n_outputs;
            if (first + point >= call.n_points) break;
            call.out[(first + point) * n_outputs + o] = values[o * kMlpStride + point];
        }
    }
}

// The slopes of what a tile puts out, in its place: those given, or of what it is off the targets;
// returns the thread's part of the sum of squares of that.
__device__ float put_slopes(const Mlp& mlp, const MlpCall& call, int64_t first, float* values) {
    const int n_outputs = mlp.n_outputs, n_rows = padded4(n_outputs);
    float squares = 0.0f;
    for (int at = static_cast<int>(threadIdx.x); at < kMlpPoints * n_rows; at += kMlpThreads) {
        const int point = at / n_rows, o = at % n_rows;
        float* const value = values + o * kMlpStride + point;
        const int64_t from = (first + point) * n_outputs + o;
        float slope = 0.0f;
        if (o < n_outputs && first + point < call.n_points) {
            const float error = call.targets ? *value - call.targets[from] : 0.0f;
            squares += error * error;
            slope = call.targets ? call.slope * error : call.gradient[from];
        }
        *value = slope;
    }
    return squares;
}

__device__ void write_inputs(const Mlp& mlp, const MlpCall& call, int64_t first,
                             const float* values) {
    const int n_inputs = mlp.n_inputs;
    for (int at = static_cast<int>(threadIdx.x); at < kMlpPoints * n_inputs; at += kMlpThreads) {
        const int point = at / n_inputs, k = at % n_inputs;
        if (first + point >= call.n_points) return;
        call.x_gradient[(first + point) * n_inputs + k] = values[k * kMlpStride + point];
    }
}

// Block b writes row b of `partial` [blocks, n_parameters + 1]: its sums and its squares.
__global__ void gradients(const Mlp mlp, const MlpLayout layout, const MlpCall call,
                          float* partial) {
    INRCODEC_SHARED(shared);
    const MlpTile tile(mlp, layout, shared);
    const int thread = static_cast<int>(threadIdx.x);
    tile.begin(call.parameters, true);
    float squares = 0.0f;
    const int64_t step = int64_t{gridDim.x} * kMlpPoints;
    for (int64_t first = int64_t{blockIdx.x} * kMlpPoints; first < call.n_points; first += step) {
        __syncthreads();
        tile.load(call, first);
        tile.forward();
        squares += put_slopes(mlp, call, first, tile.values(mlp.n_layers));
        tile.backward(call.x_gradient != nullptr);
        if (call.x_gradient) write_inputs(mlp, call, first, tile.values(0));
    }
    __syncthreads();
    float* const to = partial + blockIdx.x * (mlp.n_parameters + 1);
    for (int l = 0; l < mlp.n_layers; ++l) {
        const int n_in = MlpLayout::n_in(mlp, l), size = n_in * MlpLayout::n_out(mlp, l);
        for (int at = thread; at < size; at += kMlpThreads) {
            const int64_t parameter = parameter_of(mlp, l, at / n_in, at % n_in);
            if (parameter >= 0) to[parameter] = shared[layout.sums[l] + at];
        }
    }
    const float sum = sum_of_block(squares, kMlpThreads, tile.values(0));
    if (thread == 0) to[mlp.n_parameters] = sum;
}

size_t bytes_of(const MlpLayout& layout) {
    return sizeof(float) * static_cast<size_t>(layout.used);
}

// Blocks that the points are shared by, however many fit on a smaller GPU at once.
unsigned blocks_of(const MlpLayout& layout, int64_t n_points) {
    const int fitting = kSharedFloats / layout.used;
    const int of_one = fitting < 1 ? 1 : (fitting < kMostBlocks ? fitting : kMostBlocks);
    const unsigned most = static_cast<unsigned>(of_one * kMultiprocessors);
    const unsigned n_tiles = blocks_for(n_points, kMlpPoints);
    return n_tiles < most ? n_tiles : most;
}

// Whether there is code for a GPU, and its driver takes it.
bool runs_on(int device) {
    int major = 0;
    const auto asked = cudaDevAttrComputeCapabilityMajor;
    if (cudaDeviceGetAttribute(&major, asked, device) == cudaSuccess) return major >= 8;
    cudaGetLastError();
    return false;
}

}  // namespace

int64_t mlp_scratch_cuda(const Mlp& mlp, int64_t n_points, int device) {
    if (mlp.activation != Activation::kRelu || !runs_on(device)) return 0;
    const MlpLayout layout(mlp, true);
    if (bytes_of(layout) > most_shared(kOp, device)) return 0;
    return int64_t{blocks_of(layout, n_points)} * (mlp.n_parameters + 1) + 1;
}

void mlp_forward_cuda(const Mlp& mlp, const MlpCall& call, Stream stream) {
    const MlpLayout layout(mlp, false);
    Launcher(kOp, stream)
        .run(forward, dim3(blocks_of(layout, call.n_points)), dim3(kMlpThreads), bytes_of(layout),
             mlp, layout, call);
}

void mlp_gradients_cuda(const Mlp& mlp, const MlpCall& call, float* scratch, Stream stream) {
    const Launcher launcher(kOp, stream);
    const MlpLayout layout(mlp, true);
    const unsigned n_blocks = blocks_of(layout, call.n_points);
    float* const partial = scratch + 1;
    launcher.run(gradients, dim3(n_blocks), dim3(kMlpThreads), bytes_of(layout), mlp, layout, call,
                 partial);
    const int n_parameters = static_cast<int>(mlp.n_parameters);
    sum_rows(launcher, partial, static_cast<int>(n_blocks), n_parameters + 1,
             {call.parameters_gradient, n_parameters, scratch, 1});
}

}  // namespace inrcodec
