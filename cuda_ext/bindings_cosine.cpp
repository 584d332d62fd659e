// Registration of the native functions of the cosine op. No logic of its own.
#include <nanobind/stl/tuple.h>

#include "bindings.h"
#include "common/cosine_checks.h"

using namespace inrcodec;

namespace {

// frames, values of a frame, channels, most splits, 1 if there are signs: as CosineShape.
using Numbers = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t>;

// Arrays that an encoder is given.
struct Content {
    CosineShape shape;
    const uint8_t* splits;
    const int32_t* values;
};

Content check_content(const Numbers& numbers, const Input& splits, const Input& values) {
    const CosineShape shape = std::apply(check_cosine_shape, numbers);
    const Array split = describe("splits", splits), value = describe("values", values);
    check_cosine_content(shape, split, value);
    return {shape, static_cast<const uint8_t*>(split.data),
            static_cast<const int32_t*>(value.data)};
}

// Returns the words, as bytes in the order of this machine.
nb::bytes encode(const Numbers& numbers, const Input& splits, const Input& values) {
    const Content content = check_content(numbers, splits, values);
    std::vector<uint32_t> words;
    {
        const nb::gil_scoped_release released;
        words = encode_coefficients(content.shape, content.splits, content.values);
    }
    return nb::bytes(reinterpret_cast<const char*>(words.data()), 4 * words.size());
}

double bits(const Numbers& numbers, const Input& splits, const Input& values) {
    const Content content = check_content(numbers, splits, values);
    const nb::gil_scoped_release released;
    return coefficient_bits(content.shape, content.splits, content.values);
}

// Returns a CosineEnd.
int decode(const Input& words, const Numbers& numbers, const Output& splits, const Output& values) {
    const CosineShape shape = std::apply(check_cosine_shape, numbers);
    const Array coded = describe("words", words);
    const Array split = describe("splits", splits), value = describe("values", values);
    check_cosine_words(coded);
    check_cosine_arrays(shape, split, value);
    const nb::gil_scoped_release released;
    const CosineEnd end =
        decode_coefficients(shape, static_cast<const uint32_t*>(coded.data), coded.shape[0],
                            static_cast<uint8_t*>(split.data), static_cast<int32_t*>(value.data));
    return static_cast<int>(end);
}

}  // namespace

namespace inrcodec {

// clang-format off
void register_cosine(nb::module_& m) {
    using nb::literals::operator""_a;
    m.def("encode_coefficients", &encode, "shape"_a, "splits"_a, "values"_a);
    m.def("coefficient_bits", &bits, "shape"_a, "splits"_a, "values"_a);
    m.def("decode_coefficients", &decode, "words"_a, "shape"_a, "splits"_a, "values"_a);
}
// clang-format on

}  // namespace inrcodec
