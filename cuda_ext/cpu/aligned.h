// Memory for the kernels, aligned to kWholeAlignment bytes and not initialized.
#pragma once

#include <cstdint>
#include <memory>
#include <new>

#include "../common/latent_kernels.h"

namespace inrcodec {

struct FreeAligned {
    void operator()(void* at) const { ::operator delete[](at, std::align_val_t{kWholeAlignment}); }
};

template <typename T>
using AlignedBuffer = std::unique_ptr<T[], FreeAligned>;

template <typename T>
AlignedBuffer<T> make_aligned(int64_t count) {
    const size_t n_bytes = static_cast<size_t>(count) * sizeof(T);
    return AlignedBuffer<T>(
        static_cast<T*>(::operator new[](n_bytes, std::align_val_t{kWholeAlignment})));
}

}  // namespace inrcodec
