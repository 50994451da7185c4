#ifndef NNET_SSMQ_THRESHOLDS_H_
#define NNET_SSMQ_THRESHOLDS_H_

#include "nnet_common.h"

namespace nnet {

// A monotone function of each channel: lowest + how many of the channel's thresholds the value has reached, times step.
// Thresholds are sorted, so the count is found by halving: n_halvings comparisons, one memory of thresholds a channel.
template <class data_T, class res_T, typename CONFIG_T>
void ssmq_thresholds(data_T data[CONFIG_T::n_in], res_T res[CONFIG_T::n_in],
                     typename CONFIG_T::threshold_t thresholds[CONFIG_T::n_in * CONFIG_T::n_levels]) {
    #pragma HLS PIPELINE II=CONFIG_T::reuse_factor

Channel:
    for (unsigned i = 0; i < CONFIG_T::n_in; i++) {
        unsigned below = 0;
        unsigned above = CONFIG_T::n_levels;
    Halve:
        for (unsigned h = 0; h < CONFIG_T::n_halvings; h++) {
            if (below < above) {
                unsigned middle = (below + above) / 2;
                if (data[i] >= thresholds[i * CONFIG_T::n_levels + middle])
                    below = middle + 1;
                else
                    above = middle;
            }
        }
        // The result type has exactly the codes of the tensor, so the code is its bits.
        ap_int<34> code = ap_int<34>(CONFIG_T::lowest) + below;
        res[i].range(res_T::width - 1, 0) = code.range(res_T::width - 1, 0);
    }
}

} // namespace nnet

#endif
