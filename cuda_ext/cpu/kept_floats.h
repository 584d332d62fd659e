// Aligned memory that a thread keeps from call to call: fresh memory would cost more than the work
// in it. Not for kernels, as it uses the STL.
#pragma once

#include "aligned.h"

namespace inrcodec {
namespace {

// `number`: several buffers may be in use at once.
template <int number>
float* kept_floats(int64_t count) {
    thread_local AlignedBuffer<float> kept;
    thread_local int64_t size = 0;
    if (size < count) {
        kept.reset();
        size = 0;
        kept = make_aligned<float>(count);
        size = count;
    }
    return kept.get();
}

}  // namespace
}  // namespace inrcodec
