// What every op asks of its arrays. A refused argument throws std::invalid_argument that says
// "op: what, got what".
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace inrcodec {

// What an array says of itself. `device` is -1 for the CPU, else the number of a GPU.
struct Array {
    const char* name = "";
    void* data = nullptr;
    int device = -1;
    bool is_float32 = true;
    bool is_contiguous = true;
    std::vector<int64_t> shape;
};

[[noreturn]] inline void refuse(const char* op, const std::string& what, const std::string& got) {
    throw std::invalid_argument(op + (": " + what) + ", got " + got);
}

inline std::string text_of(const std::vector<int64_t>& shape) {
    std::string text = "[";
    for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
    return text + "]";
}

inline void check_array(const char* op, const Array& array, const std::vector<int64_t>& shape,
                        int device) {
    const std::string name = array.name;
    if (array.shape != shape)
        refuse(op, name + " must have shape " + text_of(shape), text_of(array.shape));
    if (!array.is_float32) refuse(op, name + " must be float32", "another type");
    if (!array.is_contiguous) refuse(op, name + " must be contiguous", "strides");
    if (array.device != device) {
        refuse(op, name + " must be on device " + std::to_string(device),
               std::to_string(array.device));
    }
    if (reinterpret_cast<uintptr_t>(array.data) % alignof(float) != 0) {
        refuse(op, name + " must be aligned to 4 bytes", "an odd address");
    }
}

}  // namespace inrcodec
