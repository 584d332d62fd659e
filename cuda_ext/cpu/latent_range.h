// The range decoder of docs/format.md and the Laplace counts that it reads by, for the kernels of the
// latent op alone.
#pragma once

#include "../common/latent_kernels.h"

namespace inrcodec {
namespace {

constexpr uint32_t kTotal = 1u << 24;
constexpr int kMeanUnit = 256;
constexpr int kAround = 4;  // counts that are found for many values at once

// The counts of a value of some mean and scale.
struct Counts {
    const LaplaceTables& tables;
    int32_t largest;
    int32_t mean;
    uint64_t decay;

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
};

// Symbols and the counts below them, or the symbol between them.
struct Bracket {
    int32_t low, high;
    uint32_t below, above;
};

// The symbol that holds the count `point` < kTotal, from a bracket that need not. Steps that double
// lead beyond it, and halves back.
inline Bracket find(const Counts& counts, uint32_t point, Bracket from) {
    auto [low, high, below, above] = from;
    int32_t step = 1;
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
    return {low, high, below, above};
}

inline uint32_t next_word(RangeState& state) {
    const uint32_t word = state.next < state.n_words ? state.words[state.next] : 0;
    ++state.next;
    return word;
}

inline void narrow(RangeState& state, uint64_t begin, uint64_t size) {
    state.ahead -= begin;
    state.range = size;
    if (state.range >> 32 == 0) {
        state.range <<= 32;
        state.ahead = state.ahead << 32 | next_word(state);
    }
}

// Takes the next symbol if it is one of three, of which `around` has the counts, and gives which; else
// -1. Without branches, as which it is cannot be foreseen.
inline int take_near(RangeState& state, const uint64_t (&around)[kAround]) {
    const uint64_t unit = state.range >> 24;
    const uint64_t edges[kAround] = {unit * around[0], unit * around[1], unit * around[2],
                                     unit * around[3]};
    if (state.ahead - edges[0] >= edges[3] - edges[0]) return -1;
    const bool after1 = state.ahead >= edges[1], after2 = state.ahead >= edges[2];
    const uint64_t begin = after2 ? edges[2] : after1 ? edges[1] : edges[0];
    const uint64_t end = after2 ? edges[3] : after1 ? edges[2] : edges[1];
    narrow(state, begin, end - begin);
    return after1 + after2;
}

// Takes any symbol, given a bracket; false when the words point above the last count.
inline bool take_any(RangeState& state, const Counts& counts, const Bracket& from,
                     int32_t& symbol) {
    const uint64_t unit = state.range >> 24, point = state.ahead / unit;
    if (point >= kTotal) return false;
    const Bracket found = find(counts, static_cast<uint32_t>(point), from);
    symbol = found.low;
    narrow(state, unit * found.below, unit * (found.above - found.below));
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
