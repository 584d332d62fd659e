// The grid_mlp op on the GPU: the kernels of the two ops, one after the other. The slopes of features take
// the place of the features.
#include "../common/grid_mlp.h"

namespace inrcodec {

void grid_mlp_descent_cuda(const Grid& grid, const Mlp& mlp, const GridMlpCall& call,
                           TableSums sums, const GridMlpScratch& scratch, Stream stream) {
    GridCall encode;
    encode.n_points = call.n_points;
    encode.coords = call.coords;
    encode.table = call.table;
    encode.out = scratch.features;
    grid_encode_forward_cuda(grid, encode, stream);

    MlpCall network;
    network.n_points = call.n_points;
    network.x = scratch.features;
    network.parameters = call.parameters;
    network.targets = call.targets;
    network.slope = mlp.slope_of_mean(call.n_points);
    network.parameters_gradient = call.parameters_gradient;
    network.x_gradient = scratch.features;
    mlp_gradients_cuda(mlp, network, scratch.floats, stream);

    encode.gradient = scratch.features;
    encode.out = call.table_gradient;
    grid_encode_table_gradient_cuda(grid, encode, sums, scratch.bytes, stream);
}

}  // namespace inrcodec
