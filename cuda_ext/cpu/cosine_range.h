// Who takes the decisions of the cosine op: one that writes words, one that reads them, and one that
// only counts bits. All share `decide`, which is given the probability of 1 in units of 2^-16 and what
// the decision is, and gives what it is; `refuse`, to be told that what was decided cannot be; and
// `goes_on`, false once the words are found wrong.
#pragma once

#include <cmath>
#include <vector>

#include "../common/cosine.h"
#include "latent_range.h"

namespace inrcodec {
namespace {

constexpr int kProbabilityBits = 16;
constexpr int kCountShift = 24 - kProbabilityBits;  // from a probability to a count of 2^24

class DecisionEncoder {
  public:
    static constexpr bool kReads = false;

    bool decide(uint32_t probability, bool wanted) {
        const uint64_t unit = range_ >> 24;
        const uint64_t edge = unit * (kTotal - (probability << kCountShift));
        if (wanted) add(edge);
        range_ = wanted ? unit * (probability << kCountShift) : edge;
        any_ = true;
        if (range_ >> 32 == 0) {
            words_.push_back(static_cast<uint32_t>(low_ >> 32));
            low_ <<= 32;
            range_ <<= 32;
        }
        return wanted;
    }

    bool goes_on() const { return true; }
    void refuse() {}

    std::vector<uint32_t> finish() {
        if (!any_) return {};
        const uint32_t top = static_cast<uint32_t>((low_ + range_) >> 32);
        add(0xffffffffu);
        words_.push_back(static_cast<uint32_t>(low_ >> 32));
        if (words_.back() == top) words_.push_back(0);
        return std::move(words_);
    }

  private:
    void add(uint64_t amount) {
        low_ += amount;
        if (low_ >= amount) return;
        for (size_t at = words_.size(); at-- > 0 && ++words_[at] == 0;) {
        }
    }

    std::vector<uint32_t> words_;
    uint64_t low_ = 0, range_ = ~uint64_t{0};
    bool any_ = false;
};

class DecisionDecoder {
  public:
    static constexpr bool kReads = true;

    DecisionDecoder(const uint32_t* words, int64_t n_words)
        : state_{words, n_words, 0, 0, ~uint64_t{0}} {
        state_.ahead = uint64_t{next_word(state_)} << 32;
        state_.ahead |= next_word(state_);
    }

    // 0 once the words are found wrong, so that whoever asks comes to an end.
    bool decide(uint32_t probability, bool) {
        if (has_run_out()) end_ = CosineEnd::kWrong;
        if (end_ != CosineEnd::kRight) return false;
        const uint64_t unit = state_.range >> 24;
        const uint64_t edge = unit * (kTotal - (probability << kCountShift));
        const bool decision = state_.ahead >= edge;
        if (state_.ahead >= unit << 24) {
            refuse();
            return false;
        }
        any_ = true;
        const uint64_t size = decision ? unit * (probability << kCountShift) : edge;
        narrow(state_, decision ? edge : 0, size);
        return decision;
    }

    bool goes_on() const { return end_ == CosineEnd::kRight; }

    void refuse() {
        if (end_ == CosineEnd::kRight) end_ = CosineEnd::kNoSymbol;
    }

    CosineEnd finish() const {
        if (end_ != CosineEnd::kRight) return end_;
        const Seal end = seal(state_);
        const bool right =
            any_ ? state_.n_words == end.n_words && state_.ahead == end.ahead : state_.n_words == 0;
        return right ? CosineEnd::kRight : CosineEnd::kWrong;
    }

  private:
    // Whether what was read so far takes two words more than there are: as the reference has it.
    bool has_run_out() const {
        return state_.next > state_.n_words + 2 && seal(state_).n_words > state_.n_words + 2;
    }

    RangeState state_;
    CosineEnd end_ = CosineEnd::kRight;
    bool any_ = false;
};

class BitCounter {
  public:
    static constexpr bool kReads = false;

    // The product of all probabilities, of which a logarithm is taken now and then only.
    bool decide(uint32_t probability, bool wanted) {
        product_ *= wanted ? probability : (1 << kProbabilityBits) - probability;
        ++n_;
        if (product_ > 1e280) settle();
        return wanted;
    }

    bool goes_on() const { return true; }
    void refuse() {}

    double finish() {
        settle();
        return bits_;
    }

  private:
    void settle() {
        bits_ += static_cast<double>(n_ * kProbabilityBits) - std::log2(product_);
        product_ = 1.0;
        n_ = 0;
    }

    double product_ = 1.0, bits_ = 0.0;
    int64_t n_ = 0;
};

}  // namespace
}  // namespace inrcodec
