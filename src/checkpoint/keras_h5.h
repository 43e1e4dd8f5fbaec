#pragma once
// tf_model.h5 and its shards: Keras 2's weights in HDF5, every encoding of its attributes.
// Source: tf_keras 2.19, src/saving/legacy/hdf5_format.py; transformers 4.57.6,
// modeling_tf_utils.py:tf_shard_checkpoint.
#include <memory>
#include <string_view>

#include "checkpoint/tensor_file.h"

namespace ferry::checkpoint {

/// Reads the datasets that the file's attributes list. TensorFile::format is "tf h5". Names are the
/// variables' ("tf_bert_model/bert/pooler/dense/kernel:0"); in a shard they lack the first level.
/// Errors: Error{invalid_file}, Error{unsupported}, of H5File, and for a file without the attributes.
TensorFile read_keras_h5(std::shared_ptr<const ByteSource> source, std::string_view name);

}  // namespace ferry::checkpoint
