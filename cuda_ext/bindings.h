// What the files that register native functions share. No logic of its own.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <iterator>
#include <string>

#include "common/array_checks.h"
#include "common/grid_checks.h"

namespace nb = nanobind;

namespace inrcodec {

using Input = nb::ndarray<nb::ro>;
using Output = nb::ndarray<>;
using Sizes = std::vector<int64_t>;

inline Type type_of(const nb::dlpack::dtype& dtype) {
    if (dtype == nb::dtype<float>()) return Type::kFloat32;
    if (dtype == nb::dtype<double>()) return Type::kFloat64;
    if (dtype == nb::dtype<int32_t>()) return Type::kInt32;
    if (dtype == nb::dtype<uint32_t>()) return Type::kUint32;
    if (dtype == nb::dtype<int64_t>()) return Type::kInt64;
    if (dtype == nb::dtype<uint8_t>()) return Type::kUint8;
    if (dtype.bits == 16 && dtype.lanes == 1) {
        if (dtype.code == static_cast<uint8_t>(nb::dlpack::dtype_code::Float))
            return Type::kFloat16;
        if (dtype.code == static_cast<uint8_t>(nb::dlpack::dtype_code::Bfloat))
            return Type::kBfloat16;
    }
    return Type::kOther;
}

template <typename NdArray>
Array describe(const char* name, const NdArray& from) {
    Array array;
    array.name = name;
    array.data = const_cast<void*>(static_cast<const void*>(from.data()));
    array.device = from.device_type() == nb::device::cpu::value ? -1 : from.device_id();
    array.type = type_of(from.dtype());
    int64_t expected = 1;
    for (size_t axis = from.ndim(); axis-- > 0;) {
        if (from.shape(axis) != 1 && from.stride(axis) != expected) array.is_contiguous = false;
        expected *= static_cast<int64_t>(from.shape(axis));
    }
    for (size_t axis = 0; axis < from.ndim(); ++axis) array.shape.push_back(from.shape(axis));
    if (expected == 0) array.is_contiguous = true;
    return array;
}

// An array on a GPU as Python says it: its address, shape, type, whether it is contiguous, and the GPU.
// DLPack would order streams for each.
using OnGpu = std::tuple<uintptr_t, Sizes, std::string, bool, int>;

inline Array describe(const char* name, const OnGpu& from) {
    Array array;
    array.name = name;
    array.data = reinterpret_cast<void*>(std::get<0>(from));
    array.shape = std::get<1>(from);
    const auto* end = std::end(kTypeNames);
    const auto* found = std::find(std::begin(kTypeNames), end, std::get<2>(from));
    array.type = found == end ? Type::kOther : static_cast<Type>(found - std::begin(kTypeNames));
    array.is_contiguous = std::get<3>(from);
    array.device = std::get<4>(from);
    return array;
}

inline float* floats(const Array& array) {
    return static_cast<float*>(array.data);
}

inline void check_threads(const char* op, int n_threads) {
    if (n_threads < 1) refuse(op, "threads must be at least 1", std::to_string(n_threads));
}

using Shape = std::tuple<std::string, std::vector<float>, Sizes, Sizes>;  // as GridShape

inline GridShape shape_of(const Shape& from) {
    return {std::get<0>(from), std::get<1>(from), std::get<2>(from), std::get<3>(from)};
}

// Add the functions of coefficients of sound, of latent grids, of their fits, of networks, and of SOAP.
void register_cosine(nb::module_& module);
void register_latent(nb::module_& module);
void register_latent_fit(nb::module_& module);
void register_fit_moves(nb::module_& module);
void register_mlp(nb::module_& module);
void register_soap(nb::module_& module);

}  // namespace inrcodec
