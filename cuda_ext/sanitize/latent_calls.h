// Calls of the sanitizer driver on latent grids, little-endian:
//   "INRL" | u8 op: 0 decode, 1 synthesize | u8 threads | u8 instruction set
//   u32 height | u32 width, of which decode takes 2^20 values at most
// decode:
//   u8 grids | u8 neighbours | u8 features | u8 slope
//   i32 levels [grids] | i32 inputs [grids] | i32 largest [grids] | i32 neighbours [neighbours, 2]
//   u32 words | u32 [words] | f64 weights | i64 decays [241] | i64 powers [1025]
// synthesize:
//   u8 channels | u8 levels | u8 hidden | u8 tail
//   i32 latents of each level, coarsest first | f64 weights | i32 offsets [channels] | u32 scale
// The result: of decode how it ended, then the values; of synthesize the pixels.
#pragma once

#include "../common/latent_checks.h"
#include "../common/synthesis_checks.h"
#include "reader.h"

namespace inrcodec {

constexpr int64_t kMaxValues = 1 << 20;

inline std::vector<int64_t> read_integers(Reader& reader, uint64_t count) {
    const std::vector<int32_t> values = reader.numbers<int32_t>(count);
    return {values.begin(), values.end()};
}

inline std::vector<float> run_decode(Reader& reader) {
    LatentShape shape;
    shape.height = reader.number<uint32_t>();
    shape.width = reader.number<uint32_t>();
    const uint64_t n_grids = reader.number<uint8_t>(), n_neighbours = reader.number<uint8_t>();
    shape.n_features = reader.number<uint8_t>();
    shape.slope = reader.number<uint8_t>();
    shape.levels = read_integers(reader, n_grids);
    shape.inputs = read_integers(reader, n_grids);
    shape.largest = read_integers(reader, n_grids);
    shape.neighbours = read_integers(reader, 2 * n_neighbours);
    const LatentModel model = check_latent_model(shape);
    if (model.n_values > kMaxValues)
        refuse_call("values must be at most 2^20, got " + std::to_string(model.n_values));

    const int64_t n_words = reader.number<uint32_t>();
    std::vector<uint32_t> words = reader.numbers<uint32_t>(n_words);
    std::vector<double> weights = reader.numbers<double>(model.n_weights);
    std::vector<int64_t> decays = reader.numbers<int64_t>(kLaplaceScales);
    std::vector<int64_t> powers = reader.numbers<int64_t>(kLaplacePowers);
    reader.finish();
    check_words(describe("words", words, {n_words}));
    check_latent_weights(model, describe("weights", weights, {model.n_weights}));
    check_laplace_tables(describe("decays", decays, {kLaplaceScales}),
                         describe("powers", powers, {kLaplacePowers}));
    std::vector<int32_t> out(model.n_values);
    LatentCall call;
    call.words = words.data();
    call.n_words = n_words;
    call.weights = weights.data();
    call.decays = decays.data();
    call.powers = powers.data();
    call.out = out.data();
    std::vector<float> result{static_cast<float>(decode_latents(model, call))};
    result.insert(result.end(), out.begin(), out.end());
    return result;
}

inline std::vector<float> run_synthesize(Reader& reader, int n_threads) {
    SynthesisShape shape;
    shape.height = reader.number<uint32_t>();
    shape.width = reader.number<uint32_t>();
    shape.channels = reader.number<uint8_t>();
    shape.n_levels = reader.number<uint8_t>();
    shape.n_hidden = reader.number<uint8_t>();
    shape.n_tail = reader.number<uint8_t>();
    const Synthesis synthesis = check_synthesis(shape);
    std::vector<std::vector<int32_t>> latents;
    std::vector<Array> arrays;
    for (int level = synthesis.n_levels - 1; level >= 0; --level) {
        const int64_t height = divided(shape.height, level), width = divided(shape.width, level);
        latents.push_back(reader.numbers<int32_t>(height * width));
        arrays.push_back(describe("a grid of latents", latents.back(), {height, width}));
    }
    std::vector<double> weights = reader.numbers<double>(synthesis.n_weights);
    const std::vector<int64_t> offsets = read_integers(reader, shape.channels);
    const int64_t scale = reader.number<uint32_t>();
    reader.finish();
    check_synthesis_weights(synthesis, describe("weights", weights, {synthesis.n_weights}));
    SynthesisCall call;
    call.weights = weights.data();
    check_synthesis_latents(synthesis, arrays, call);
    std::vector<int32_t> out(shape.height * shape.width * shape.channels);
    const std::vector<int64_t> pixels{shape.height, shape.width, shape.channels};
    check_synthesis_output(synthesis, offsets, scale, describe("out", out, pixels), call);
    synthesize(synthesis, call, n_threads);
    return {out.begin(), out.end()};
}

inline std::vector<float> run_latent(Reader& reader) {
    const auto [op, n_threads] = read_start(reader, 1);
    return op == 0 ? run_decode(reader) : run_synthesize(reader, n_threads);
}

}  // namespace inrcodec
