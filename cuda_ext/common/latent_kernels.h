// The CPU kernels of the latent op, one set per instruction set. Buffers are aligned to
// kWholeAlignment bytes; how kernels lay them out is theirs alone to know.
#pragma once

#include "latent.h"

namespace inrcodec {

// The tables of the Laplace counts. A power has in its low half what it is more than the next one.
struct LaplaceTables {
    uint64_t decays[kLaplaceScales];
    uint64_t powers[kLaplacePowers - 1];
};

// A range decoder. `ahead` is how far the words, read as one number as far as `next`, are ahead of
// what the encoder of the symbols so far has for `low`.
struct RangeState {
    const uint32_t* words;
    int64_t n_words;
    int64_t next;  // beyond the end, words are 0
    uint64_t ahead, range;
};

struct LatentKernels {
    // Orders the weights for the kernels: `packed`, as many doubles as there are weights.
    void (*pack)(const LatentModel&, const double* weights, double* packed);

    int64_t (*features_scratch)(const LatentGrid&);  // doubles
    // Writes the features of a grid, kMaxLatentFeatures of each square of 2 x 2 places, given the values of
    // all grids, of which those before it are decoded.
    void (*find_features)(const LatentModel&, const LatentGrid&, const double* packed,
                          const int32_t* values, float* features, double* scratch);

    int64_t (*decode_scratch)(const LatentModel&, const LatentGrid&);  // doubles
    // Writes the grid's values; `features` is null where it has none. kRight: so far.
    LatentEnd (*decode)(const LatentModel&, const LatentGrid&, const double* packed,
                        const float* features, const LaplaceTables&, RangeState&, int32_t* values,
                        double* scratch);
};

extern const LatentKernels kLatentKernelsBaseline;
extern const LatentKernels kLatentKernelsAvx2;
extern const LatentKernels kLatentKernelsAvx512;

}  // namespace inrcodec
