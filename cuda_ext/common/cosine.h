// The cosine op: whole numbers of a transform of sound <-> coded words, one decision after the other.
// `representations/cosine/context.py` is what is meant by it, and gives the same words.
#pragma once

#include <cstdint>
#include <vector>

namespace inrcodec {

constexpr int kLeastCosineFrame = 128;
constexpr int kLargestCosineFrame = 16384;
constexpr int kLeastCosineBlock = 32;
constexpr int kMostCosineSplits = 4;
constexpr int kMostCosineChannels = 255;
constexpr int32_t kLargestCoefficient = 1 << 20;

// A frame has 2^split blocks, and a block frame >> split values of each channel; with signs, or none
// below 0.
struct CosineShape {
    int64_t n_frames = 0;
    int frame = 0;  // a power of two
    int n_channels = 0;
    int most_splits = 0;
    bool has_signs = true;

    int64_t n_values() const { return n_frames * n_channels * frame; }
};

enum class CosineEnd {
    kRight,
    kWrong,     // the words do not end with the last value
    kNoSymbol,  // no encoder writes such words
};

// Arguments are checked already (common/cosine_checks.h). `splits` [n_frames]; `values`
// [n_values()], frame after frame, block after block, channel after channel.

std::vector<uint32_t> encode_coefficients(const CosineShape& shape, const uint8_t* splits,
                                          const int32_t* values);

// What is written before the words turn out to be wrong means nothing.
CosineEnd decode_coefficients(const CosineShape& shape, const uint32_t* words, int64_t n_words,
                              uint8_t* splits, int32_t* values);

// What the words would take, without the last one.
double coefficient_bits(const CosineShape& shape, const uint8_t* splits, const int32_t* values);

}  // namespace inrcodec
