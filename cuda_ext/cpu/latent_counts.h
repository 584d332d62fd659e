// The Laplace counts around the likeliest symbol of many values at once, for the kernels of the latent
// op alone: the same as `Counts` has one by one.
#pragma once

#include "latent_range.h"
#include "whole_longs.h"

namespace inrcodec {
namespace {

// 2^31 x 2^-(exponents / 2^32), as `Counts::power`, times `free`: of tails, in units of 2^-32.
inline Unsigned shares_of(const LaplaceTables& tables, Unsigned exponents, Unsigned free) {
    const Unsigned entry = gather(tables.powers, (exponents >> 22) & 1023);
    const Unsigned fall = multiply_low(entry, (exponents >> 6) & 0xffff) >> 16;
    return multiply_low(shift_right((entry >> 32) - fall, exponents >> 32), free);
}

// From the indices of mean and scale of kLanes values, whole numbers, to the first symbol of three,
// the likeliest one in their middle, and to the counts below each of them and below the one after:
// [kAround, stride]. The symbols may be outside of the range, and are not what comes then.
inline void find_counts(const LaplaceTables& tables, int32_t largest, const double* means,
                        const double* scales, double* first, uint64_t* counts, int64_t stride) {
    const Doubles mean = load(means), low = splat(-largest), high = splat(largest);
    const Doubles likeliest = round_shifted(mean + 0.5, 1.0 / kMeanUnit);
    const Unsigned decay = gather(tables.decays, integer_of(load(scales)));
    const Unsigned free = Unsigned{} + (kTotal - (2 * static_cast<uint32_t>(largest) + 1));
    const Unsigned before = integer_of(likeliest - low);  // symbols
    // From the mean to the upper edge of the likeliest symbol, then to all four edges around.
    const Unsigned upper = integer_of(likeliest * kMeanUnit + (kMeanUnit / 2) - mean);
    const Unsigned unit = decay << 8, exponent = multiply_low(upper, decay);
    const Unsigned exponents[kAround] = {2 * unit - exponent, unit - exponent, exponent,
                                         unit + exponent};
    store(first, likeliest - 1.0);
    for (int k = 0; k < kAround; ++k) {
        const Unsigned share = shares_of(tables, exponents[k], free);
        const Unsigned count = k < 2 ? share >> 32 : free - ((share + 0xffffffffu) >> 32);
        const Doubles symbol = likeliest + (k - 1);
        const Unsigned below = select(symbol > low, count + before + (k - 1), Unsigned{});
        const Unsigned bounded = select(symbol > high, Unsigned{} + kTotal, below);
        store(reinterpret_cast<double*>(counts + k * stride),
              reinterpret_cast<const Doubles&>(bounded));
    }
}

}  // namespace
}  // namespace inrcodec
