// The grid op: features[i, l, f] = sum over the corners c of point i's cell on level l of
// weight(i, l, c) * table[row(i, l, c), f]. Arguments are checked already (common/grid_checks.h).
#pragma once

#include "grid.h"
#include "stream.h"

namespace inrcodec {

// `out`: the features [n_points, n_levels * n_features].
void grid_encode_forward(const Grid& grid, const GridCall& call, int n_threads);

// `out`: the gradient of the table. The same bits for any number of threads.
void grid_encode_table_gradient(const Grid& grid, const GridCall& call, int n_threads);

// `out`: the gradient of the coordinates; 0 at the border of [0, 1] and outside.
void grid_encode_coords_gradient(const Grid& grid, const GridCall& call, int n_threads);

#if defined(INRCODEC_CUDA)
// The same on the GPU that holds the arrays, queued on a stream. They throw std::runtime_error when
// CUDA refuses.
void grid_encode_forward_cuda(const Grid& grid, const GridCall& call, Stream stream);
void grid_encode_coords_gradient_cuda(const Grid& grid, const GridCall& call, Stream stream);

// The gradient of the table, of the same kind of numbers as the features, of sums in float32. They
// are summed in no fixed order, or in whole numbers: the same bits each time, and NaN everywhere if a
// term is not finite.
enum class TableSums { kFast, kWhole };

// Bytes that it works with, aligned to 16.
int64_t grid_table_scratch_cuda(const Grid& grid, const GridCall& call, TableSums sums);
void grid_encode_table_gradient_cuda(const Grid& grid, const GridCall& call, TableSums sums,
                                     void* scratch, Stream stream);

// Usable GPUs: 0 without a driver.
int cuda_device_count();
#endif

}  // namespace inrcodec
