// How a call of the cosine op goes through frames, blocks and channels, on one thread: every decision
// depends on those before it.
#include "../common/cosine.h"

#include <type_traits>
#include <utility>

#include "cosine_values.h"

namespace inrcodec {
namespace {

constexpr int kGroups = 128;  // at most, of the values of a block
constexpr int kGroupBits = 8;

// The sizes of the values of a block, with margins of zeros.
class Sizes {
  public:
    explicit Sizes(int most) : n_values(most), sizes_(static_cast<size_t>(most) + 2 * kMargin) {}

    int32_t* begin() { return sizes_.data() + kMargin; }
    const int32_t* begin() const { return sizes_.data() + kMargin; }

    void clear(int n) {
        n_values = n;
        std::fill(begin(), begin() + n + kMargin, 0);
    }

    // Those of another block brought to n values; from more, the largest of those that share a place.
    void resample(const Sizes& from, int n) {
        clear(n);
        const int32_t* source = from.begin();
        const int share = from.n_values / n, repeat = n / from.n_values;
        for (int k = 0; k < n; ++k) {
            begin()[k] = share > 1 ? *std::max_element(source + k * share, source + (k + 1) * share)
                                   : source[k / repeat];
        }
    }

    int n_values;

  private:
    std::vector<int32_t> sizes_;
};

// What is kept of a channel: the block in hand and the two before it.
struct Channel {
    Sizes own, previous, before;
    int n_groups = 0;  // that were coded of the last block

    explicit Channel(int frame) : own(frame), previous(frame), before(frame) {}

    void begin_block(int n_values) {
        std::swap(before, previous);
        std::swap(previous, own);
        own.clear(n_values);
    }
};

template <typename Coder>
class Walk {
  public:
    using Value = std::conditional_t<Coder::kReads, int32_t, const int32_t>;
    using Split = std::conditional_t<Coder::kReads, uint8_t, const uint8_t>;

    Walk(const CosineShape& shape, Coder& coder)
        : shape_(shape),
          coder_(coder),
          values_(coder, shape.has_signs),
          channels_(shape.n_channels, Channel(shape.frame)),
          zeros_(shape.frame),
          previous_(shape.frame),
          before_(shape.frame) {}

    void run(Split* splits, Value* values) {
        int last = 0;
        for (int64_t frame = 0; frame < shape_.n_frames && coder_.goes_on(); ++frame) {
            const int split = take_split(last, splits[frame]);
            if constexpr (Coder::kReads) splits[frame] = static_cast<uint8_t>(split);
            last = split;
            const int n_values = shape_.frame >> split;
            for (int block = 0; block < 1 << split; ++block) {
                for (int channel = 0; channel < shape_.n_channels; ++channel) {
                    if (!coder_.goes_on()) return;
                    take_block(channel, split, values);
                    values += n_values;
                }
            }
        }
    }

  private:
    bool decide(LoneCounter& counter, bool wanted) {
        const bool decision = coder_.decide(counter.probability(), wanted);
        counter.learn(tables_, decision);
        return decision;
    }

    int take_split(int last, [[maybe_unused]] int wanted) {
        int split = 0;
        while (split < shape_.most_splits && decide(splits_[last][split], wanted > split)) ++split;
        return split;
    }

    int take_groups(int last, int wanted) {
        int node = 1;
        for (int bit = kGroupBits; bit-- > 0;)
            node = 2 * node + decide(groups_[last >> 3][node], (wanted >> bit & 1) != 0);
        return node - (1 << kGroupBits);
    }

    BlockSight sight_of(int channel, int split) {
        Channel& own = channels_[channel];
        const int n_values = own.own.n_values;
        const auto brought = [&](const Sizes& from, Sizes& to) {
            if (from.n_values == n_values) return from.begin();
            to.resample(from, n_values);
            return std::as_const(to).begin();
        };
        const int32_t* side =
            channel % 2 ? channels_[channel - 1].own.begin() : std::as_const(zeros_).begin();
        return {own.own.begin(),
                brought(own.previous, previous_),
                brought(own.before, before_),
                side,
                n_values,
                split,
                channel % 2};
    }

    void take_block(int channel, int split, Value* values) {
        const int n_values = shape_.frame >> split;
        const int group = std::max(1, n_values / kGroups);
        Channel& own = channels_[channel];
        own.begin_block(n_values);
        const int wanted = Coder::kReads ? 0 : groups_of(values, n_values, group);
        const int n_groups = take_groups(own.n_groups, wanted);
        if (Coder::kReads && n_groups * group > n_values) coder_.refuse();
        if (!coder_.goes_on()) return;
        own.n_groups = n_groups;
        take_values(sight_of(channel, split), n_groups * group, values);
        if constexpr (Coder::kReads) {
            if (!coder_.goes_on()) return;
            std::fill(values + n_groups * group, values + n_values, 0);
            if (groups_of(values, n_values, group) != n_groups) coder_.refuse();
        }
    }

    void take_values(const BlockSight& sight, int n_coded, Value* values) {
        Neighbourhood around(sight);
        for (int place = 0; place < n_coded; ++place) {
            around.move_to(place);
            const int32_t value = values_.take(around, Coder::kReads ? 0 : values[place]);
            if (!coder_.goes_on()) return;
            if constexpr (Coder::kReads) values[place] = value;
            sight.own[place] = std::abs(value);
        }
    }

    static int groups_of(const int32_t* values, int n_values, int group) {
        while (n_values > 0 && values[n_values - 1] == 0) --n_values;
        return (n_values + group - 1) / group;
    }

    const CosineShape shape_;
    Coder& coder_;
    ValueCoder<Coder> values_;
    std::vector<Channel> channels_;
    Sizes zeros_, previous_, before_;
    const MixingTables& tables_ = mixing_tables();
    LoneCounter splits_[kMostCosineSplits + 1][kMostCosineSplits];
    LoneCounter groups_[kGroups / 8 + 1][1 << kGroupBits];
};

}  // namespace

std::vector<uint32_t> encode_coefficients(const CosineShape& shape, const uint8_t* splits,
                                          const int32_t* values) {
    DecisionEncoder coder;
    Walk<DecisionEncoder>(shape, coder).run(splits, values);
    return coder.finish();
}

CosineEnd decode_coefficients(const CosineShape& shape, const uint32_t* words, int64_t n_words,
                              uint8_t* splits, int32_t* values) {
    DecisionDecoder coder(words, n_words);
    Walk<DecisionDecoder>(shape, coder).run(splits, values);
    return coder.finish();
}

double coefficient_bits(const CosineShape& shape, const uint8_t* splits, const int32_t* values) {
    BitCounter coder;
    Walk<BitCounter>(shape, coder).run(splits, values);
    return coder.finish();
}

}  // namespace inrcodec
