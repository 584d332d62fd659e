// What the cosine op sees around a value: sizes before it in its block, at its place in the two blocks
// before, and beside it in the channel before; and the contexts that are made of them.
#pragma once

#include <algorithm>
#include <cstdint>

namespace inrcodec {
namespace {

constexpr int kMargin = 16;  // zeros on both sides of the sizes of a block
constexpr int kContexts = 8;
constexpr int kLevels = 24;
constexpr int kBands = 32, kZones = 64;

// Sizes [n_values], pointers to the first; those of `own` are known before the value in question.
struct BlockSight {
    int32_t* own;
    const int32_t* previous;
    const int32_t* before;
    const int32_t* side;  // zeros in channels that have none
    int n_values;
    int split;
    int parity;  // of the channel
};

// On a scale of about half an octave.
struct Levels {
    static constexpr int kLimits[kLevels - 1] = {2,   3,   4,   5,    7,    10,   14,  20,
                                                 27,  39,  54,  77,   108,  153,  216, 305,
                                                 431, 609, 862, 1218, 1723, 2436, 3445};
    static constexpr int kLast = kLimits[kLevels - 2];
    uint8_t small[kLast];

    Levels() {
        for (int sum = 0, level = 0; sum < kLast; ++sum) {
            while (sum >= kLimits[level]) ++level;
            small[sum] = static_cast<uint8_t>(level);
        }
    }

    uint32_t of(int32_t sum) const { return sum < kLast ? small[sum] : kLevels - 1; }
};

inline const Levels& all_levels() {
    static const Levels levels;
    return levels;
}

// The band of a frequency in 1/2048.
inline uint32_t band_of(int frequency) {
    constexpr int kAlone = 8;  // frequencies that are bands of their own
    constexpr int kLimits[kBands - kAlone - 1] = {11,  13,  16,  21,  26,   32,   41,  51,
                                                  64,  81,  102, 128, 162,  204,  256, 323,
                                                  407, 512, 646, 813, 1024, 1291, 1626};
    if (frequency < kAlone) return static_cast<uint32_t>(frequency);
    const int* above = std::upper_bound(std::begin(kLimits), std::end(kLimits), frequency);
    return static_cast<uint32_t>(kAlone + (above - kLimits));
}

inline uint32_t capped(int32_t size, int32_t most) {
    return static_cast<uint32_t>(std::min(size, most));
}

// Goes through the places of a block, lowest first.
class Neighbourhood {
  public:
    explicit Neighbourhood(const BlockSight& sight) : sight_(sight), levels_(all_levels()) {
        for (int i = 0; i < kPreviousAhead; ++i) wide_previous_ += sight.previous[i];
    }

    // To be called for each place in turn, once the sizes before it are known.
    void move_to(int place) {
        const int32_t* p = sight_.previous + place;
        const int32_t* own = sight_.own + place;
        wide_previous_ += p[kPreviousAhead] - p[-kPreviousAhead - 1];
        wide_own_ += own[-1] - own[-kOwnBehind - 1];
        const int32_t* o = sight_.before + place;
        const int32_t* s = sight_.side + place;
        const int32_t of_own = 8 * own[-1] + 4 * own[-2] + 2 * own[-3];
        const int32_t of_previous = 8 * p[0] + 4 * (p[1] + p[-1]) + 2 * (p[2] + p[-2]);
        const int32_t of_before = 8 * o[0] + 4 * (o[1] + o[-1]);
        const int32_t of_side = 8 * s[0] + 4 * (s[1] + s[-1]);
        const int32_t of_both = of_own + (13 * of_previous >> 4);
        level_ = levels_.of(of_both + (13 * of_before >> 5) + (of_side >> 1));
        const auto n = static_cast<int64_t>(sight_.n_values);
        band_ = band_of(static_cast<int>(place * int64_t{2048} / n));
        const uint32_t level = levels_.of(of_previous);
        zone_ = static_cast<uint32_t>(place * kZones / sight_.n_values) * 32 + level;
        contexts_[2] = 99991 + level * 1024 + levels_.of(of_before) * 32 + levels_.of(of_own);
        contexts_[5] = 55555 + levels_.of(of_side) * 256 + levels_.of(of_both) * 8 + parity();
        find_wide_contexts(place);
        find_close_contexts(own, p, o);
    }

    const uint32_t* contexts() const { return contexts_; }
    uint32_t level() const { return level_; }
    uint32_t parity() const { return static_cast<uint32_t>(sight_.parity); }

    // What chooses mixers: level and band; zone and the level of the block before.
    int level_and_band() const { return static_cast<int>(level_ * kBands + band_); }
    int zone() const { return static_cast<int>(zone_); }

  private:
    static constexpr int kPreviousAhead = 6, kOwnBehind = 8;

    void find_wide_contexts(int place) {
        const uint32_t own = levels_.of(4 * wide_own_), previous = levels_.of(4 * wide_previous_);
        contexts_[0] = level_ * 64 + band_;
        contexts_[4] = 13 + own * 1024 + previous * 32 + band_;
        const uint32_t here = 5 + static_cast<uint32_t>(place) * 8 + parity();
        const uint32_t sizes =
            capped(sight_.previous[place], 2) * 3 + capped(sight_.before[place], 2);
        contexts_[3] = here + sizes * (1u << 18) + static_cast<uint32_t>(sight_.split) * (1u << 22);
    }

    void find_close_contexts(const int32_t* own, const int32_t* p, const int32_t* o) {
        const int32_t a = own[-1], b = own[-2];
        contexts_[1] = 777 + capped(a, 7) * 4096 + capped(b, 7) * 512 + capped(p[0], 7) * 64 +
                       capped(p[1] + p[-1], 7) * 8;
        contexts_[6] = 3333 + capped(p[0], 5) * 1296 + capped(o[0], 5) * 216 + capped(a, 5) * 36 +
                       capped(p[1], 5) * 6 + capped(p[-1], 5);
        const uint32_t wide = levels_.of(2 * (wide_previous_ + wide_own_));
        contexts_[7] = 8888 + wide * 1024 + capped(a, 3) * 256 + capped(b, 3) * 64 +
                       capped(p[0], 3) * 16 + capped(p[1], 3) * 4 + capped(p[-1], 3);
    }

    const BlockSight sight_;
    const Levels& levels_;
    int32_t wide_previous_ = 0, wide_own_ = 0;
    uint32_t level_ = 0, band_ = 0, zone_ = 0;
    uint32_t contexts_[kContexts] = {};
};

}  // namespace
}  // namespace inrcodec
