// Runs one native call on a file, to be built with AddressSanitizer and UndefinedBehaviorSanitizer:
//
//   driver CALL [RESULT]
//
// CALL on a grid, little-endian:
//   "INRK" | u8 op: 0 forward, 1 table gradient, 2 coords gradient, 3 to 5 the same along a direction
//   u8 threads
//   u8 instruction set | u8 dims | u8 features | u8 levels | u32 points
//   u8 interpolation: 0 linear, 1 smoothstep, 2 nearest, 3 kuhn, 4 simplex, else none
//   f32 scales [levels, dims] | u32 resolutions [levels, dims]
//   u32 sizes [levels], which sum to 2^20 at most
//   f32 coords [points, dims]
//   f32 table [sum of sizes, features]              (op 0, 2)
//   f32 gradient [points, levels * features]        (op 1, 2)
//   f32 direction [points, dims]                    (op 3 to 5, after what op - 3 has)
// CALL of the quantizer:
//   "INRQ" | u8 op: 0 forward, 1 step | u8 threads | u8 instruction set
//   u8 rounding: 0 free, 1 noisy, 2 hard | u8 has base | u8 tensors
//   u32 sizes [tensors] | f32 rates [tensors] | f32 steps [tensors] | u32 keys [2]
//   f32 units | f32 base, if there is one
//   f32 gradient | f32 mean | f32 square | f32 slopes [tensors, 4] (op 1)
// CALL on a network, and behind a grid: see mlp_calls.h; on latent grids: latent_calls.h; on their
// fits: fit_call.h; of SOAP: soap_call.h; on coefficients of sound: cosine_calls.h.
// The instruction set is a number in the list of those that this machine has, simplest first.
// RESULT receives the result as f32; of the quantizer, the weights (op 0) or the units, mean and
// square (op 1), then the sums. Exit code 0: done; 3: CALL refused, with one line on stderr.
#include <algorithm>

#include "../common/grid_checks.h"
#include "../common/grid_encode.h"
#include "../common/quantize_checks.h"
#include "cosine_calls.h"
#include "latent_calls.h"
#include "reader.h"

using namespace inrcodec;

namespace {

enum Op { kForward, kTableGradient, kCoordsGradient };
constexpr int kRefused = 3;
constexpr uint32_t kMaxEntries = 1u << 20;  // the file's size does not bound the result of op 1

GridShape read_shape(Reader& reader, uint64_t n_levels, uint64_t n_dims) {
    const char* names[] = {"linear", "smoothstep", "nearest", "kuhn", "simplex", "none"};
    GridShape shape;
    shape.interpolation = names[std::min<int>(reader.number<uint8_t>(), 5)];
    shape.scales = reader.numbers<float>(n_levels * n_dims);
    const std::vector<uint32_t> resolutions = reader.numbers<uint32_t>(n_levels * n_dims);
    shape.resolutions.assign(resolutions.begin(), resolutions.end());
    const std::vector<uint32_t> sizes = reader.numbers<uint32_t>(n_levels);
    shape.sizes.assign(sizes.begin(), sizes.end());
    return shape;
}

std::vector<float> run_grid(Reader& reader) {
    const auto [code, n_threads] = read_start(reader, 2 * kCoordsGradient + 1);
    const bool is_along = code > kCoordsGradient;
    const int op = is_along ? code - kCoordsGradient - 1 : code;
    const int64_t n_dims = reader.number<uint8_t>(), n_features = reader.number<uint8_t>();
    const uint64_t n_levels = reader.number<uint8_t>();
    const int64_t n_points = reader.number<uint32_t>();
    const GridShape shape = read_shape(reader, n_levels, static_cast<uint64_t>(n_dims));
    const Grid grid = check_grid(n_dims, n_features, shape);
    if (grid.n_entries > kMaxEntries) {
        refuse_call("sizes must sum to at most 2^20, got " + std::to_string(grid.n_entries));
    }

    const int64_t n_outputs = int64_t{grid.n_levels} * n_features;
    const std::vector<int64_t> points{n_points, n_dims}, rows{grid.n_entries, n_features};
    std::vector<float> coords = reader.numbers<float>(n_points * n_dims);
    std::vector<float> table, gradient, direction;
    if (op != kTableGradient) table = reader.numbers<float>(grid.n_entries * n_features);
    if (op != kForward) gradient = reader.numbers<float>(n_points * n_outputs);
    if (is_along) direction = reader.numbers<float>(n_points * n_dims);
    reader.finish();

    const int64_t n_results = op == kForward         ? n_points * n_outputs
                              : op == kTableGradient ? grid.n_entries * n_features
                                                     : n_points * n_dims;
    std::vector<float> out(static_cast<size_t>(n_results));
    const Array x = describe("coords", coords, points);
    const Array t = describe("table", op == kTableGradient ? out : table, rows);
    check_inputs(x, t, shape);
    if (op != kForward)
        check_features(grid, describe("gradient", gradient, {n_points, n_outputs}), x);
    GridCall call{n_points, coords.data(), table.data(), gradient.data(), out.data()};
    if (is_along) call.direction = direction.data();
    if (op == kForward) grid_encode_forward(grid, call, n_threads);
    if (op == kTableGradient) grid_encode_table_gradient(grid, call, n_threads);
    if (op == kCoordsGradient) grid_encode_coords_gradient(grid, call, n_threads);
    return out;
}

std::vector<float> result_of(const std::vector<std::vector<float>*>& parts,
                             const std::vector<double>& sums) {
    std::vector<float> result;
    for (const std::vector<float>* part : parts)
        result.insert(result.end(), part->begin(), part->end());
    for (const double sum : sums) result.push_back(static_cast<float>(sum));
    return result;
}

std::vector<float> run_quantize(Reader& reader) {
    const auto [op, n_threads] = read_start(reader, 1);
    constexpr const char* roundings[] = {"free", "noisy", "hard"};
    const int rounding = reader.number<uint8_t>();
    const bool has_base = reader.number<uint8_t>() != 0;
    const uint64_t n_tensors = reader.number<uint8_t>();
    const std::vector<uint32_t> read_sizes = reader.numbers<uint32_t>(n_tensors);
    const std::vector<float> rates = reader.numbers<float>(n_tensors);
    const std::vector<float> steps = reader.numbers<float>(n_tensors);
    std::vector<QuantizeRun> runs =
        check_runs({read_sizes.begin(), read_sizes.end()}, rates, steps);
    QuantizeCall call;
    call.rounding = check_rounding(rounding < 3 ? roundings[rounding] : "none of them");
    for (uint32_t& key : call.keys) key = reader.number<uint32_t>();
    const uint64_t n_values = static_cast<uint64_t>(count_values(runs));
    std::vector<float> units = reader.numbers<float>(n_values), base;
    if (has_base) base = reader.numbers<float>(n_values);
    call.units = units.data();
    call.base = has_base ? base.data() : nullptr;
    const int n_runs = static_cast<int>(n_tensors);
    if (op == 0) {
        reader.finish();
        std::vector<float> weights(units.size());
        std::vector<double> sums(runs.size() * kForwardSums);
        call.weights = weights.data();
        quantize_forward(runs.data(), n_runs, call, sums.data(), n_threads);
        return result_of({&weights}, sums);
    }
    std::vector<float> gradient = reader.numbers<float>(n_values);
    std::vector<float> mean = reader.numbers<float>(n_values);
    std::vector<float> square = reader.numbers<float>(n_values);
    check_slopes(runs, reader.numbers<float>(runs.size() * kForwardSums));
    reader.finish();
    std::vector<double> sums(runs.size() * kStepSums);
    call.gradient = gradient.data();
    call.mean = mean.data();
    call.square = square.data();
    call.adam = check_adam(0.25, 0.5, 0.75, 1e-15, 2);
    quantize_step(runs.data(), n_runs, call, sums.data(), n_threads);
    return result_of({&units, &mean, &square}, sums);
}

}  // namespace

#include "fit_call.h"
#include "mlp_calls.h"
#include "soap_call.h"

namespace {

// Reads the call, runs it, returns the result.
std::vector<float> run(Reader reader) {
    const uint32_t magic = reader.number<uint32_t>();
    if (magic == 0x4b524e49u) return run_grid(reader);
    if (magic == 0x4d524e49u) return run_mlp(reader);
    if (magic == 0x47524e49u) return run_grid_mlp(reader);
    if (magic == 0x51524e49u) return run_quantize(reader);
    if (magic == 0x4c524e49u) return run_latent(reader);
    if (magic == 0x46524e49u) return run_fit(reader);
    if (magic == 0x53524e49u) return run_soap(reader);
    if (magic == 0x43524e49u) return run_cosine(reader);
    refuse_call(
        "file must begin with INRC, INRF, INRG, INRK, INRL, INRM, INRQ or INRS, got none of them");
}

void write_file(const char* path, const std::vector<float>& values) {
    const File file(std::fopen(path, "wb"));
    if (!file ||
        std::fwrite(values.data(), sizeof(float), values.size(), file.get()) != values.size())
        refuse_call("result must be writable, got " + std::string(path));
}

}  // namespace

int main(int argc, char** argv) {
    try {
        if (argc < 2 || argc > 3) refuse_call("arguments must be CALL [RESULT]");
        const std::vector<float> result = run(Reader(read_file(argv[1])));
        if (argc == 3) write_file(argv[2], result);
        return 0;
    } catch (const std::invalid_argument& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return kRefused;
    }
}
