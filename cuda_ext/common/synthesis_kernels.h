// The CPU kernels of the synthesis op, one set per instruction set. A kernel works on some rows, and
// knows nothing of threads. Buffers are aligned to kWholeAlignment bytes; how kernels lay them out is
// theirs alone to know.
#pragma once

#include "synthesis.h"

namespace inrcodec {

// From the latents of all coarser levels at the size of the next coarser one, finest first, and the
// latents `fine` [height, width] of a level to all of them at its size. Coarsest level: no planes.
struct Rise {
    int n_planes;
    int64_t coarse_height, coarse_width;
    int64_t height, width;
    const int32_t* coarse;  // [n_planes, coarse_height, coarse_width]
    const int32_t* fine;
    const double *rise, *sharpen;  // [4] each
};

struct SynthesisKernels {
    // Orders the weights for the kernels: `packed`, as many doubles as there are weights.
    void (*pack)(const Synthesis&, const double* weights, double* packed);

    int64_t (*rise_scratch)(const Rise&);  // doubles
    // Writes the rows [first, last) of `out` [n_planes + 1, height, width].
    void (*rise)(const Rise&, int64_t first, int64_t last, int32_t* out, double* scratch);

    int64_t (*pixels_scratch)(const Synthesis&, const Rise&);  // doubles
    // Writes the rows [first, last) of pixels; `rise` leads to the finest level.
    void (*pixels)(const Synthesis&, const SynthesisCall&, const Rise&, const double* packed,
                   int64_t first, int64_t last, double* scratch);
};

extern const SynthesisKernels kSynthesisKernelsBaseline;
extern const SynthesisKernels kSynthesisKernelsAvx2;
extern const SynthesisKernels kSynthesisKernelsAvx512;

}  // namespace inrcodec
