// One value of the cosine op as decisions: is it more than 0, than 1, ... than 11 in size; beyond, the
// exponent of what is left, the top bit below it, the other bits; and the sign, if there are any.
#pragma once

#include "cosine_contexts.h"
#include "cosine_mixing.h"
#include "cosine_range.h"

namespace inrcodec {
namespace {

constexpr int kUnary = 12;  // sizes below it are told one by one
constexpr int kLargestExponent = 20;
constexpr uint32_t kEven = 1 << (kProbabilityBits - 1);
constexpr uint32_t kSalt = 131071;  // keeps the kinds of decisions apart

template <typename Coder>
class ValueCoder {
  public:
    ValueCoder(Coder& coder, bool has_signs) : coder_(coder), has_signs_(has_signs) {}

    // Takes the decisions of `wanted`, or of what there is to be read, and gives that.
    int32_t take(const Neighbourhood& around, int32_t wanted) {
        const int32_t size = take_size(around, std::abs(wanted));
        if (size == 0 || !has_signs_) return size;
        return coder_.decide(kEven, wanted < 0) ? -size : size;
    }

  private:
    template <int kSets>
    bool decide(MixedDecisions<kSets>& kind, const Neighbourhood& around, uint32_t salt, int first,
                bool wanted) {
        kind.choose(around.contexts(), (around.parity() + salt) * kSalt);
        const uint32_t probability = kind.predict(first, around.zone());
        const bool decision = coder_.decide(probability, wanted);
        kind.learn(decision);
        return decision;
    }

    int32_t take_size(const Neighbourhood& around, int32_t wanted) {
        if (!decide(zero_, around, 0, around.level_and_band(), wanted > 0)) return 0;
        if (!decide(one_, around, 2, around.level_and_band(), wanted > 1)) return 1;
        const int level = static_cast<int>(around.level());
        for (int size = 2; size < kUnary; ++size) {
            const uint32_t salt = static_cast<uint32_t>(4 + 8 * size);
            if (!decide(more_, around, salt, size * 32 + level, wanted > size)) return size;
        }
        const int32_t size = kUnary - 1 + take_rest(around, wanted - kUnary + 1);
        if (size > kLargestCoefficient) coder_.refuse();
        return size;
    }

    // A whole number from 1 on.
    int32_t take_rest(const Neighbourhood& around, int32_t wanted) {
        const int level = static_cast<int>(around.level());
        int exponent = 0;
        for (;; ++exponent) {
            const uint32_t salt = static_cast<uint32_t>(4 + 8 * exponent);
            const bool is_more = wanted >> 1 >> exponent > 0;
            if (!decide(high_, around, salt, exponent * 32 + level, is_more)) break;
            if (exponent == kLargestExponent) {
                coder_.refuse();
                return 1;
            }
        }
        int32_t rest = 1;
        for (int bit = exponent; bit-- > 0;) {
            const bool is_set = (wanted >> bit & 1) != 0;
            const bool is_top = bit == exponent - 1;
            rest = 2 * rest +
                   (is_top ? decide(tops_[exponent][level], is_set) : coder_.decide(kEven, is_set));
        }
        return rest;
    }

    bool decide(LoneCounter& counter, bool wanted) {
        const bool decision = coder_.decide(counter.probability(), wanted);
        counter.learn(tables_, decision);
        return decision;
    }

    Coder& coder_;
    const bool has_signs_;
    const MixingTables& tables_ = mixing_tables();
    MixedDecisions<8> zero_{kLevels * kBands, kZones * 32}, one_{kLevels * kBands, kZones * 32};
    MixedDecisions<6> more_{kUnary * 32, kZones * 32};
    MixedDecisions<6> high_{(kLargestExponent + 1) * 32, kZones * 32};
    LoneCounter tops_[kLargestExponent + 1][kLevels];
};

}  // namespace
}  // namespace inrcodec
