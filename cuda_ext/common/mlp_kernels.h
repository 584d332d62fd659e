// The CPU kernels of the mlp op, one set per instruction set. A kernel works on some points, in
// tiles of kMlpTile, and knows nothing of threads. Buffers are aligned to kMlpAlignment bytes; how
// kernels lay them out is theirs alone to know.
#pragma once

#include "mlp.h"

namespace inrcodec {

constexpr int kMlpTile = 64;
constexpr int kMlpAlignment = 64;

struct MlpKernels {
    // Orders the parameters for the kernels: `packed`, as many floats as there are parameters.
    // `transposed`, of the same size, receives the weights for the way back; null: not wanted.
    void (*pack)(const Mlp&, const float* parameters, float* packed, float* transposed);

    int64_t (*forward_scratch)(const Mlp&);  // floats
    // Writes the rows [first, last) of `out`.
    void (*forward)(const Mlp&, const MlpCall&, int64_t first, int64_t last, const float* packed,
                    float* scratch);

    int64_t (*gradients_scratch)(const Mlp&);  // floats
    int64_t (*sums_size)(const Mlp&);          // floats
    // Adds the points' part to `sums`, in the order of the points, and writes their rows of
    // `x_gradient`. Returns their part of the sum of squares.
    double (*gradients)(const Mlp&, const MlpCall&, int64_t first, int64_t last,
                        const float* packed, const float* transposed, float* sums, float* scratch);
    // The gradient of a layer's parameters: the sum of `n_sums` sums, one after the other in memory.
    void (*add_sums)(const Mlp&, const float* sums, int n_sums, int layer, float* gradient);
};

extern const MlpKernels kMlpKernelsBaseline;
extern const MlpKernels kMlpKernelsAvx2;
extern const MlpKernels kMlpKernelsAvx512;

}  // namespace inrcodec
