// How probable a decision is, by integers alone: counters that adapt, and mixers that learn which of
// them to trust. Probabilities are of 1, in units of 2^-16; a stretched one is its logistic in steps of
// 1/256, within 2047.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace inrcodec {
namespace {

constexpr int kLargestStretch = 2047;
constexpr int kKnotStep = 32;
// 65536 / (1 + exp(-32 i / 256)).
constexpr int32_t kKnots[65] = {
    32768, 34813, 36843, 38841, 40793, 42687, 44511, 46254, 47911, 49474, 50941, 52310, 53581,
    54754, 55834, 56822, 57724, 58544, 59287, 59959, 60565, 61109, 61598, 62036, 62428, 62778,
    63090, 63368, 63615, 63835, 64030, 64203, 64357, 64494, 64614, 64721, 64816, 64900, 64974,
    65039, 65097, 65149, 65194, 65234, 65269, 65300, 65328, 65352, 65374, 65393, 65410, 65425,
    65438, 65449, 65459, 65468, 65476, 65483, 65489, 65495, 65500, 65504, 65508, 65511, 65514};

inline int32_t squash(int32_t stretched) {
    const int32_t size = std::min(std::abs(stretched), kLargestStretch);
    const int32_t knot = size / kKnotStep, part = size % kKnotStep;
    const int32_t rise = (kKnots[knot + 1] - kKnots[knot]) * part;
    const int32_t squashed = kKnots[knot] + (rise + kKnotStep / 2) / kKnotStep;
    return stretched < 0 ? 65536 - squashed : squashed;
}

constexpr int kMostSeen = 255;
constexpr int32_t kLeastRate = 257;  // 65536 / 255

struct MixingTables {
    int32_t rates[kMostSeen + 1];  // of a counter that has seen so many decisions, in 2^-16
    int16_t stretched[4096];       // of a probability in 2^-12

    MixingTables() {
        for (int n = 0; n <= kMostSeen; ++n)
            rates[n] = std::max(655360 / (10 * n + 16), kLeastRate);
        int at = 0;
        for (int stretch = -kLargestStretch; stretch <= kLargestStretch; ++stretch)
            for (; at <= squash(stretch) >> 4; ++at) stretched[at] = static_cast<int16_t>(stretch);
        for (; at < 4096; ++at) stretched[at] = kLargestStretch;
    }
};

inline const MixingTables& mixing_tables() {
    static const MixingTables tables;
    return tables;
}

struct Counter {
    uint16_t probability = 1 << 15;
    uint16_t n_seen = 0;

    void learn(const MixingTables& tables, bool decision, int most_seen) {
        const int32_t error = (decision ? 65535 : 0) - probability;
        probability = static_cast<uint16_t>(probability + (error * tables.rates[n_seen] >> 16));
        n_seen = static_cast<uint16_t>(n_seen + (n_seen < most_seen));
    }
};

// A counter that decides by itself.
struct LoneCounter {
    static constexpr int kMostSeen = 60;
    static constexpr int32_t kLeast = 32;
    Counter counter;

    uint32_t probability() const {
        return std::clamp<int32_t>(counter.probability, kLeast, 65536 - kLeast);
    }
    void learn(const MixingTables& tables, bool decision) {
        counter.learn(tables, decision, kMostSeen);
    }
};

constexpr int32_t kFirstWeight = 7500;  // in 2^-16
constexpr int32_t kBias = 77;
constexpr int32_t kFastest = 80, kSlowest = 40,
                  kSlowing = 300;  // rates, and decisions to the slowest

template <int kInputs>
struct Mixer {
    int32_t weights[kInputs];
    int32_t n_seen = 0;

    Mixer() { std::fill(weights, weights + kInputs, kFirstWeight); }

    int64_t sum(const int32_t (&inputs)[kInputs]) const {
        int64_t sum = 0;
        for (int i = 0; i < kInputs; ++i) sum += int64_t{weights[i]} * inputs[i];
        return sum;
    }

    // Weights wrap around, which takes 2^30 decisions that all are what was expected.
    void learn(const int32_t (&inputs)[kInputs], int32_t error) {
        const int64_t step =
            int64_t{error} * (kFastest - n_seen * (kFastest - kSlowest) / kSlowing);
        for (int i = 0; i < kInputs; ++i) {
            const auto move = static_cast<uint32_t>((step * inputs[i] + (1 << 19)) >> 20);
            weights[i] = static_cast<int32_t>(static_cast<uint32_t>(weights[i]) + move);
        }
        n_seen += n_seen < kSlowing;
    }
};

constexpr int kSetBits = 16;  // log2 of the counters of a set

// Decisions of one kind: sets of counters, each with a context of its own, and two mixers chosen by
// two small numbers.
template <int kSets>
class MixedDecisions {
  public:
    MixedDecisions(int n_first, int n_second)
        : tables_(mixing_tables()),
          counters_(size_t{kSets} << kSetBits),
          first_(n_first),
          second_(n_second) {}

    // Takes the counters of contexts [kSets or more], to each of which `salt` is added.
    void choose(const uint32_t* contexts, uint32_t salt) {
        for (int i = 0; i < kSets; ++i) {
            const uint32_t place = (contexts[i] + salt) * 2654435761u >> (32 - kSetBits);
            chosen_[i] = &counters_[(static_cast<size_t>(i) << kSetBits) | place];
        }
    }

    uint32_t predict(int first, int second) {
        for (int i = 0; i < kSets; ++i) {
            const Counter& counter = *chosen_[i];
            const int n = counter.n_seen;
            const int32_t trust = n < 1 ? 0 : n < 4 ? 154 : 256;
            inputs_[2 * i] = tables_.stretched[counter.probability >> 4];
            inputs_[2 * i + 1] = (counter.probability - 32768) * trust >> 15;
        }
        inputs_[2 * kSets] = kBias;
        mixers_[0] = &first_[first];
        mixers_[1] = &second_[second];
        const int64_t sum = (mixers_[0]->sum(inputs_) + mixers_[1]->sum(inputs_)) >> 17;
        const int64_t limit = kLargestStretch;
        predicted_ = squash(static_cast<int32_t>(std::clamp(sum, -limit, limit)));
        return static_cast<uint32_t>(predicted_);
    }

    void learn(bool decision) {
        const int32_t error = (decision ? 65536 : 0) - predicted_;
        for (Mixer<kInputs>* mixer : mixers_) mixer->learn(inputs_, error);
        for (Counter* counter : chosen_) counter->learn(tables_, decision, kMostSeen);
    }

  private:
    static constexpr int kInputs = 2 * kSets + 1;

    const MixingTables& tables_;
    std::vector<Counter> counters_;
    std::vector<Mixer<kInputs>> first_, second_;
    Counter* chosen_[kSets];
    Mixer<kInputs>* mixers_[2];
    int32_t inputs_[kInputs];
    int32_t predicted_ = 0;
};

}  // namespace
}  // namespace inrcodec
