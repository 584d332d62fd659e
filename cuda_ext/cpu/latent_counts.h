// The Laplace counts around the likeliest symbol of many values at once, for the kernels of the latent
// op alone: the same as `Counts` has one by one.
#pragma once

#include "latent_range.h"
#include "whole_longs.h"

namespace inrcodec {
namespace {

// For the symbols `symbol` of a vector of values, which may be outside of [-largest, largest + 1].
inline Unsigned counts_below(const LaplaceTables& tables, double largest, Doubles mean,
                             Unsigned decay, Doubles symbol) {
    const Doubles distance = symbol * kMeanUnit - (mean + kMeanUnit / 2);
    const Longs negative = distance < 0.0;
    const Unsigned exponent = multiply_low(integer_of(larger(distance, -distance)), decay);
    const Unsigned entry = gather(tables.powers, (exponent >> 22) & 1023);
    const Unsigned fall = multiply_low(entry, (exponent >> 6) & 0xffff) >> 16;
    const Unsigned power = shift_right((entry >> 32) - fall, exponent >> 32);
    const uint64_t free = kTotal - (2 * static_cast<uint32_t>(largest) + 1);
    const Unsigned share = multiply_low(power, Unsigned{} + free);
    const Unsigned count = select(negative, share >> 32, free - ((share + 0xffffffffu) >> 32));
    const Unsigned before = integer_of(larger(symbol + largest, Doubles{}));
    const Unsigned inside = select(symbol <= -largest, Unsigned{}, count + before);
    return select(symbol > largest, Unsigned{} + kTotal, inside);
}

// From the indices of mean and scale of kLanes values, whole numbers, to the first symbol of three and
// the counts below each of them and below the one after: [kAround, stride].
inline void find_counts(const LaplaceTables& tables, int32_t largest_symbol, const double* means,
                        const double* scales, double* first, uint64_t* counts, int64_t stride) {
    const double largest = largest_symbol;
    const Doubles mean = load(means);
    const Unsigned decay = gather(tables.decays, integer_of(load(scales)));
    const Doubles nearest = round_shifted(mean + 0.5, 1.0 / kMeanUnit);
    const Doubles begin = smaller(larger(nearest, splat(-largest)), splat(largest)) - 1.0;
    store(first, begin);
    for (int k = 0; k < kAround; ++k) {
        const Unsigned below = counts_below(tables, largest, mean, decay, begin + k);
        store(reinterpret_cast<double*>(counts + k * stride),
              reinterpret_cast<const Doubles&>(below));
    }
}

}  // namespace
}  // namespace inrcodec
