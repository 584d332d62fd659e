// The range decoder of docs/format.md and the Laplace counts that it reads by, for the kernels of the
// latent op alone.
#pragma once

#include "../common/latent_kernels.h"

namespace inrcodec {
namespace {

constexpr uint32_t kTotal = 1u << 24;
constexpr int kMeanUnit = 256;

// The counts of a value of some mean and scale.
struct Counts {
    const LaplaceTables& tables;
    int32_t largest;
    int32_t mean;
    uint32_t decay;

    // The count below a symbol in [-largest, largest + 1].
    uint32_t below(int32_t symbol) const {
        if (symbol <= -largest) return 0;
        if (symbol > largest) return kTotal;
        const int32_t distance = kMeanUnit * symbol - kMeanUnit / 2 - mean;
        const uint64_t size = static_cast<uint32_t>(distance < 0 ? -distance : distance);
        const uint64_t free = kTotal - (2 * static_cast<uint32_t>(largest) + 1);
        const uint64_t share = power(size * decay) * free;  // of the tail, in units of 2^-32
        const uint64_t count = distance < 0 ? share >> 32 : free - ((share + 0xffffffffu) >> 32);
        return static_cast<uint32_t>(symbol + largest) + static_cast<uint32_t>(count);
    }

    // 2^31 x 2^-(exponent / 2^32).
    uint64_t power(uint64_t exponent) const {
        const uint64_t whole = exponent >> 32;
        const uint64_t entry = tables.powers[(exponent >> 22) & 1023];
        const uint64_t fall = static_cast<uint32_t>(entry) * ((exponent >> 6) & 0xffff);
        return whole < 32 ? ((entry >> 32) - (fall >> 16)) >> whole : 0;
    }

    // The symbol that most likely comes.
    int32_t likeliest() const {
        const int32_t symbol = (mean + kMeanUnit / 2) >> 8;
        return symbol < -largest ? -largest : symbol > largest ? largest : symbol;
    }
};

// A symbol and the counts below it and below the next.
struct Found {
    int32_t symbol;
    uint32_t below, above;
};

// The symbol that holds the count `point` < kTotal, given one that does not. Steps that double lead
// beyond it, and halves back.
inline Found find(const Counts& counts, uint32_t point, Found from) {
    int32_t step = 1, low = from.symbol, high = from.symbol + 1;
    uint32_t below = from.below, above = from.above;
    for (; point < below; step *= 2) {
        high = low;
        above = below;
        low = low - step < -counts.largest ? -counts.largest : low - step;
        below = counts.below(low);
    }
    for (; point >= above; step *= 2) {
        low = high;
        below = above;
        high = high + step > counts.largest + 1 ? counts.largest + 1 : high + step;
        above = counts.below(high);
    }
    while (high - low > 1) {
        const int32_t middle = (low + high) >> 1;
        const uint32_t count = counts.below(middle);
        if (point < count) {
            high = middle;
            above = count;
        } else {
            low = middle;
            below = count;
        }
    }
    return {low, below, above};
}

inline uint32_t next_word(RangeState& state) {
    const uint32_t word = state.next < state.n_words ? state.words[state.next] : 0;
    ++state.next;
    return word;
}

// Takes the next symbol; false when the words point above the last count.
inline bool take(RangeState& state, const Counts& counts, int32_t& symbol) {
    const uint64_t unit = state.range >> 24;
    Found found;
    found.symbol = counts.likeliest();
    found.below = counts.below(found.symbol);
    found.above = counts.below(found.symbol + 1);
    if (state.ahead - unit * found.below >= unit * (found.above - found.below)) {
        const uint64_t point = state.ahead / unit;
        if (point >= kTotal) return false;
        found = find(counts, static_cast<uint32_t>(point), found);
    }
    symbol = found.symbol;
    state.ahead -= unit * found.below;
    state.range = unit * (found.above - found.below);
    if (state.range >> 32 == 0) {
        state.range <<= 32;
        state.ahead = state.ahead << 32 | next_word(state);
    }
    return true;
}

// --- the end -------------------------------------------------------------------------------------

// How the encoder would end now: with so many words, and its number so far ahead of `low`.
struct Seal {
    int64_t n_words;
    uint64_t ahead;
};

inline Seal seal(const RangeState& state) {
    const auto word = [&](int64_t at) {
        return uint64_t{at < state.n_words ? state.words[at] : 0};
    };
    const int64_t written = state.next - 2;
    const uint64_t low = (word(written) << 32 | word(written + 1)) - state.ahead;
    const uint64_t last = (low + 0xffffffffu) >> 32, top = (low + state.range) >> 32;
    return {written + (last == top ? 2 : 1), (0 - low) & 0xffffffffu};
}

}  // namespace
}  // namespace inrcodec
