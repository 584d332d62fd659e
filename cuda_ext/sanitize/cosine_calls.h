// Calls of the sanitizer driver on coefficients of sound, little-endian:
//   "INRC" | u8 op: 0 decode, 1 encode, 2 count bits | u8 threads | u8 instruction set
//   u32 frames | u32 values of a frame | u8 channels | u8 most splits | u8 1 if there are signs;
//   2^20 values at most
// decode:
//   u32 words | u32 [words]
// encode, count bits:
//   u8 splits [frames] | i32 values
// The result: of decode how it ended, then splits and values; of encode how many words, then
// each as two halves, the lower first; of count bits the bits.
#pragma once

#include "../common/cosine_checks.h"
#include "reader.h"

namespace inrcodec {

constexpr int64_t kMostDriverValues = 1 << 20;

inline CosineShape read_cosine_shape(Reader& reader) {
    const int64_t n_frames = reader.number<uint32_t>(), frame = reader.number<uint32_t>();
    const int64_t n_channels = reader.number<uint8_t>(), most_splits = reader.number<uint8_t>();
    const int64_t has_signs = reader.number<uint8_t>();
    const CosineShape shape =
        check_cosine_shape(n_frames, frame, n_channels, most_splits, has_signs);
    if (shape.n_values() > kMostDriverValues)
        refuse_call("values must be at most 2^20, got " + std::to_string(shape.n_values()));
    return shape;
}

inline std::vector<float> run_cosine_decode(Reader& reader, const CosineShape& shape) {
    const int64_t n_words = reader.number<uint32_t>();
    std::vector<uint32_t> words = reader.numbers<uint32_t>(n_words);
    reader.finish();
    check_cosine_words(describe("words", words, {n_words}));
    std::vector<uint8_t> splits(shape.n_frames);
    std::vector<int32_t> values(shape.n_values());
    check_cosine_arrays(shape, describe("splits", splits, {shape.n_frames}),
                        describe("values", values, {shape.n_values()}));
    const CosineEnd end =
        decode_coefficients(shape, words.data(), n_words, splits.data(), values.data());
    std::vector<float> result{static_cast<float>(end)};
    result.insert(result.end(), splits.begin(), splits.end());
    result.insert(result.end(), values.begin(), values.end());
    return result;
}

inline std::vector<float> run_cosine(Reader& reader) {
    const int op = read_start(reader, 2).op;
    const CosineShape shape = read_cosine_shape(reader);
    if (op == 0) return run_cosine_decode(reader, shape);
    std::vector<uint8_t> splits = reader.numbers<uint8_t>(shape.n_frames);
    std::vector<int32_t> values = reader.numbers<int32_t>(shape.n_values());
    reader.finish();
    check_cosine_content(shape, describe("splits", splits, {shape.n_frames}),
                         describe("values", values, {shape.n_values()}));
    if (op == 2) return {static_cast<float>(coefficient_bits(shape, splits.data(), values.data()))};
    const auto words = encode_coefficients(shape, splits.data(), values.data());
    std::vector<float> halves{static_cast<float>(words.size())};
    for (const uint32_t word : words) {
        halves.push_back(static_cast<float>(word & 0xffff));
        halves.push_back(static_cast<float>(word >> 16));
    }
    return halves;
}

}  // namespace inrcodec
