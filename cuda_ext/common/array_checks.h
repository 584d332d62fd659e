// What every op asks of its arrays. A refused argument throws std::invalid_argument that says
// "op: what, got what".
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace inrcodec {

enum class Type {
    kFloat32,
    kFloat64,
    kInt32,
    kUint32,
    kInt64,
    kFloat16,
    kBfloat16,
    kUint8,
    kOther
};

// In the order of `Type`.
constexpr const char* kTypeNames[] = {"float32", "float64", "int32",    "uint32",
                                      "int64",   "float16", "bfloat16", "uint8"};

constexpr size_t size_of(Type type) {
    if (type == Type::kUint8) return 1;
    if (type == Type::kFloat16 || type == Type::kBfloat16) return 2;
    return type == Type::kFloat64 || type == Type::kInt64 ? 8 : 4;
}

// What an array says of itself. `device` is -1 for the CPU, else the number of a GPU.
struct Array {
    const char* name = "";
    void* data = nullptr;
    int device = -1;
    Type type = Type::kFloat32;
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

inline void check_alignment(const char* op, const Array& array, size_t n_bytes) {
    if (reinterpret_cast<uintptr_t>(array.data) % n_bytes == 0) return;
    refuse(op, array.name + (" must be aligned to " + std::to_string(n_bytes)) + " bytes",
           "an odd address");
}

inline void check_array(const char* op, const Array& array, const std::vector<int64_t>& shape,
                        int device, Type type = Type::kFloat32) {
    const std::string name = array.name;
    if (array.shape != shape)
        refuse(op, name + " must have shape " + text_of(shape), text_of(array.shape));
    if (array.type != type)
        refuse(op, name + " must be " + kTypeNames[static_cast<int>(type)], "another type");
    if (!array.is_contiguous) refuse(op, name + " must be contiguous", "strides");
    if (array.device != device) {
        refuse(op, name + " must be on device " + std::to_string(device),
               std::to_string(array.device));
    }
    check_alignment(op, array, size_of(type));
}

}  // namespace inrcodec
