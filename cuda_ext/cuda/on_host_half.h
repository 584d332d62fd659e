// As much of CUDA's numbers of 16 bits as the kernels use, for on_host.h.
#pragma once

#include <cstdint>
#include <cstring>

struct __half {
    uint16_t bits;
};
struct __nv_bfloat16 {
    uint16_t bits;
};

inline unsigned __float_as_uint(float value) {
    unsigned bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

inline float __uint_as_float(unsigned bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

inline float __half2float(__half value) {
    const unsigned sign = (value.bits & 0x8000u) << 16, rest = value.bits & 0x7fffu;
    if (rest >= 0x7c00u) return __uint_as_float(sign | 0x7f800000u | (rest & 0x3ffu) << 13);
    const float size =
        __uint_as_float(rest << 13) * 0x1p112f;  // the exponent's bias is 15, not 127
    return sign ? -size : size;
}

inline __half __float2half(float value) {
    const unsigned bits = __float_as_uint(value), sign = bits >> 16 & 0x8000u;
    const float size = value < 0.0f ? -value : value;
    if (size != size) return {static_cast<uint16_t>(sign | 0x7fffu)};
    if (size == 0.0f) return {static_cast<uint16_t>(sign)};
    if (size >= 65520.0f) return {static_cast<uint16_t>(sign | 0x7c00u)};
    int exponent;
    std::frexp(size, &exponent);
    const int unit = (exponent < -13 ? -13 : exponent) - 11;  // of the last of 11 bits
    const float whole = std::nearbyint(std::ldexp(size, -unit));
    // A size is whole * 2^unit; from 2^-14 on, the first of the 11 bits is not stored.
    const unsigned step = static_cast<unsigned>(unit + 24) << 10;
    return {static_cast<uint16_t>(sign | (step + static_cast<unsigned>(whole)))};
}

inline float __bfloat162float(__nv_bfloat16 value) {
    return __uint_as_float(unsigned{value.bits} << 16);
}

inline __nv_bfloat16 __float2bfloat16(float value) {
    const unsigned bits = __float_as_uint(value);
    if (value != value) return {0x7fffu};
    return {static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16)};
}
