// The CPU kernels of the quantizer, one set per instruction set. A kernel works on some values of one
// tensor, and knows nothing of threads.
#pragma once

#include "quantize.h"

namespace inrcodec {

struct QuantizeKernels {
    // Writes the values' part of the weights, if they are wanted, and their kForwardSums.
    void (*forward)(const QuantizeCall&, const QuantizeRun&, int64_t first, int64_t last,
                    double* sums);
    // Moves the values and their moments, and writes their kStepSums.
    void (*step)(const QuantizeCall&, const QuantizeRun&, int64_t first, int64_t last,
                 double* sums);
};

extern const QuantizeKernels kQuantizeKernelsBaseline;
extern const QuantizeKernels kQuantizeKernelsAvx2;
extern const QuantizeKernels kQuantizeKernelsAvx512;

}  // namespace inrcodec
