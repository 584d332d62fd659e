// The grid_mlp op: a network of the features of a grid (grid_encode.h, mlp.h), on the CPU a few points
// at a time, so that their features stay in the caches. Arguments are checked already.
#pragma once

#include "grid_encode.h"
#include "mlp.h"

namespace inrcodec {

// Arrays of a call, float32, rows contiguous: `coords`, `table` and `parameters` as of the two ops;
// `targets` and the values `out` [n_points, n_outputs]; the gradients have the shapes of what they
// are of. Null where a function does not need one.
struct GridMlpCall {
    int64_t n_points = 0;
    const float* coords = nullptr;
    const float* table = nullptr;
    const float* parameters = nullptr;
    const float* targets = nullptr;
    float* out = nullptr;
    float* table_gradient = nullptr;
    float* parameters_gradient = nullptr;
};

void grid_mlp_forward(const Grid& grid, const Mlp& mlp, const GridMlpCall& call, int n_threads);

// The gradients of the mean square of what the values are off the targets. Returns the sum of
// squares. The same bits for any number of threads.
double grid_mlp_descent(const Grid& grid, const Mlp& mlp, const GridMlpCall& call, int n_threads);

#if defined(INRCODEC_CUDA)
// What a call on a GPU works with: `features` [n_points, inputs], `floats` as many as
// mlp_scratch_cuda says, the first of which is the sum of squares then, and for the table `bytes` as
// many as grid_table_scratch_cuda says.
struct GridMlpScratch {
    float* features = nullptr;
    float* floats = nullptr;
    void* bytes = nullptr;
};

// The same on the GPU that holds the arrays, for networks that have a kernel there; queued on a stream.
void grid_mlp_descent_cuda(const Grid& grid, const Mlp& mlp, const GridMlpCall& call,
                           TableSums sums, const GridMlpScratch& scratch, Stream stream);
#endif

}  // namespace inrcodec
