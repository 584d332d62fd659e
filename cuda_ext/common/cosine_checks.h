// From arrays and numbers of unknown origin to what the cosine op can trust. The Python bindings and
// the sanitizer driver both come through here.
#pragma once

#include "array_checks.h"
#include "cosine.h"

namespace inrcodec {

constexpr char kCosineOp[] = "cosine";
constexpr int64_t kMostCosineValues = int64_t{1} << 40;

inline int check_cosine_number(const char* name, int64_t value, int64_t low, int64_t high) {
    if (value < low || value > high) {
        refuse(kCosineOp,
               name + (" must be in [" + std::to_string(low)) + ", " + std::to_string(high) + "]",
               std::to_string(value));
    }
    return static_cast<int>(value);
}

inline CosineShape check_cosine_shape(int64_t n_frames, int64_t frame, int64_t n_channels,
                                      int64_t most_splits, int64_t has_signs) {
    CosineShape shape;
    shape.frame =
        check_cosine_number("values of a frame", frame, kLeastCosineFrame, kLargestCosineFrame);
    if ((frame & (frame - 1)) != 0)
        refuse(kCosineOp, "values of a frame must be a power of two", std::to_string(frame));
    shape.n_channels = check_cosine_number("channels", n_channels, 1, kMostCosineChannels);
    shape.most_splits = check_cosine_number("splits", most_splits, 0, kMostCosineSplits);
    check_cosine_number("values of a block", frame >> most_splits, kLeastCosineBlock, frame);
    if (n_frames < 0 || n_frames > kMostCosineValues / (frame * n_channels)) {
        refuse(kCosineOp, "frames must hold at most 2^40 values",
               std::to_string(n_frames) + " frames");
    }
    shape.n_frames = n_frames;
    shape.has_signs = check_cosine_number("signs", has_signs, 0, 1) != 0;
    return shape;
}

inline void check_cosine_arrays(const CosineShape& shape, const Array& splits,
                                const Array& values) {
    check_array(kCosineOp, splits, {shape.n_frames}, -1, Type::kUint8);
    check_array(kCosineOp, values, {shape.n_values()}, -1, Type::kInt32);
}

// What an encoder is given.
inline void check_cosine_content(const CosineShape& shape, const Array& splits,
                                 const Array& values) {
    check_cosine_arrays(shape, splits, values);
    const uint8_t* split = static_cast<const uint8_t*>(splits.data);
    for (int64_t i = 0; i < shape.n_frames; ++i)
        check_cosine_number("a split", split[i], 0, shape.most_splits);
    const int32_t* value = static_cast<const int32_t*>(values.data);
    const int32_t least = shape.has_signs ? -kLargestCoefficient : 0;
    for (int64_t i = 0; i < shape.n_values(); ++i)
        check_cosine_number("a value", value[i], least, kLargestCoefficient);
}

inline void check_cosine_words(const Array& words) {
    if (words.shape.size() != 1) refuse(kCosineOp, "words must have 1 axis", text_of(words.shape));
    check_array(kCosineOp, words, words.shape, -1, Type::kUint32);
}

}  // namespace inrcodec
