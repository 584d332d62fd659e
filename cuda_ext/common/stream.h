// Where work for a GPU is queued.
#pragma once

#include <cstdint>

namespace inrcodec {

// A cudaStream_t of a device.
struct Stream {
    int device;
    uintptr_t handle;
};

}  // namespace inrcodec
