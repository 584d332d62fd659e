// How memory for a call of the latent_fit op is laid out. Not for kernels.
#pragma once

#include "../common/latent_fit_kernels.h"

namespace inrcodec {
namespace {

// Pieces of a buffer; of none, to find how large it has to be.
struct Memory {
    float* buffer;
    int64_t used = 0;

    float* take(int64_t n_floats) {
        float* const piece = buffer ? buffer + used : nullptr;
        used += whole_groups(n_floats);
        return piece;
    }

    // Rows with margins on both sides; gives column 0 of row `first`.
    float* take_rows(int64_t n_rows, int64_t stride, int64_t first) {
        float* const piece = take(n_rows * stride);
        return piece ? piece + first * stride + kFitMargin : nullptr;
    }
};

inline int64_t stride_of(int64_t width) {
    return whole_groups(width) + 2 * kFitMargin;
}

}  // namespace
}  // namespace inrcodec
