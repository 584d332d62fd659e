// Aligned memory that a thread keeps from call to call: fresh memory would cost more than the work
// in it. Not for kernels, as it uses the STL.
#pragma once

#include <cstdint>
#include <memory>
#include <new>

#include "../common/latent_fit_kernels.h"

namespace inrcodec {
namespace {

struct FreeFloats {
    void operator()(float* at) const { ::operator delete[](at, std::align_val_t{kFitAlignment}); }
};
using FloatBuffer = std::unique_ptr<float[], FreeFloats>;

// `number`: several buffers may be in use at once.
template <int number>
float* kept_floats(int64_t count) {
    thread_local FloatBuffer kept;
    thread_local int64_t size = 0;
    if (size < count) {
        kept.reset();
        size = 0;
        const size_t n_bytes = static_cast<size_t>(count) * sizeof(float);
        const std::align_val_t alignment{kFitAlignment};
        kept.reset(static_cast<float*>(::operator new[](n_bytes, alignment)));
        size = count;
    }
    return kept.get();
}

}  // namespace
}  // namespace inrcodec
